"""Trains the importance-weighted CycleGAN and exports its generator.

Reads source (rendered) and target (real) records and their importance weights,
which are estimated on the spot where --weights_dir holds none. Writes a run
directory: config.json, checkpoints, TensorBoard logs, saved_model. The same
command again continues where it stopped.
"""

import dataclasses
import functools
import os

import numpy as np

from kliep_tf import cli, estimate_weights, export, runs
from kliep_tf.cyclegan.losses import ADVERSARIAL_LOSSES
from kliep_tf.cyclegan.networks import MIN_SIZE, SIZE_MULTIPLE, UPSAMPLINGS
from kliep_tf.cyclegan.settings import CycleGANSettings
from kliep_tf.cyclegan.training import CycleGANData, Monitoring, run_training
from kliep_tf.data import weights
from kliep_tf.data.augmentation import Augmentation, check_sizes
from kliep_tf.data.index import RecordIndex, build_index, image_sizes
from kliep_tf.data.records import resolve_records
from kliep_tf.density_ratio.extractors import FEATURE_EXTRACTORS
from kliep_tf.errors import UserError
from kliep_tf.segmentation.consistency_check import make_consistency_check
from kliep_tf.training.distribution import CLUSTER_STRATEGIES
from kliep_tf.training.loop import LoopSettings
from kliep_tf.training.workers import this_worker

PROGRAM = "kliep_tf.train"


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """The flags of this program."""

    source_records: str = cli.flag(
        "rendered images: a directory of shards or a glob such as dir/train-*"
    )
    target_records: str = cli.flag("real images: a directory or a glob")
    run_dir: str = cli.flag("where everything of this run goes")
    weights_dir: str = cli.flag(
        "directory of estimate_weights; by default weights/ in the run "
        "directory. Where it holds no weights they are estimated first",
        default="",
    )
    features: str = cli.flag(
        "what estimate_weights compares, if it has to run",
        default="segmenter_histogram",
        choices=sorted(FEATURE_EXTRACTORS),
    )
    segmenter: str = cli.flag(
        "segmentation SavedModel for --features=segmenter_histogram; by "
        "default a small one is trained on the source's labels",
        default="",
    )
    min_ess: float = cli.flag(
        "least effective sample size of weights that are estimated here, as a "
        "share of the images",
        default=0.2,
    )
    source_weight_exponent: float = cli.flag(
        "a: source terms carry w**a, renormalised; 0 switches weights off",
        default=1.0,
    )
    target_weight_exponent: float = cli.flag(
        "b: target terms carry psi**b, renormalised", default=1.0
    )
    max_weight: float = cli.flag(
        "largest weight of an image after its exponent, the mean being 1: "
        "larger ones are clipped, and the others raised until the mean is 1 "
        "again; 0 sets no limit",
        default=0.0,
    )
    source_cohort: str = cli.flag(
        "train on a third of the source by importance, or on all of it",
        default="all",
        choices=("all", *weights.COHORTS),
    )
    batch_size: int = cli.flag(
        "images of each domain in a step, over all replicas", default=1
    )
    steps: int = cli.flag("training steps in all", default=200_000)
    image_height: int = cli.flag(
        "height that images are resized to; 0 keeps the records' size",
        default=0,
    )
    image_width: int = cli.flag("width that images are resized to", default=0)
    crop_height: int = cli.flag(
        "height of a random crop; 0 trains on whole images", default=0
    )
    crop_width: int = cli.flag("width of a random crop", default=0)
    min_scale: float = cli.flag(
        "least factor that an image's height and width are multiplied with, at "
        "random, before the crop",
        default=1.0,
    )
    max_scale: float = cli.flag("largest such factor", default=1.0)
    flip: bool = cli.flag("mirror every other image, at random", default=True)
    generator_filters: int = cli.flag(
        "channels of the generators at full resolution", default=64
    )
    discriminator_filters: int = cli.flag(
        "channels of the discriminators' first layer", default=64
    )
    num_residual_blocks: int = cli.flag(
        "residual blocks of each generator", default=9
    )
    upsampling: str = cli.flag(
        "of the generators: transposed convolutions as published, or resize "
        "and convolve, which leaves no checkerboard",
        default="transposed",
        choices=UPSAMPLINGS,
    )
    spectral_norm: bool = cli.flag(
        "hold the discriminators' kernels at spectral norm 1, instead of "
        "normalising their activations by instance",
        default=False,
    )
    adversarial_loss: str = cli.flag(
        "least squares, the log loss of eq. 12, or hinge",
        default="lsgan",
        choices=sorted(ADVERSARIAL_LOSSES),
    )
    cycle_weight: float = cli.flag("weight of both cycle losses", default=10.0)
    identity_weight: float = cli.flag(
        "weight of the identity losses as a factor of --cycle_weight; 0 "
        "leaves them out",
        default=0.5,
    )
    learning_rate: float = cli.flag(
        "Adam's rate, constant for half of the steps and then falling linearly",
        default=2e-4,
    )
    pool_size: int = cli.flag(
        "older fakes shown to each discriminator; 0 for none", default=50
    )
    generator_ema: float = cli.flag(
        "decay a step, such as 0.999, of a running average of the generators' "
        "weights; the averaged generator is then the one that is exported and "
        "shown on TensorBoard. 0 keeps no average",
        default=0.0,
    )
    rematerialize: bool = cli.flag(
        "save memory at full frames: compute the generators' activations a "
        "second time for the gradient instead of keeping them",
        default=False,
    )
    mixed_precision: bool = cli.flag(
        "compute in bfloat16, keep variables in float32", default=False
    )
    jit_compile: bool = cli.flag(
        "compile gradients by XLA; helps on GPUs, not on CPUs", default=False
    )
    distribution: str = cli.flag(
        "none: one device; mirrored: all GPUs of this machine; multi_worker: "
        "all GPUs of the machines in TF_CONFIG, each of which runs this same "
        "command on a run directory that all share",
        default="none",
        choices=CLUSTER_STRATEGIES,
    )
    seed: int = cli.flag("of initial weights, order, crops, pool", default=0)
    checkpoint_every: int = cli.flag(
        "steps between checkpoints", default=1000, affects_output=False
    )
    keep_checkpoints: int = cli.flag(
        "number of checkpoints kept, the newest ones",
        default=3,
        affects_output=False,
    )
    log_every: int = cli.flag(
        "steps over which logged losses are averaged",
        default=50,
        affects_output=False,
    )
    image_every: int = cli.flag(
        "steps between pictures on TensorBoard",
        default=1000,
        affects_output=False,
    )
    consistency_segmenter: str = cli.flag(
        "segmentation SavedModel that knows the target's looks: TensorBoard "
        "then shows how much of the labels of 32 source images it still sees "
        "in their translations",
        default="",
        affects_output=False,
    )
    consistency_every: int = cli.flag(
        "steps between these checks", default=1000, affects_output=False
    )


def train(config: TrainConfig) -> None:
    """Trains and exports; continues what an earlier run began."""
    source, target = _indices(config)
    augmentation, image_size = _augmentation(config, source, target)
    _check_numbers(config)
    worker = this_worker(config.distribution)
    inputs = {
        "source records": runs.fingerprint(source.paths),
        "target records": runs.fingerprint(target.paths),
    }
    with runs.claim(
        config.run_dir, PROGRAM, config, inputs=inputs, write=worker.is_chief
    ) as claim:
        if claim.finished:
            print(f"{config.run_dir}: already trained to step {config.steps}")
            return
        source = _cohort(config, source)
        source_weights, target_weights = _weights(config, source, target)
        data = CycleGANData(
            source,
            target,
            source_weights,
            target_weights,
            augmentation,
            image_size,
            config.seed,
        )
        run_training(
            data,
            _model_settings(config, augmentation.crop_size or image_size),
            _loop_settings(config),
            _monitoring(config, source, image_size),
            learning_rate=config.learning_rate,
            distribution=config.distribution,
            worker=worker,
            run_dir=config.run_dir,
        )
        if not worker.is_chief:
            return
        # An export that somebody made halfway gives way to the final one.
        export.export(
            export.ExportConfig(run_dir=config.run_dir, overwrite=True)
        )
        claim.finish()


def _indices(config: TrainConfig) -> tuple[RecordIndex, RecordIndex]:
    paths = resolve_records(config.source_records, "source_records")
    source = build_index(paths)
    paths = resolve_records(config.target_records, "target_records")
    return source, build_index(paths)


def _augmentation(
    config: TrainConfig, source: RecordIndex, target: RecordIndex
) -> tuple[Augmentation, tuple[int, int]]:
    """Returns the augmentation and the images' (height, width) before it."""
    image_size = _pair(config, "image")
    if image_size is None and not config.crop_height:
        # Whole images of one size: stated, so that shapes are static.
        source_sizes, target_sizes = image_sizes(source), image_sizes(target)
        image_size = min(source_sizes)
        if target_sizes != source_sizes:
            raise UserError(
                "--image_height is 0: expected source and target images of one "
                f"size, found {_shown(source_sizes)} and "
                f"{_shown(target_sizes)}; set --image_height and --image_width"
            )
    augmentation = Augmentation(
        image_size=image_size,
        crop_size=_pair(config, "crop"),
        flip=config.flip,
        min_scale=config.min_scale,
        max_scale=config.max_scale,
    )
    check_sizes(source, augmentation, "source_records")
    check_sizes(target, augmentation, "target_records")
    kind = "crop" if augmentation.crop_size else "image"
    _check_fits_networks(kind, augmentation.crop_size or image_size)
    return augmentation, image_size or min(image_sizes(source))


def _pair(config: TrainConfig, kind: str) -> tuple[int, int] | None:
    height = getattr(config, f"{kind}_height")
    width = getattr(config, f"{kind}_width")
    if (height <= 0) != (width <= 0):
        raise UserError(
            f"--{kind}_height={height} --{kind}_width={width}: expected both "
            "or neither"
        )
    return (height, width) if height > 0 else None


def _check_fits_networks(kind: str, size: tuple[int, int]) -> None:
    for name, length in zip(("height", "width"), size, strict=True):
        if length % SIZE_MULTIPLE or length < MIN_SIZE:
            raise UserError(
                f"--{kind}_{name}: expected a multiple of {SIZE_MULTIPLE}, at "
                f"least {MIN_SIZE}, for the networks; found {length}"
            )


def _check_numbers(config: TrainConfig) -> None:
    cli.require_positive(
        config,
        "steps",
        "batch_size",
        "generator_filters",
        "discriminator_filters",
        "checkpoint_every",
        "keep_checkpoints",
        "log_every",
        "image_every",
        "consistency_every",
    )
    if 0 < config.pool_size < config.batch_size or config.pool_size < 0:
        raise UserError(
            f"--pool_size={config.pool_size}: expected 0 or at least the "
            f"batch of {config.batch_size}"
        )
    if not config.learning_rate > 0:
        raise UserError(
            f"--learning_rate={config.learning_rate}: expected more than 0"
        )
    if not 0 <= config.generator_ema < 1:
        raise UserError(
            f"--generator_ema={config.generator_ema}: expected 0 or more and "
            "less than 1"
        )
    if config.max_weight and not config.max_weight >= 1:
        raise UserError(
            f"--max_weight={config.max_weight}: expected 0, or 1 or more, "
            "since the mean is 1"
        )


def _cohort(config: TrainConfig, source: RecordIndex) -> RecordIndex:
    """Returns the part of the source that is trained on."""
    if config.source_cohort == "all":
        return source
    directory = _estimated_weights(config)
    values = weights.load_weights(directory, "source").lookup(source.filenames)
    rows = weights.cohort_rows(values, config.source_cohort)
    print(
        f"--source_cohort={config.source_cohort}: {len(rows)} of {len(source)} "
        f"source images, weights {values[rows].min():.3g} to "
        f"{values[rows].max():.3g}"
    )
    return source.select(rows)


def _weights(
    config: TrainConfig, source: RecordIndex, target: RecordIndex
) -> tuple[np.ndarray, np.ndarray]:
    """Returns each domain's weights to its power, in the order of its index."""
    exponents = {
        "source": config.source_weight_exponent,
        "target": config.target_weight_exponent,
    }
    if not any(exponents.values()):
        return np.ones(len(source)), np.ones(len(target))
    directory = _estimated_weights(config)
    found = []
    for domain, index in (("source", source), ("target", target)):
        values = weights.load_weights(directory, domain).lookup(index.filenames)
        values = weights.temper(values, exponents[domain])
        found.append(_clipped(values, config.max_weight, domain))
    return found[0], found[1]


def _clipped(values: np.ndarray, limit: float, domain: str) -> np.ndarray:
    if not limit or values.max() <= limit:
        return values
    clipped = weights.clip(values, limit)
    shares = map(weights.effective_sample_size, (values, clipped))
    before, after = (f"{share:.1%}" for share in shares)
    print(
        f"{domain} weights: {np.count_nonzero(clipped == clipped.max())} of "
        f"{len(values)} are clipped to --max_weight={limit:g}, the largest "
        f"from {values.max():.4g}; effective sample size {before} before, "
        f"{after} after"
    )
    return clipped


def _estimated_weights(config: TrainConfig) -> str:
    """Returns the directory of the weights, which are estimated if missing."""
    directory = config.weights_dir or os.path.join(config.run_dir, runs.WEIGHTS)
    if not weights.has_weights(directory):
        if config.distribution == "multi_worker":
            raise UserError(
                f"{directory}: expected weights, found none; with "
                "--distribution=multi_worker run kliep_tf.estimate_weights "
                "first and name its --weights_dir"
            )
        estimate_weights.estimate(
            estimate_weights.EstimateConfig(
                source_records=config.source_records,
                target_records=config.target_records,
                weights_dir=directory,
                features=config.features,
                segmenter=config.segmenter,
                min_ess=config.min_ess,
            )
        )
    return directory


def _model_settings(
    config: TrainConfig, image_size: tuple[int, int]
) -> CycleGANSettings:
    return CycleGANSettings(
        image_size=image_size,
        global_batch_size=config.batch_size,
        generator_filters=config.generator_filters,
        discriminator_filters=config.discriminator_filters,
        num_residual_blocks=config.num_residual_blocks,
        upsampling=config.upsampling,
        spectral_norm=config.spectral_norm,
        adversarial_loss=config.adversarial_loss,
        cycle_weight=config.cycle_weight,
        identity_weight=config.identity_weight,
        pool_size=config.pool_size,
        generator_ema=config.generator_ema,
        rematerialize=config.rematerialize,
        dtype="mixed_bfloat16" if config.mixed_precision else "float32",
        jit_compile=config.jit_compile,
        seed=config.seed,
    )


def _loop_settings(config: TrainConfig) -> LoopSettings:
    return LoopSettings(
        num_steps=config.steps,
        batch_size=config.batch_size,
        checkpoint_every=config.checkpoint_every,
        log_every=config.log_every,
        keep_checkpoints=config.keep_checkpoints,
    )


def _monitoring(
    config: TrainConfig, source: RecordIndex, image_size: tuple[int, int]
) -> Monitoring:
    check = None
    if config.consistency_segmenter:
        check = functools.partial(
            make_consistency_check,
            config.consistency_segmenter,
            source,
            image_size,
        )
    return Monitoring(
        run_name=os.path.basename(os.path.normpath(config.run_dir)),
        program=PROGRAM,
        config=config,
        image_every=config.image_every,
        consistency_every=config.consistency_every,
        make_consistency_check=check,
    )


def _shown(sizes: set[tuple[int, int]]) -> str:
    return ", ".join(f"{height}x{width}" for height, width in sorted(sizes))


if __name__ == "__main__":
    cli.run(train, TrainConfig)
