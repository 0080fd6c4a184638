"""The flags of kliep_tf.train, and what can be said of them alone."""

import dataclasses
from typing import Any

from kliep_tf import cli
from kliep_tf.data import weightings
from kliep_tf.errors import UserError
from kliep_tf.estimate_flags import WeightFlags
from kliep_tf.segmentation.consistency import SKY_TO_VEGETATION
from kliep_tf.training.distribution import CLUSTER_STRATEGIES
from kliep_tf.translation.methods import METHODS, settings_of

# Eq. 12 has 1. Far above it one image has all the weight.
MAX_EXPONENT = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(WeightFlags):
    """The flags of kliep_tf.train that all methods have.

    A config also has those of its method: see `make_config`.
    """

    source_records: str = cli.flag(
        "rendered images: a directory of shards or a glob such as dir/train-*",
        read_as="source records",
        from_store=True,
    )
    target_records: str = cli.flag(
        "real images: a directory or a glob",
        read_as="target records",
        from_store=True,
    )
    run_dir: str = cli.flag(
        "where everything of this run goes", mirrored="output"
    )
    method: str = cli.flag(
        f"how to translate: {', '.join(METHODS)}. The flags that a method adds "
        "are shown by --method=NAME --help",
        default="cyclegan",
        adds=settings_of,
    )
    weights_dir: str = cli.flag(
        "directory of estimate_weights; by default weights/ in the run "
        "directory. Where it holds no weights they are estimated first",
        default="",
        read_as="weights",
        mirrored="either",
    )
    weighting: str = cli.flag(
        "exponents: weights to the powers below. overlap: overlap weights, "
        "which move both domains to where they overlap; those of "
        "--estimator=relative_kliep are such, of others they are derived",
        default="exponents",
        choices=weightings.WEIGHTINGS,
    )
    source_weight_exponent: float = cli.flag(
        "a: every loss of a source image is multiplied by w**a, renormalised "
        "to mean 1; 0 switches these weights off; 1 is the paper's",
        default=weightings.DEFAULT_EXPONENT,
        minimum=0,
        maximum=MAX_EXPONENT,
    )
    target_weight_exponent: float = cli.flag(
        "b: every loss of a target image is multiplied by psi**b, likewise",
        default=weightings.DEFAULT_EXPONENT,
        minimum=0,
        maximum=MAX_EXPONENT,
    )
    max_weight: float = cli.flag(
        "largest weight of an image after its exponent, the mean being 1: "
        "larger ones are clipped, and the others raised until the mean is 1 "
        "again; 0 sets no limit",
        default=0.0,
        minimum=0,
    )
    source_cohort: str = cli.flag(
        "train on one third of the source by importance, or on all of it",
        default="all",
        choices=("all", *weightings.COHORTS),
    )
    batch_size: int = cli.flag(
        "images of each domain in a step, over all replicas",
        default=1,
        minimum=1,
    )
    steps: int = cli.flag("training steps in all", default=200_000, minimum=1)
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
        "least factor by which images are scaled at random before the crop",
        default=1.0,
        above=0,
    )
    max_scale: float = cli.flag("largest such factor", default=1.0, above=0)
    flip: bool = cli.flag(
        "mirror images, each with probability one half", default=True
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
    seed: int = cli.flag(
        "seed of initial weights, order, crops and other draws", default=0
    )
    checkpoint_every: int = cli.flag(
        "steps between checkpoints",
        default=1000,
        minimum=1,
        affects_output=False,
    )
    keep_checkpoints: int = cli.flag(
        "number of checkpoints kept, the newest ones",
        default=3,
        minimum=1,
        affects_output=False,
    )
    log_every: int = cli.flag(
        "steps over which logged losses are averaged",
        default=50,
        minimum=1,
        affects_output=False,
    )
    image_every: int = cli.flag(
        "steps between pictures on TensorBoard",
        default=1000,
        minimum=1,
        affects_output=False,
    )
    consistency_segmenter: str = cli.flag(
        "segmentation SavedModel that knows the target's looks: TensorBoard "
        "then shows how much of the labels of 32 source images it still sees "
        "in their translations",
        default="",
        affects_output=False,
        from_store=True,
    )
    consistency_every: int = cli.flag(
        "steps between checks by --consistency_segmenter",
        default=1000,
        minimum=1,
        affects_output=False,
    )
    watched_label: str = cli.flag(
        "the class whose confusion with --watched_prediction TensorBoard shows "
        "by name, where there is a --consistency_segmenter",
        default=SKY_TO_VEGETATION.label,
        affects_output=False,
    )
    watched_prediction: str = cli.flag(
        "the class that --watched_label must not turn into",
        default=SKY_TO_VEGETATION.prediction,
        affects_output=False,
    )


def make_config(method: str = "cyclegan", **flags: Any) -> TrainConfig:
    """Returns a config of these flags, the method's own among them.

    Raises:
        UserError: there is no such method.
    """
    config_class = cli.combine(TrainConfig, settings_of(method))
    return config_class(method=method, **flags)


def check_numbers(config: TrainConfig) -> None:
    """Raises a UserError for a number out of its range."""
    cli.check(config)
    cli.require_seed(config)
    if config.max_weight and not config.max_weight >= 1:
        raise UserError(
            f"--max_weight={config.max_weight}: expected 0, or 1 or more, "
            "since the mean is 1"
        )
