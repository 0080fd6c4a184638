"""Copies records, each example with its importance weight.

An example's weight is found by its filename in the weights that
estimate_weights wrote. Images and labels are copied byte for byte, and shards
keep their names. The input is left as it is.

The same command again continues interrupted work.
"""

import dataclasses
import functools
import os
from collections.abc import Sequence
from pathlib import Path

# Before TensorFlow, whose notices it hushes.
from kliep_tf import cli, fingerprints, runs

# isort: split
from kliep_tf.data import records, summaries, weights
from kliep_tf.data.files import is_address
from kliep_tf.errors import UserError
from kliep_tf.progress import ProgressBar
from kliep_tf.shard_runners import LOCAL, RunnerFlags, check_runner, run_on_beam
from kliep_tf.stores.addresses import address_of
from tfrecords_tools.weighted_shards import copy_apart, copy_with_weights


@dataclasses.dataclass(frozen=True)
class AttachWeightsConfig(RunnerFlags):
    """The flags of attach_weights."""

    records: str = cli.flag(
        "the records of one split: a directory or a glob",
        affects_output=False,
        from_store=True,
    )
    weights_dir: str = cli.flag(
        "the directory that estimate_weights wrote",
        affects_output=False,
        mirrored="input",
    )
    domain: str = cli.flag(
        "which domain's weights: source for rendered images, target for real "
        "ones",
        choices=weights.DOMAINS,
    )
    output_dir: str = cli.flag(
        "where the new shards go. By default the records' directory with "
        "_weighted behind its name.",
        default="",
        affects_output=False,
        mirrored="output",
    )


def attach_weights(config: AttachWeightsConfig) -> None:
    """Copies every shard with the weights attached."""
    check_runner(config)
    importance = weights.load_weights(config.weights_dir, config.domain)
    shards = records.resolve_records(config.records, "records")
    split = _only_split(shards, config)
    input_dir = os.path.dirname(shards[0])
    output_dir = _output_dir(config, input_dir)
    summary = summaries.read_summary(input_dir, split)
    if summary is not None and set(summary.shards) != set(
        map(os.path.basename, shards)
    ):
        print(
            f"note: {os.path.join(input_dir, summaries.DATASET_JSON)} "
            f"describes other shards of {split} than --records names; none is "
            "written"
        )
        summary = None
    if summary is not None:
        # An example without a weight is named now, not hours later.
        for shard in shards:
            importance.lookup(summary.shards[os.path.basename(shard)])
    weights_file = weights.weights_path(config.weights_dir, config.domain)
    with runs.claim(
        output_dir,
        "tfrecords_tools.attach_weights",
        config,
        inputs={
            "records": fingerprints.of(shards),
            "weights": fingerprints.of([weights_file]),
        },
        part=split,
    ) as claim:
        missing = [
            shard
            for shard in shards
            if not (output_dir / os.path.basename(shard)).exists()
        ]
        if claim.finished and not missing:
            print(f"{output_dir}: {split} is already done")
            return
        if len(missing) < len(shards):
            print(
                f"continuing: {len(shards) - len(missing)} of {len(shards)} "
                "shards are there"
            )
        if config.runner == LOCAL:
            _copy_shards(missing, output_dir, importance)
        elif missing:
            copy = functools.partial(
                copy_apart, output_dir=output_dir, importance=importance
            )
            run_on_beam(copy, missing, config)
        if summary is not None:
            summaries.write_summary(output_dir, _amended(summary, config))
        claim.finish()
    print(f"{output_dir}: {len(shards)} shards of {split} with weights")


def _output_dir(config: AttachWeightsConfig, input_dir: str) -> Path:
    """Returns where the new shards go.

    Raises:
        UserError: it is where the records are, or must be given.
    """
    stored = is_address(input_dir)
    if stored and not config.output_dir:
        raise UserError(
            f"--output_dir is missing: expected one for {config.records}"
        )
    output_dir = Path(
        config.output_dir or f"{os.path.abspath(input_dir)}_weighted"
    )
    same = (
        address_of(config.output_dir) == input_dir
        if stored
        else output_dir.resolve() == Path(input_dir).resolve()
    )
    if same:
        raise UserError(
            f"--output_dir={output_dir}: expected another directory than that "
            "of the records, which are not overwritten"
        )
    return output_dir


def _only_split(shards: Sequence[str], config: AttachWeightsConfig) -> str:
    """Returns the shards' split.

    Raises:
        UserError: there are several, or several directories.
    """
    found = sorted(
        {
            os.path.join(os.path.dirname(path), records.split_of(path))
            for path in shards
        }
    )
    if len(found) > 1:
        raise UserError(
            f"--records={config.records}: expected one split in one directory, "
            f"found {', '.join(found)}"
        )
    return records.split_of(shards[0])


def _copy_shards(
    shards: Sequence[str],
    output_dir: Path,
    importance: weights.ImportanceWeights,
) -> None:
    with ProgressBar(len(shards), "attaching weights", "shard") as bar:
        for shard in shards:
            copy_with_weights(shard, output_dir, importance)
            bar.update()


def _amended(
    summary: summaries.SplitSummary, config: AttachWeightsConfig
) -> summaries.SplitSummary:
    """Returns the summary of the records with weights."""
    return dataclasses.replace(
        summary,
        arguments={
            **summary.arguments,
            "attach_weights": runs.arguments_of(config),
        },
        versions=runs.versions(),
    )


if __name__ == "__main__":
    cli.run(attach_weights, AttachWeightsConfig)
