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

from kliep_tf import cli, fingerprints, runs, segmenter_flags
from kliep_tf.data import records
from kliep_tf.data.augmentation import Augmentation, check_sizes
from kliep_tf.data.index import RecordIndex, build_index
from kliep_tf.data.reading import (
    labelled_examples,
    require_labelled_pixels,
    require_labels,
)
from kliep_tf.data.weights import load_weights, weights_path
from kliep_tf.errors import UserError
from kliep_tf.segmentation.example_weights import (
    read_example_weights,
    resample,
)
from kliep_tf.segmentation.networks import export_segmenter
from kliep_tf.segmentation.training_run import SegmentationData, run_training
from kliep_tf.segmenter_flags import TrainSegmenterConfig
from kliep_tf.training.saved_models import is_whole

PROGRAM = "kliep_tf.train_segmenter"


def train_segmenter(config: TrainSegmenterConfig) -> None:
    """Trains, checkpoints and exports one segmenter."""
    _check(config)
    paths = records.resolve_records(config.train_records, "train_records")
    if not config.labelled_only:
        require_labels(paths, "train_records")
        require_labelled_pixels(paths, "train_records")
    index = _index(config, paths)
    augmentation = _augmentation(config, index)
    check_sizes(index, augmentation, "train_records")
    monitoring = segmenter_flags.monitoring(
        config, index.classes, "train_records"
    )
    inputs = _fingerprints(config, paths)
    with runs.claim(config.run_dir, PROGRAM, config, inputs=inputs) as claim:
        saved_model = claim.directory / runs.SAVED_MODEL
        if claim.finished and is_whole(saved_model):
            print(f"{saved_model}: already done")
            return
        steps = _num_steps(config, index)
        settings = segmenter_flags.network_settings(config, index.classes)
        network = run_training(
            _data(config, index, augmentation, steps),
            settings,
            segmenter_flags.optimizer_settings(config, steps),
            segmenter_flags.loop_settings(config, steps),
            monitoring,
            strategy_name=config.distribution,
            seed=config.seed,
            run_dir=claim.directory,
        )
        plain = settings.plain_copy(network)
        export_segmenter(plain, saved_model, index.classes)
        claim.finish(parameters=network.count_params(), steps=steps)
        print(f"{saved_model}: segmenter of {steps} steps")


def _check(config: TrainSegmenterConfig) -> None:
    segmenter_flags.check_flags(config)
    if config.example_weights == "none" and config.weights_dir:
        raise UserError(
            f"--weights_dir={config.weights_dir}: expected --example_weights="
            "loss or sample, found none"
        )


def _index(config: TrainSegmenterConfig, paths: list[str]) -> RecordIndex:
    """Returns the training examples."""
    index = build_index(paths)
    if not config.labelled_only:
        return index
    rows = np.flatnonzero(labelled_examples(paths))
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
    inputs = {
        "train_records": fingerprints.of(paths),
        **segmenter_flags.backbone_fingerprint(config),
    }
    if config.weights_dir:
        # Raises a UserError where there are no weights.
        load_weights(config.weights_dir, "source")
        path = weights_path(config.weights_dir, "source")
        inputs["weights"] = fingerprints.of([path])
    return inputs


def _data(
    config: TrainSegmenterConfig,
    index: RecordIndex,
    augmentation: Augmentation,
    steps: int,
) -> SegmentationData:
    """Returns the data, weighted or resampled as asked."""
    if config.example_weights == "none":
        return SegmentationData(index, augmentation)
    weights = read_example_weights(index, config.weights_dir)
    if config.example_weights == "loss":
        return SegmentationData(index, augmentation, weights)
    num_draws = steps * config.batch_size
    index = resample(index, weights, num_draws, config.seed)
    return SegmentationData(index, augmentation)


def _num_steps(config: TrainSegmenterConfig, index: RecordIndex) -> int:
    if not config.epochs:
        return config.steps
    return math.ceil(config.epochs * len(index) / config.batch_size)


def _augmentation(
    config: TrainSegmenterConfig, index: RecordIndex
) -> Augmentation:
    return Augmentation(
        image_size=cli.size_flags(config, "image"),
        crop_size=cli.size_flags(config, "crop"),
        flip=config.flip,
        color_jitter=config.color_jitter,
        min_scale=config.min_scale,
        max_scale=config.max_scale,
        pads=True,
        ignore_label=index.classes.ignore_label,
    )


if __name__ == "__main__":
    cli.run(train_segmenter, TrainSegmenterConfig)
