"""Flags that the programs share which train a segmenter, and their checks."""

import dataclasses

from kliep_tf import cli, fingerprints
from kliep_tf.data import records
from kliep_tf.data.class_sets import ClassSet, require_same_classes
from kliep_tf.data.reading import require_labels
from kliep_tf.data.summaries import class_set_of
from kliep_tf.data.tensors import tensor_files
from kliep_tf.segmentation import example_weights
from kliep_tf.segmentation.monitoring import Monitoring
from kliep_tf.segmentation.networks import NETWORKS, NetworkSettings
from kliep_tf.segmentation.optimizers import (
    OPTIMIZERS,
    SCHEDULES,
    OptimizerSettings,
)
from kliep_tf.training import distribution
from kliep_tf.training.loop import LoopSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmenterFlags:
    """The flags of any training of a segmenter.

    Keyword-only, so that a class that inherits them may have required flags.
    """

    run_dir: str = cli.flag(
        "where checkpoints, logs and the model go", mirrored="output"
    )
    network: str = cli.flag(
        "the segmentation network", default="tiny", choices=NETWORKS
    )
    backbone_weights: str = cli.flag(
        "file of pretrained weights: *.weights.h5 of Keras, *.pth, *.npz "
        "or *.safetensors with PyTorch's names, or the prefix of a TensorFlow "
        "checkpoint of Xception-65. The default initializes at random.",
        default="",
        read_as="backbone_weights",
        mirrored="input",
    )
    freeze_batch_norm: bool = cli.flag(
        "keep the batch normalisation that --backbone_weights or "
        "--segmenter_run loaded as it is; without these it has no effect",
        default=False,
    )
    freeze_backbone: bool = cli.flag(
        "keep all of the backbone that --backbone_weights or --segmenter_run "
        "loaded as it is and train the rest: what it learned from photographs "
        "then serves in a domain that shows none",
        default=False,
    )
    steps: int = cli.flag("number of training steps", default=1200, minimum=1)
    batch_size: int = cli.flag(
        "images in a step, over all devices", default=8, minimum=1
    )
    optimizer: str = cli.flag(
        "Adam, or stochastic gradient descent with --momentum",
        default="adam",
        choices=OPTIMIZERS,
    )
    learning_rate: float = cli.flag(
        "learning rate of the first step; --schedule lowers it",
        default=2e-3,
        above=0,
    )
    schedule: str = cli.flag(
        "poly multiplies the learning rate by (1 - step / steps)^0.9; step "
        "divides it by ten after each --drop_every of the steps; constant "
        "keeps it",
        default="poly",
        choices=SCHEDULES,
    )
    drop_every: float = cli.flag(
        "share of the steps between two drops of --schedule=step",
        default=0.5,
        above=0,
    )
    momentum: float = cli.flag(
        "momentum of --optimizer=sgd", default=0.9, minimum=0, below=1
    )
    weight_decay: float = cli.flag(
        "L2 penalty of the convolutions' kernels", default=0.0, minimum=0
    )
    head_learning_rate_factor: float = cli.flag(
        "learning rate of the layers after the backbone, as a multiple of the "
        "backbone's; for --optimizer=sgd and networks with a backbone",
        default=1.0,
        above=0,
    )
    image_height: int | None = cli.flag(
        "resize images and labels to this height; with --image_width",
        default=None,
    )
    image_width: int | None = cli.flag(
        "resize images and labels to this width; with --image_height",
        default=None,
    )
    crop_height: int | None = cli.flag(
        "height of a random crop; with --crop_width", default=None
    )
    crop_width: int | None = cli.flag(
        "width of a random crop; with --crop_height", default=None
    )
    flip: bool = cli.flag("mirror half of the images, at random", default=True)
    color_jitter: float = cli.flag(
        "strength of random colour changes: 0 is none, 1 strong. They make a "
        "segmenter work in a domain with other colours.",
        default=1.0,
        minimum=0,
    )
    val_records: str = cli.flag(
        "labelled records for IoU curves in TensorBoard",
        default="",
        affects_output=False,
        from_store=True,
    )
    val_every: int = cli.flag(
        "steps between two points of the IoU curves",
        default=500,
        affects_output=False,
        minimum=1,
    )
    mixed_precision: bool = cli.flag(
        "compute in bfloat16, which some devices do faster", default=False
    )
    distribution: str = cli.flag(
        "none: one device; mirrored: all GPUs of this machine",
        default="none",
        choices=distribution.STRATEGIES,
    )
    seed: int = cli.flag(
        "seed of initial weights, shuffling and augmentation", default=0
    )
    checkpoint_every: int = cli.flag(
        "steps between checkpoints",
        default=200,
        affects_output=False,
        minimum=1,
    )
    log_every: int = cli.flag(
        "steps between points of TensorBoard's curves",
        default=20,
        affects_output=False,
        minimum=1,
    )
    picture_every: int = cli.flag(
        "steps between pictures in TensorBoard",
        default=200,
        affects_output=False,
        minimum=1,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainSegmenterConfig(SegmenterFlags):
    """The flags of train_segmenter."""

    train_records: str = cli.flag(
        "labelled records: a directory or a glob",
        read_as="train_records",
        from_store=True,
    )
    labelled_only: bool = cli.flag(
        "train on the labelled images of records of which only a part is "
        "labelled. Without it such records are refused.",
        default=False,
    )
    epochs: int = cli.flag(
        "number of passes over the images; 0 trains for --steps",
        default=0,
        minimum=0,
    )
    min_scale: float = cli.flag(
        "least random scale of an image, before the crop. Where the image is "
        "then smaller than the crop, it is padded with grey, ignored pixels.",
        default=1.0,
        above=0,
    )
    max_scale: float = cli.flag(
        "largest random scale of an image", default=1.0, above=0
    )
    example_weights: str = cli.flag(
        "use of importance weights: loss multiplies each image's loss by its "
        "weight, sample draws images in proportion to them",
        default="none",
        choices=example_weights.USES,
    )
    weights_dir: str = cli.flag(
        "directory that estimate_weights wrote; its source weights are used. "
        "The default uses image/importance_weight of the records.",
        default="",
        read_as="weights",
        mirrored="input",
    )


def check_flags(config: SegmenterFlags) -> None:
    """Raises a UserError for a flag with an unusable value."""
    cli.check(config)
    cli.require_seed(config)
    optimizer_settings(config, config.steps).check()


def network_settings(
    config: SegmenterFlags, classes: ClassSet
) -> NetworkSettings:
    """Returns which network the flags ask for."""
    return NetworkSettings(
        name=config.network,
        seed=config.seed,
        num_classes=len(classes),
        mixed_precision=config.mixed_precision,
        backbone_weights=config.backbone_weights,
        freeze_batch_norm=config.freeze_batch_norm,
        freeze_backbone=config.freeze_backbone,
    )


def optimizer_settings(
    config: SegmenterFlags, num_steps: int
) -> OptimizerSettings:
    """Returns the optimizer, whose rate falls over `num_steps`."""
    return OptimizerSettings(
        num_steps=num_steps,
        learning_rate=config.learning_rate,
        optimizer=config.optimizer,
        momentum=config.momentum,
        schedule=config.schedule,
        drop_every=config.drop_every,
        weight_decay=config.weight_decay,
        head_learning_rate_factor=config.head_learning_rate_factor,
    )


def loop_settings(config: SegmenterFlags, num_steps: int) -> LoopSettings:
    """Returns how long to train and how often to save."""
    return LoopSettings(
        num_steps=num_steps,
        batch_size=config.batch_size,
        checkpoint_every=config.checkpoint_every,
        log_every=config.log_every,
    )


def monitoring(
    config: SegmenterFlags, classes: ClassSet, trained_on: str
) -> Monitoring:
    """Returns what TensorBoard shows beside the losses.

    Args:
        config: the flags.
        classes: of the training records.
        trained_on: the flag that names them, for messages.

    Raises:
        UserError: --val_records have no labels, or labels of other classes.
    """
    paths: list[str] = []
    if config.val_records:
        paths = records.resolve_records(config.val_records, "val_records")
        require_labels(paths, "val_records")
        found = class_set_of(paths)
        require_same_classes(classes, f"--{trained_on}", found, "--val_records")
    return Monitoring(config.picture_every, config.val_every, tuple(paths))


def backbone_fingerprint(config: SegmenterFlags) -> dict[str, str]:
    """Returns what shows that --backbone_weights were replaced."""
    if not config.backbone_weights:
        return {}
    files = tensor_files(config.backbone_weights)
    return {"backbone_weights": fingerprints.of(files)}
