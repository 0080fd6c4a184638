"""The flags of kliep_tf.train, and what can be said of them alone."""

import dataclasses

from kliep_tf import cli
from kliep_tf.data import weights
from kliep_tf.density_ratio.extractors import EXTRACTORS
from kliep_tf.errors import UserError
from kliep_tf.training.distribution import CLUSTER_STRATEGIES
from kliep_tf.translation.losses import ADVERSARIAL_LOSSES
from kliep_tf.translation.methods.cyclegan.settings import CONVOLUTIONS
from kliep_tf.translation.networks import UPSAMPLINGS


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
        choices=sorted(EXTRACTORS),
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
    convolution: str = cli.flag(
        "of the generators' residual blocks: direct; winograd, the same but "
        "for rounding by a quarter of the multiplications, with more memory "
        "(the transformed kernels of the published generators alone take 340 "
        "MB during a step, 75 in bfloat16); auto: winograd on CPUs where it "
        "is faster",
        default="auto",
        choices=CONVOLUTIONS,
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


def check_numbers(config: TrainConfig) -> None:
    """Raises a UserError for a number out of its range."""
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
    cli.require_seed(config)
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
