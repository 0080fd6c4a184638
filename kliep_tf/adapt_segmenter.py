"""Adapts a segmenter to a target domain whose images have no labels.

    python -m kliep_tf.adapt_segmenter --method=adaptsegnet \\
        --source_records=records/gta5 \\
        --target_records='records/cityscapes/train-*' --run_dir=runs/adapted

The segmenter learns from the source's labels and, by --method, from the
target's images. It starts from --segmenter_run, a run of train_segmenter, or
from --backbone_weights. Source records may also be translated ones. With
--weights_dir every term of the losses carries the importance of its image.

The run directory receives what train_segmenter's does: checkpoints, TensorBoard
logs and saved_model/, a segmenter for `evaluate`. The same command again
continues an interrupted run exactly where it stopped. The recipes of the
published methods are configs/adaptsegnet.flags, road.flags and adda.flags.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from kliep_tf import cli, fingerprints, runs, segmenter_flags
from kliep_tf.data import weightings, weights
from kliep_tf.data.augmentation import Augmentation, check_sizes
from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.index import RecordIndex, build_index, image_sizes
from kliep_tf.data.reading import require_labelled_pixels, require_labels
from kliep_tf.data.records import resolve_records
from kliep_tf.errors import UserError
from kliep_tf.segmentation.adaptation.method import Method, Setup
from kliep_tf.segmentation.adaptation.methods import (
    METHODS,
    load_method,
    settings_of,
)
from kliep_tf.segmentation.adaptation.training_run import (
    AdaptationData,
    run_adaptation,
)
from kliep_tf.segmentation.networks import export_segmenter
from kliep_tf.segmentation.signatures import require_classes
from kliep_tf.segmenter_flags import SegmenterFlags
from kliep_tf.train_segmenter import PROGRAM as TRAIN_SEGMENTER
from kliep_tf.training.checkpoints import checkpoint_steps
from kliep_tf.training.saved_models import is_whole

PROGRAM = "kliep_tf.adapt_segmenter"
# Whose runs --segmenter_run may name.
_SEGMENTERS_OF = (TRAIN_SEGMENTER, PROGRAM)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdaptSegmenterConfig(SegmenterFlags):
    """The flags of adapt_segmenter that all methods have.

    A config also has those of its method: see `make_config`.
    """

    source_records: str = cli.flag(
        "labelled records: a directory or a glob",
        read_as="source_records",
        from_store=True,
    )
    target_records: str = cli.flag(
        "records of the target; their labels are not read",
        read_as="target_records",
        from_store=True,
    )
    method: str = cli.flag(
        f"How to adapt: {', '.join(METHODS)}. The flags that a method adds are "
        "shown by --method=NAME --help.",
        default="adaptsegnet",
        adds=settings_of,
    )
    segmenter_run: str = cli.flag(
        "run directory of train_segmenter, of the same --network: its last "
        "checkpoint is adapted",
        default="",
        read_as="segmenter_run",
        mirrored="input",
    )
    target_height: int | None = cli.flag(
        "resize target images to this height; by default to --image_height",
        default=None,
    )
    target_width: int | None = cli.flag(
        "resize target images to this width; by default to --image_width",
        default=None,
    )
    weights_dir: str = cli.flag(
        "directory that estimate_weights wrote: the losses are weighted by the "
        "importance of each image. The default uses no weights, as published.",
        default="",
        read_as="weights",
        mirrored="input",
    )
    weighting: str = cli.flag(
        "exponents: weights to the powers below. overlap: overlap weights, as "
        "kliep_tf.train has them.",
        default="exponents",
        choices=weightings.WEIGHTINGS,
    )
    source_weight_exponent: float = cli.flag(
        "a: source terms carry w**a, renormalised", default=1.0, minimum=0
    )
    target_weight_exponent: float = cli.flag(
        "b: target terms carry psi**b, renormalised", default=1.0, minimum=0
    )
    schedule_steps: int = cli.flag(
        "steps over which --schedule lowers the learning rate; 0 is --steps",
        default=0,
        minimum=0,
    )


def make_config(
    method: str = "adaptsegnet", **flags: Any
) -> AdaptSegmenterConfig:
    """Returns a config of these flags, the method's own among them.

    Raises:
        UserError: there is no such method.
    """
    config_class = cli.combine(AdaptSegmenterConfig, settings_of(method))
    return config_class(method=method, **flags)


def adapt_segmenter(config: AdaptSegmenterConfig) -> None:
    """Adapts, checkpoints and exports one segmenter."""
    segmenter_flags.check_flags(config)
    method = load_method(config.method)
    settings: Any = cli.part_of(config, method.settings)
    paths = resolve_records(config.source_records, "source_records")
    source = build_index(paths)
    require_labels(paths, "source_records")
    require_labelled_pixels(paths, "source_records")
    target = build_index(
        resolve_records(config.target_records, "target_records")
    )
    data = _data(config, source, target)
    setup = _setup(config, data)
    method.check(settings, setup)
    monitoring = segmenter_flags.monitoring(
        config, source.classes, "source_records"
    )
    network_settings = dataclasses.replace(
        segmenter_flags.network_settings(config, source.classes),
        checkpoint=_start_checkpoint(config, source.classes),
    )
    start = network_settings.checkpoint
    inputs = _fingerprints(config, method, settings, data, start)
    with runs.claim(config.run_dir, PROGRAM, config, inputs=inputs) as claim:
        saved_model = claim.directory / runs.SAVED_MODEL
        if claim.finished and is_whole(saved_model):
            print(f"{saved_model}: already done")
            return
        network, remark = run_adaptation(
            data,
            method,
            network_settings.build,
            lambda network, replicate: method.build(
                network, settings, setup, replicate
            ),
            segmenter_flags.loop_settings(config, config.steps),
            monitoring,
            strategy_name=config.distribution,
            run_dir=claim.directory,
        )
        plain = network_settings.plain_copy(network)
        export_segmenter(plain, saved_model, source.classes)
        claim.finish(
            parameters=network.count_params(),
            **({"remark": remark} if remark else {}),
        )
        if remark:
            print(f"warning: {remark}")
        print(f"{saved_model}: segmenter adapted in {config.steps} steps")


def _data(
    config: AdaptSegmenterConfig, source: RecordIndex, target: RecordIndex
) -> AdaptationData:
    """Returns the examples of both domains with their weights."""
    augmentation = Augmentation(
        image_size=cli.size_flags(config, "image"),
        crop_size=cli.size_flags(config, "crop"),
        flip=config.flip,
        color_jitter=config.color_jitter,
        ignore_label=source.classes.ignore_label,
    )
    of_target = dataclasses.replace(
        augmentation,
        image_size=cli.size_flags(config, "target") or augmentation.image_size,
    )
    check_sizes(source, augmentation, "source_records")
    check_sizes(target, of_target, "target_records")
    return AdaptationData(
        source,
        target,
        _weights(config, "source", source),
        _weights(config, "target", target),
        augmentation,
        of_target,
        config.seed,
    )


def _weights(
    config: AdaptSegmenterConfig, domain: str, index: RecordIndex
) -> np.ndarray:
    """Returns float32 [N]: a domain's weights to its exponent, or ones."""
    if not config.weights_dir:
        return np.ones(len(index), np.float32)
    exponents = weightings.exponents_of(
        config.weighting,
        config.source_weight_exponent,
        config.target_weight_exponent,
    )
    found = weights.load_weights(config.weights_dir, domain)
    found = weightings.as_weighting(found, config.weighting)
    values = found.lookup(index.filenames.tolist())
    return weightings.temper(values, exponents[domain])


def _setup(config: AdaptSegmenterConfig, data: AdaptationData) -> Setup:
    steps = config.schedule_steps or config.steps
    if steps < config.steps:
        raise UserError(
            f"--schedule_steps={config.schedule_steps}: expected 0, or "
            f"--steps={config.steps} or more"
        )
    sizes = [
        side
        for index, augmentation in (
            (data.source, data.source_augmentation),
            (data.target, data.target_augmentation),
        )
        for side in augmentation.crop_size
        or augmentation.image_size
        or min(image_sizes(index))
    ]
    return Setup(
        network_name=config.network,
        num_classes=len(data.source.classes),
        ignore_label=data.source.classes.ignore_label,
        global_batch_size=config.batch_size,
        optimizer=segmenter_flags.optimizer_settings(config, steps),
        dtype="mixed_bfloat16" if config.mixed_precision else "float32",
        seed=config.seed,
        least_side=min(sizes),
        sees_parts=config.flip
        or data.source_augmentation.crop_size is not None,
    )


def _start_checkpoint(config: AdaptSegmenterConfig, classes: ClassSet) -> str:
    """Returns the checkpoint that the segmenter starts from, or ""."""
    if not config.segmenter_run:
        return ""
    where = f"--segmenter_run={config.segmenter_run}"
    record = runs.read_config(config.segmenter_run)
    if record["program"] not in _SEGMENTERS_OF:
        raise UserError(
            f"{where}: expected a run of {' or '.join(_SEGMENTERS_OF)}, found "
            f"one of {record['program']}"
        )
    if record.get("status") != "complete":
        raise UserError(
            f"{where}: expected a finished training, found one that is not; "
            "its own command continues it"
        )
    directory = Path(config.segmenter_run) / runs.CHECKPOINTS
    steps = checkpoint_steps(directory)
    if not steps:
        raise UserError(f"{where}: expected checkpoints, found none")
    found = record["arguments"].get("network")
    if found != config.network:
        raise UserError(
            f"{where}: expected --network={config.network}, found {found}"
        )
    require_classes(Path(config.segmenter_run) / runs.SAVED_MODEL, classes)
    return str(directory / f"ckpt-{steps[-1]}")


def _fingerprints(
    config: AdaptSegmenterConfig,
    method: Method,
    settings: Any,
    data: AdaptationData,
    start: str,
) -> dict[str, str]:
    """Returns fingerprints by which a replaced input is noticed."""
    inputs = {
        "source_records": fingerprints.of(data.source.paths),
        "target_records": fingerprints.of(data.target.paths),
        **segmenter_flags.backbone_fingerprint(config),
    }
    if config.weights_dir:
        paths = [
            weights.weights_path(config.weights_dir, domain)
            for domain in weights.DOMAINS
        ]
        inputs["weights"] = fingerprints.of(paths)
    if start:
        inputs["segmenter_run"] = fingerprints.of([f"{start}.index"])
    files = method.files(settings)
    if files:
        inputs[f"{config.method} files"] = fingerprints.of(files)
    return inputs


if __name__ == "__main__":
    cli.run(adapt_segmenter, AdaptSegmenterConfig)
