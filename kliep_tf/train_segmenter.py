"""Trains a segmentation network on labelled records and exports it.

    python -m kliep_tf.train_segmenter --train_records=records/gta5 \
        --run_dir=runs/segmenter

The run directory receives checkpoints, TensorBoard logs and, at the end,
saved_model/: a segmenter for `evaluate --segmenter` and for
`estimate_weights --features=segmenter_histogram --segmenter`. The same command
again continues an interrupted run exactly where it stopped.
"""

import dataclasses
from pathlib import Path

from kliep_tf import cli, runs
from kliep_tf.data import pipeline, records
from kliep_tf.data.augmentation import check_sizes
from kliep_tf.data.datasets import NUM_CLASSES
from kliep_tf.data.index import RecordIndex, build_index
from kliep_tf.data.reading import require_labels
from kliep_tf.errors import UserError
from kliep_tf.segmentation.exporting import export_segmenter
from kliep_tf.segmentation.networks import NETWORKS, Network
from kliep_tf.segmentation.pictures import make_pictures
from kliep_tf.segmentation.training import make_optimizer, make_train_step
from kliep_tf.training import distribution
from kliep_tf.training.checkpoints import Checkpoints
from kliep_tf.training.loop import Hook, LoopSettings, run_steps


@dataclasses.dataclass(frozen=True)
class TrainSegmenterConfig:
    """The flags of train_segmenter."""

    train_records: str = cli.flag("Labelled records: a directory or a glob.")
    run_dir: str = cli.flag("Where checkpoints, logs and the model go.")
    network: str = cli.flag(
        "The segmentation network.", default="tiny", choices=tuple(NETWORKS)
    )
    steps: int = cli.flag("Number of training steps.", default=1200)
    batch_size: int = cli.flag("Images a step, over all devices.", default=8)
    learning_rate: float = cli.flag(
        "Adam's first rate; it falls to almost 0 (polynomial, power 0.9).",
        default=2e-3,
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
    flip: bool = cli.flag("Mirror half of the images.", default=True)
    color_jitter: float = cli.flag(
        "Strength of random colours: 0 is none, 1 strong. It is what carries "
        "a segmenter over to a domain with other colours.",
        default=1.0,
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
    check_sizes(index, augmentation, "train_records")
    require_labels(paths, "train_records")
    inputs = {"train_records": runs.fingerprint(paths)}
    with runs.claim(
        config.run_dir, "kliep_tf.train_segmenter", config, inputs=inputs
    ) as claim:
        saved_model = claim.directory / runs.SAVED_MODEL
        if claim.finished:
            print(f"{saved_model}: already done")
            return
        network = _train(config, index, augmentation, claim.directory)
        export_segmenter(_plain_copy(config, network), saved_model)
        claim.finish(parameters=network.count_params())
        print(f"{saved_model}: segmenter of {config.steps} steps")


def _train(
    config: TrainSegmenterConfig,
    index: RecordIndex,
    augmentation: pipeline.Augmentation,
    run_dir: Path,
) -> Network:
    """Trains from the newest checkpoint to the last step."""
    strategy = distribution.make_strategy(
        config.distribution, config.batch_size
    )
    with strategy.scope():
        network = _build(config)
        optimizer = make_optimizer(network, config.learning_rate, config.steps)
    state = {"network": network, "optimizer": optimizer}
    step = make_train_step(network, optimizer, config.batch_size)

    def make_batches(start: int):
        dataset = pipeline.make_labelled_dataset(
            index,
            augmentation,
            batch_size=config.batch_size,
            seed=config.seed,
            start_step=start,
        )
        return distribution.distribute(strategy, dataset)

    # As they are: what a picture shows should not change by chance.
    calm = dataclasses.replace(augmentation, flip=False, color_jitter=0.0)
    pictures = make_pictures(network, index, calm, config.seed)
    run_steps(
        distribution.replicated_step(strategy, step),
        make_batches,
        Checkpoints(run_dir / runs.CHECKPOINTS, state, keep=2),
        LoopSettings(
            num_steps=config.steps,
            batch_size=config.batch_size,
            checkpoint_every=config.checkpoint_every,
            log_every=config.log_every,
        ),
        run_dir / runs.TENSORBOARD,
        [Hook(config.picture_every, pictures)],
    )
    return network


def _build(config: TrainSegmenterConfig) -> Network:
    dtype = "mixed_bfloat16" if config.mixed_precision else "float32"
    return NETWORKS[config.network](NUM_CLASSES, config.seed, dtype)


def _plain_copy(config: TrainSegmenterConfig, network: Network) -> Network:
    """Returns the network in float32 and outside of any strategy."""
    plain = NETWORKS[config.network](NUM_CLASSES, config.seed, "float32")
    plain.set_weights(network.get_weights())
    return plain


def _augmentation(config: TrainSegmenterConfig) -> pipeline.Augmentation:
    return pipeline.Augmentation(
        image_size=_pair(config, "image"),
        crop_size=_pair(config, "crop"),
        flip=config.flip,
        color_jitter=config.color_jitter,
    )


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
    )
    if not config.learning_rate > 0:
        raise UserError(
            f"--learning_rate={config.learning_rate}: expected more than 0"
        )
    if not config.color_jitter >= 0:
        raise UserError(
            f"--color_jitter={config.color_jitter}: expected 0 or more"
        )


if __name__ == "__main__":
    cli.run(train_segmenter, TrainSegmenterConfig)
