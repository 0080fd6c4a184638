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

import dataclasses
import math

from kliep_tf import cli, runs
from kliep_tf.data import records
from kliep_tf.data.augmentation import Augmentation
from kliep_tf.data.index import RecordIndex, build_index
from kliep_tf.data.reading import require_labels
from kliep_tf.data.tensors import tensor_files
from kliep_tf.errors import UserError
from kliep_tf.segmentation import example_weights
from kliep_tf.segmentation.augmentation import SegmentationAugmentation
from kliep_tf.segmentation.exporting import export_segmenter
from kliep_tf.segmentation.networks import NETWORKS
from kliep_tf.segmentation.optimizers import (
    OPTIMIZERS,
    SCHEDULES,
    OptimizerSettings,
)
from kliep_tf.segmentation.run import (
    NetworkSettings,
    SegmentationData,
    run_training,
)
from kliep_tf.training import distribution
from kliep_tf.training.loop import LoopSettings


@dataclasses.dataclass(frozen=True)
class TrainSegmenterConfig:
    """The flags of train_segmenter."""

    train_records: str = cli.flag("Labelled records: a directory or a glob.")
    run_dir: str = cli.flag("Where checkpoints, logs and the model go.")
    network: str = cli.flag(
        "The segmentation network.", default="tiny", choices=tuple(NETWORKS)
    )
    backbone_weights: str = cli.flag(
        "File of pretrained weights: *.weights.h5 of Keras, *.npz or "
        "*.safetensors of PyTorch's names, or the prefix of a TensorFlow "
        "checkpoint of Xception-65. Random weights without it.",
        default="",
    )
    freeze_batch_norm: bool = cli.flag(
        "Where --backbone_weights are loaded, keep their batch normalisation "
        "as it is; random weights have theirs trained.",
        default=False,
    )
    steps: int = cli.flag("Number of training steps.", default=1200)
    epochs: int = cli.flag(
        "Passes over the images, instead of --steps where it is not 0.",
        default=0,
    )
    batch_size: int = cli.flag("Images a step, over all devices.", default=8)
    optimizer: str = cli.flag(
        "Adam, or stochastic gradient descent with --momentum.",
        default="adam",
        choices=OPTIMIZERS,
    )
    learning_rate: float = cli.flag(
        "Rate of the first step; --schedule lowers it.", default=2e-3
    )
    schedule: str = cli.flag(
        "poly: to almost 0 by (1 - step / steps)^0.9; step: a tenth after each "
        "--drop_every of the steps.",
        default="poly",
        choices=SCHEDULES,
    )
    drop_every: float = cli.flag(
        "Share of the steps between two drops of --schedule=step.", default=0.5
    )
    momentum: float = cli.flag("Of --optimizer=sgd.", default=0.9)
    weight_decay: float = cli.flag(
        "L2 penalty of the convolutions' kernels.", default=0.0
    )
    head_learning_rate_factor: float = cli.flag(
        "How many times faster than the backbone the rest of the network "
        "learns, with --optimizer=sgd.",
        default=1.0,
    )
    image_height: int | None = cli.flag(
        "Resize images and labels to this height; with --image_width.",
        default=None,
    )
    image_width: int | None = cli.flag(
        "Resize images and labels to this width; with --image_height.",
        default=None,
    )
    crop_height: int | None = cli.flag(
        "Height of a random crop; with --crop_width.", default=None
    )
    crop_width: int | None = cli.flag(
        "Width of a random crop; with --crop_height.", default=None
    )
    min_scale: float = cli.flag(
        "Least random factor of the size, before the crop. What the crop has "
        "more than the image is grey and ignored.",
        default=1.0,
    )
    max_scale: float = cli.flag(
        "Largest random factor of the size.", default=1.0
    )
    flip: bool = cli.flag("Mirror half of the images.", default=True)
    color_jitter: float = cli.flag(
        "Strength of random colours: 0 is none, 1 strong. It is what carries "
        "a segmenter over to a domain with other colours.",
        default=1.0,
    )
    example_weights: str = cli.flag(
        "Use of importance weights: loss weights each image's loss, sample "
        "draws images by their weights.",
        default="none",
        choices=example_weights.USES,
    )
    weights_dir: str = cli.flag(
        "Directory of estimate_weights whose source weights are used; without "
        "it image/importance_weight of the records.",
        default="",
    )
    val_records: str = cli.flag(
        "Labelled records for IoU curves in TensorBoard.",
        default="",
        affects_output=False,
    )
    val_every: int = cli.flag(
        "Steps between two points of the IoU curves.",
        default=500,
        affects_output=False,
    )
    mixed_precision: bool = cli.flag(
        "Compute in bfloat16 where the device is faster in it.", default=False
    )
    distribution: str = cli.flag(
        "none: one device; mirrored: all GPUs of this machine.",
        default="none",
        choices=distribution.STRATEGIES,
    )
    seed: int = cli.flag(
        "Of the initial weights, the shuffle and the augmentation.", default=0
    )
    checkpoint_every: int = cli.flag(
        "Steps between checkpoints.", default=200, affects_output=False
    )
    log_every: int = cli.flag(
        "Steps between lines of TensorBoard.", default=20, affects_output=False
    )
    picture_every: int = cli.flag(
        "Steps between pictures in TensorBoard.",
        default=200,
        affects_output=False,
    )


def train_segmenter(config: TrainSegmenterConfig) -> None:
    """Trains, checkpoints and exports one segmenter."""
    _check(config)
    paths = records.resolve_records(config.train_records, "train_records")
    index = build_index(paths)
    augmentation = _augmentation(config)
    augmentation.check(index, "train_records")
    require_labels(paths, "train_records")
    val_paths = _val_paths(config)
    inputs = {"train_records": runs.fingerprint(paths)}
    if config.backbone_weights:
        files = tensor_files(config.backbone_weights)
        inputs["backbone_weights"] = runs.fingerprint(files)
    with runs.claim(
        config.run_dir, "kliep_tf.train_segmenter", config, inputs=inputs
    ) as claim:
        saved_model = claim.directory / runs.SAVED_MODEL
        if claim.finished:
            print(f"{saved_model}: already done")
            return
        steps = _num_steps(config, index)
        network_settings = _network_settings(config)
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
        export_segmenter(network_settings.plain_copy(network), saved_model)
        claim.finish(parameters=network.count_params(), steps=steps)
        print(f"{saved_model}: segmenter of {steps} steps")


def _data(
    config: TrainSegmenterConfig,
    index: RecordIndex,
    augmentation: SegmentationAugmentation,
    val_paths: tuple[str, ...],
    steps: int,
) -> SegmentationData:
    """Returns the data, weighted or resampled as asked."""
    weights = None
    if config.example_weights != "none":
        weights = example_weights.read_example_weights(
            index, config.weights_dir
        )
    if config.example_weights == "sample":
        num_draws = steps * config.batch_size
        index = example_weights.resample(index, weights, num_draws, config.seed)
        weights = None
    return SegmentationData(index, augmentation, weights, val_paths)


def _num_steps(config: TrainSegmenterConfig, index: RecordIndex) -> int:
    if not config.epochs:
        return config.steps
    return math.ceil(config.epochs * len(index) / config.batch_size)


def _val_paths(config: TrainSegmenterConfig) -> tuple[str, ...]:
    if not config.val_records:
        return ()
    paths = records.resolve_records(config.val_records, "val_records")
    require_labels(paths, "val_records")
    return tuple(paths)


def _network_settings(config: TrainSegmenterConfig) -> NetworkSettings:
    return NetworkSettings(
        name=config.network,
        seed=config.seed,
        mixed_precision=config.mixed_precision,
        backbone_weights=config.backbone_weights,
        freeze_batch_norm=config.freeze_batch_norm,
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


def _augmentation(config: TrainSegmenterConfig) -> SegmentationAugmentation:
    base = Augmentation(
        image_size=_pair(config, "image"),
        crop_size=_pair(config, "crop"),
        flip=config.flip,
        color_jitter=config.color_jitter,
    )
    return SegmentationAugmentation(base, config.min_scale, config.max_scale)


def _pair(config: TrainSegmenterConfig, name: str) -> tuple[int, int] | None:
    """Returns (height, width) of --NAME_height and --NAME_width, or None."""
    height = getattr(config, f"{name}_height")
    width = getattr(config, f"{name}_width")
    if height is None and width is None:
        return None
    if height is None or width is None or min(height, width) < 1:
        raise UserError(
            f"--{name}_height={height} --{name}_width={width}: expected both "
            "or neither, 1 or more"
        )
    return height, width


def _check(config: TrainSegmenterConfig) -> None:
    cli.require_positive(
        config,
        "steps",
        "batch_size",
        "checkpoint_every",
        "log_every",
        "picture_every",
        "val_every",
    )
    for name in ("epochs", "color_jitter"):
        if not getattr(config, name) >= 0:
            raise UserError(
                f"--{name}={getattr(config, name)}: expected 0 or more"
            )
    _optimizer_settings(config, config.steps).check()
    if config.example_weights == "none" and config.weights_dir:
        raise UserError(
            f"--weights_dir={config.weights_dir}: expected --example_weights="
            "loss or sample, found none"
        )


if __name__ == "__main__":
    cli.run(train_segmenter, TrainSegmenterConfig)
