"""Exports a trained generator as a SavedModel.

The SavedModel translates source images of any size to the target domain. It
loads with tf.saved_model.load or TensorFlow Serving, without this library.
"""

import dataclasses
import os
from pathlib import Path

from kliep_tf import cli, runs
from kliep_tf.errors import UserError
from kliep_tf.training.checkpoints import checkpoint_steps
from kliep_tf.training.saved_models import is_whole
from kliep_tf.translation.exporting import write_saved_model
from kliep_tf.translation.methods import load_method

PROGRAM = "kliep_tf.export"
_TRAINING_PROGRAM = "kliep_tf.train"


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """The flags of this program."""

    run_dir: str = cli.flag(
        "the run directory of kliep_tf.train",
        # A training may be writing there.
        mirrored=lambda config: "input" if config.output_dir else "output",
    )
    output_dir: str = cli.flag(
        "where the SavedModel goes; by default saved_model/ in the run "
        "directory",
        default="",
        mirrored="output",
    )
    step: int = cli.flag(
        "step of the checkpoint to export; 0 means the newest", default=0
    )
    averaged: bool = cli.flag(
        "of a run that keeps a running average of the generator's weights "
        "(--generator_ema), export the average; --noaveraged exports the "
        "weights of the step itself",
        default=True,
    )
    overwrite: bool = cli.flag(
        "replace an earlier export in --output_dir",
        default=False,
        affects_output=False,
    )


def export(config: ExportConfig) -> Path:
    """Writes the SavedModel and returns its directory."""
    record = runs.read_config(config.run_dir)
    if record["program"] != _TRAINING_PROGRAM:
        raise UserError(
            f"--run_dir={config.run_dir}: expected a run of "
            f"{_TRAINING_PROGRAM}, found one of {record['program']}"
        )
    checkpoint = _checkpoint_path(config)
    output = Path(
        config.output_dir or os.path.join(config.run_dir, runs.SAVED_MODEL)
    )
    with runs.claim(
        output,
        PROGRAM,
        config,
        inputs={"the checkpoint": os.path.basename(checkpoint)},
        overwrite=config.overwrite,
    ) as claim:
        if claim.finished and is_whole(output):
            print(f"{output}: already exported")
            return output
        # Runs older than the flag --method are CycleGANs.
        method = load_method(record["arguments"].get("method", "cyclegan"))
        settings = runs.config_from_record(method.settings, record)
        generator = method.restore(checkpoint, settings, config.averaged)
        write_saved_model(generator, output)
        claim.finish(checkpoint=os.path.basename(checkpoint))
    print(f"{output}: SavedModel of {os.path.basename(checkpoint)}")
    return output


def _checkpoint_path(config: ExportConfig) -> str:
    directory = os.path.join(config.run_dir, runs.CHECKPOINTS)
    steps = [step for step in checkpoint_steps(directory) if step]
    if not steps:
        raise UserError(f"{directory}: expected a checkpoint, found none")
    step = config.step or steps[-1]
    if step not in steps:
        raise UserError(
            f"--step={step}: expected one of {', '.join(map(str, steps))}"
        )
    return os.path.join(directory, f"ckpt-{step}")


if __name__ == "__main__":
    cli.run(export, ExportConfig)
