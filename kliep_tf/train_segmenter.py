"""Trains a segmentation network on labelled records and exports it.

    python -m kliep_tf.train_segmenter --train_records=records/gta5 \\
        --run_dir=runs/segmenter

The run directory receives checkpoints, TensorBoard logs and, at the end,
saved_model/: a segmenter for `evaluate --segmenter` and for
`estimate_weights --features=segmenter_histogram --segmenter`. The same command
again continues an interrupted run exactly where it stopped. The recipes of the
published networks are configs/drn_c_26.flags, deeplab_v3plus.flags and
deeplab_v2.flags.
"""

import math

import numpy as np

from kliep_tf import cli, runs
from kliep_tf.data import records
from kliep_tf.data.augmentation import Augmentation, check_sizes
from kliep_tf.data.class_sets import ClassSet, require_same_classes
from kliep_tf.data.index import RecordIndex, build_index
from kliep_tf.data.reading import labelled_examples, require_labels
from kliep_tf.data.summaries import class_set_of
from kliep_tf.data.tensors import tensor_files
from kliep_tf.data.weights import load_weights, weights_path
from kliep_tf.errors import UserError
from kliep_tf.segmentation.example_weights import (
    read_example_weights,
    resample,
)
from kliep_tf.segmentation.networks import NetworkSettings, export_segmenter
from kliep_tf.segmentation.optimizers import OptimizerSettings
from kliep_tf.segmentation.training_run import SegmentationData, run_training
from kliep_tf.segmenter_flags import TrainSegmenterConfig, check_flags
from kliep_tf.training.loop import LoopSettings
from kliep_tf.training.saved_models import is_whole


def train_segmenter(config: TrainSegmenterConfig) -> None:
    """Trains, checkpoints and exports one segmenter."""
    check_flags(config)
    _optimizer_settings(config, config.steps).check()
    paths = records.resolve_records(config.train_records, "train_records")
    if not config.labelled_only:
        require_labels(paths, "train_records")
    index = _index(config, paths)
    classes = index.classes
    augmentation = _augmentation(config, classes)
    check_sizes(index, augmentation, "train_records")
    val_paths = _val_paths(config, classes)
    with runs.claim(
        config.run_dir,
        "kliep_tf.train_segmenter",
        config,
        inputs=_fingerprints(config, paths),
    ) as claim:
        saved_model = claim.directory / runs.SAVED_MODEL
        if claim.finished and is_whole(saved_model):
            print(f"{saved_model}: already done")
            return
        steps = _num_steps(config, index)
        network_settings = _network_settings(config, len(classes))
        network = run_training(
            _data(config, index, augmentation, val_paths, steps),
            network_settings,
            _optimizer_settings(config, steps),
            _loop_settings(config, steps),
            strategy_name=config.distribution,
            picture_every=config.picture_every,
            val_every=config.val_every,
            seed=config.seed,
            run_dir=claim.directory,
        )
        plain = network_settings.plain_copy(network)
        export_segmenter(plain, saved_model, classes)
        claim.finish(parameters=network.count_params(), steps=steps)
        print(f"{saved_model}: segmenter of {steps} steps")


def _index(config: TrainSegmenterConfig, paths: list[str]) -> RecordIndex:
    """Returns the training examples."""
    index = build_index(paths)
    if not config.labelled_only:
        return index
    rows = np.flatnonzero(labelled_examples(paths, index.classes.ignore_label))
    if not len(rows):
        raise UserError(
            f"--train_records={config.train_records}: expected some labelled "
            f"images, found none among {len(index)}"
        )
    return index.select(rows)


def _fingerprints(
    config: TrainSegmenterConfig, paths: list[str]
) -> dict[str, str]:
    """Returns fingerprints by which a replaced input is noticed."""
    inputs = {"train_records": runs.fingerprint(paths)}
    if config.backbone_weights:
        files = tensor_files(config.backbone_weights)
        inputs["backbone_weights"] = runs.fingerprint(files)
    if config.weights_dir:
        # Raises a UserError where there are no weights.
        load_weights(config.weights_dir, "source")
        path = weights_path(config.weights_dir, "source")
        inputs["weights"] = runs.fingerprint([path])
    return inputs


def _data(
    config: TrainSegmenterConfig,
    index: RecordIndex,
    augmentation: Augmentation,
    val_paths: tuple[str, ...],
    steps: int,
) -> SegmentationData:
    """Returns the data, weighted or resampled as asked."""
    weights = None
    if config.example_weights != "none":
        weights = read_example_weights(index, config.weights_dir)
        if config.example_weights == "sample":
            num_draws = steps * config.batch_size
            index = resample(index, weights, num_draws, config.seed)
            weights = None
    return SegmentationData(index, augmentation, weights, val_paths)


def _num_steps(config: TrainSegmenterConfig, index: RecordIndex) -> int:
    if not config.epochs:
        return config.steps
    return math.ceil(config.epochs * len(index) / config.batch_size)


def _val_paths(
    config: TrainSegmenterConfig, classes: ClassSet
) -> tuple[str, ...]:
    if not config.val_records:
        return ()
    paths = records.resolve_records(config.val_records, "val_records")
    require_labels(paths, "val_records")
    require_same_classes(
        classes, "--train_records", class_set_of(paths), "--val_records"
    )
    return tuple(paths)


def _network_settings(
    config: TrainSegmenterConfig, num_classes: int
) -> NetworkSettings:
    return NetworkSettings(
        name=config.network,
        seed=config.seed,
        num_classes=num_classes,
        mixed_precision=config.mixed_precision,
        backbone_weights=config.backbone_weights,
        freeze_batch_norm=config.freeze_batch_norm,
        freeze_backbone=config.freeze_backbone,
    )


def _optimizer_settings(
    config: TrainSegmenterConfig, steps: int
) -> OptimizerSettings:
    return OptimizerSettings(
        num_steps=steps,
        learning_rate=config.learning_rate,
        optimizer=config.optimizer,
        momentum=config.momentum,
        schedule=config.schedule,
        drop_every=config.drop_every,
        weight_decay=config.weight_decay,
        head_learning_rate_factor=config.head_learning_rate_factor,
    )


def _loop_settings(config: TrainSegmenterConfig, steps: int) -> LoopSettings:
    return LoopSettings(
        num_steps=steps,
        batch_size=config.batch_size,
        checkpoint_every=config.checkpoint_every,
        log_every=config.log_every,
    )


def _augmentation(
    config: TrainSegmenterConfig, classes: ClassSet
) -> Augmentation:
    return Augmentation(
        image_size=cli.size_flags(config, "image"),
        crop_size=cli.size_flags(config, "crop"),
        flip=config.flip,
        color_jitter=config.color_jitter,
        min_scale=config.min_scale,
        max_scale=config.max_scale,
        pads=True,
        ignore_label=classes.ignore_label,
    )


if __name__ == "__main__":
    cli.run(train_segmenter, TrainSegmenterConfig)
