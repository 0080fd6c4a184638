"""The flags of kliep_tf.estimate_weights, and of programs that may run it.

Nothing here imports the solver: `train` reads these flags and needs no KLIEP
where it trains without weights.
"""

import dataclasses

from kliep_tf import cli
from kliep_tf.density_ratio.embedding import BACKBONES
from kliep_tf.density_ratio.extractors import EXTRACTORS
from kliep_tf.density_ratio.options import (
    ESTIMATORS,
    KERNELS,
    SELECTIONS,
    SOLVERS,
    FitSettings,
)
from kliep_tf.density_ratio.scaling import SCALINGS
from kliep_tf.errors import UserError
from kliep_tf.shard_runners import RunnerFlags

# The best features that the records allow: see estimate_features.
AUTO = "auto"
# A segmenter sees no image larger than this; class shares need no more.
MAX_WORKING_WIDTH = 256
# The seed is not among them: it is the segmenter's as well.
_FIT_FLAGS = {field.name for field in dataclasses.fields(FitSettings)} - {
    "seed"
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightFlags:
    """The flags of an estimate that another program may start.

    Keyword-only, so that a class that inherits them may have required flags.
    """

    features: str = cli.flag(
        "what is compared, and what it needs. auto: class shares, of each "
        "domain by its labels, or else by a segmenter that learned from those "
        "of its images that have labels (some twenty are enough), or else from "
        "the other domain, unless its predictions are in doubt: then all "
        "weights are 1. "
        + "; ".join(f"{one.name}: {one.needs}" for one in EXTRACTORS.values())
        + ". Thumbnails and embeddings compare looks as well",
        default=AUTO,
        choices=(AUTO, *sorted(EXTRACTORS)),
    )
    segmenter: str = cli.flag(
        "SavedModel that describes what has no labels, for auto and "
        "segmenter_histogram; by default a small one is trained, under strong "
        "colour augmentation",
        default="",
        read_as="the segmenter",
        from_store=True,
    )
    segmenter_backbone: str = cli.flag(
        "weights of EfficientNet-Lite0, a local file. The segmenter that is "
        "trained where --segmenter names none then stands on this backbone, "
        "which ImageNet has taught and which stays as it is: on photographs "
        "its class shares are much nearer to the truth",
        default="",
        read_as="the segmenter's backbone",
        mirrored="input",
    )
    segmenter_steps: int = cli.flag(
        "training steps of the small segmenter that is trained where "
        "--segmenter names none",
        default=1200,
        minimum=1,
    )
    strict: bool = cli.flag(
        "stop, with exit status 1, where there are signs that the features "
        "cannot be trusted, or where, by the labels of both domains, the "
        "weights bring these no nearer",
        default=False,
        affects_output=False,
    )
    estimator: str = cli.flag(
        "what estimates the weights (docs/estimators.md). "
        + "; ".join(f"{name}: {one.what}" for name, one in ESTIMATORS.items()),
        default="kliep",
        choices=tuple(ESTIMATORS),
    )
    min_ess: float = cli.flag(
        "of --estimator=kliep: least effective sample size, as a share of the "
        "images, that a selected bandwidth may lead to. Predicted class shares "
        "also differ by the segmenter's own errors, and narrow kernels would "
        "take these for a difference between the domains",
        default=0.2,
        minimum=0,
        below=1,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EstimateConfig(WeightFlags, RunnerFlags):
    """The flags of kliep_tf.estimate_weights."""

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
    weights_dir: str = cli.flag(
        "where weights, report and figure go", mirrored="output"
    )
    embedding_weights: str = cli.flag(
        "weights of --embedding_backbone without its top layer, a local file; "
        "nothing is downloaded",
        default="",
        read_as="embedding weights",
        mirrored="input",
    )
    embedding_backbone: str = cli.flag(
        "the network of --features=embedding",
        default="mobilenet_v2",
        choices=sorted(BACKBONES),
    )
    image_height: int = cli.flag(
        "height at which the network sees images; by default the source's, "
        f"scaled down to a width of {MAX_WORKING_WIDTH}",
        default=0,
    )
    image_width: int = cli.flag(
        "width at which the network sees images", default=0
    )
    scaling: str = cli.flag(
        "how features are scaled, both domains together; auto is raw for class "
        "shares and pca for wide features",
        default="auto",
        choices=("auto", *SCALINGS),
    )
    num_centers: int = cli.flag(
        "number of images of the other domain that are kernel centers; "
        "0 takes all",
        default=0,
        minimum=0,
    )
    max_fit_images: int = cli.flag(
        "images of each domain, drawn by --seed, that the ratio is fitted on "
        "at most; it is then taken of all. 0 fits on all, whose memory grows "
        "with their number",
        default=200_000,
        minimum=0,
    )
    bandwidth: str = cli.flag(
        "auto, or the width of the kernel", default="auto"
    )
    kernel: str = cli.flag(
        "the basis functions; all but gaussian come from TensorFlow "
        "Probability, have heavier tails and take longer",
        default="gaussian",
        choices=KERNELS,
    )
    selection: str = cli.flag(
        "how KLIEP's --bandwidth=auto scores a bandwidth on held-out images: "
        "nwj holds out images of both domains, lcv of the centers' domain "
        "alone",
        default="nwj",
        choices=SELECTIONS,
    )
    solver: str = cli.flag(
        "what solves the KLIEP problem; gradient_ascent is for comparison",
        default="interior_point",
        choices=SOLVERS,
    )
    seed: int = cli.flag("seed of centers, folds and the segmenter", default=0)


def check_flags(config: EstimateConfig) -> None:
    """Raises a UserError for a flag whose value is out of range."""
    cli.check(config)
    cli.require_seed(config)
    cli.size_flags(config, "image")
    _bandwidth(config.bandwidth)
    require_used(config)


def require_used(config: WeightFlags) -> None:
    """Raises a UserError for a flag that --estimator would ignore.

    Only for values that are not the default: that may stand there unread.
    """
    takes = ESTIMATORS[config.estimator].takes
    for field in dataclasses.fields(config):
        if field.name not in _FIT_FLAGS or field.name in takes:
            continue
        value = getattr(config, field.name)
        if value != field.default:
            raise UserError(
                f"--{field.name}={value}: expected the default, "
                f"{field.default}, as --estimator={config.estimator} has no "
                "such setting"
            )


def fit_settings(config: EstimateConfig) -> FitSettings:
    """Returns what the flags say of the fit.

    Raises:
        UserError: --bandwidth is no number above 0.
    """
    return FitSettings(
        num_centers=config.num_centers or None,
        bandwidth=_bandwidth(config.bandwidth),
        kernel=config.kernel,
        selection=config.selection,
        min_ess=config.min_ess,
        solver=config.solver,
        seed=config.seed,
    )


def _bandwidth(text: str) -> float | None:
    """Returns the width of the kernel, None where it is to be selected."""
    if text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value < float("inf"):
        raise UserError(
            f"--bandwidth={text}: expected auto or a number above 0"
        )
    return value
