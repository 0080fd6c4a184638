"""The flags that all experiments on a pair of domains have."""

import dataclasses

from kliep_tf import cli
from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.reading import require_labels
from kliep_tf.data.records import resolve_records
from kliep_tf.density_ratio.extractors import EXTRACTORS
from kliep_tf.errors import UserError
from kliep_tf.estimate_flags import AUTO
from kliep_tf.experiments.running.flagfiles import (
    SEGMENTER_FLAGFILE,
    TRAIN_FLAGFILE,
)
from kliep_tf.experiments.running.jobs import Records
from kliep_tf.segmentation.consistency import (
    SKY_TO_VEGETATION,
    WatchedConfusion,
)

# An embedding wants a file of weights beside it, which no flag here names.
FEATURES = (AUTO, *sorted(set(EXTRACTORS) - {"embedding"}))


@dataclasses.dataclass(frozen=True)
class SettingConfig:
    """The flags that all experiments on a pair of domains have."""

    output_dir: str = cli.flag("where tables, plots and numbers go")
    source_records: str = cli.flag(
        "labelled rendered images",
        read_as="source_records",
    )
    target_records: str = cli.flag(
        "labelled real images to train on; a CycleGAN sees no label of theirs, "
        "the judge and the oracle do",
        read_as="target_records",
    )
    val_records: str = cli.flag(
        "labelled real images to score on",
        read_as="val_records",
    )
    cache_dir: str = cli.flag(
        "where all trainings go, under digests of what went into them; name "
        "one directory for several experiments and they share what is the "
        "same. By default cache/ in the output directory",
        default="",
        affects_output=False,
    )
    train_flagfile: str = cli.flag(
        f"flags of kliep_tf.train; by default {TRAIN_FLAGFILE} of this "
        "checkout",
        default="",
    )
    segmenter_flagfile: str = cli.flag(
        "flags of kliep_tf.train_segmenter, for the judge and all rows; by "
        f"default {SEGMENTER_FLAGFILE} of this checkout",
        default="",
    )
    image_height: int = cli.flag(
        "height that images are resized to in all trainings; 0 leaves it to "
        "the flagfiles",
        default=0,
    )
    image_width: int = cli.flag("width, likewise", default=0)
    backbone_weights: str = cli.flag(
        "pretrained weights of all segmenters but the features', as "
        "train_segmenter takes them; random ones without it",
        default="",
    )
    val_scale: float = cli.flag(
        "size at which segmenters see --val_records, as a factor of the stored "
        "one: 0.5 where they are kept at twice the size of the training "
        "images. Scores count at the labels' resolution",
        default=1.0,
    )
    features: str = cli.flag(
        "what estimate_weights compares; auto takes the labels of both "
        "domains, which all records here have",
        default="segmenter_histogram",
        choices=FEATURES,
    )
    features_height: int = cli.flag(
        "height at which the segmenter of the features learns from images and "
        "sees them; 0 learns at --image_height and sees them at most 256 "
        "wide. With --features_width",
        default=0,
    )
    features_width: int = cli.flag("width, likewise", default=0)
    features_steps: int = cli.flag(
        "steps of the segmenter whose class shares are compared; it learns "
        "from the source's labels alone",
        default=600,
    )
    min_ess: float = cli.flag(
        "least effective sample size of the weights, as a share of the images",
        default=0.3,
    )
    watched_label: str = cli.flag(
        "the class whose fate the tables show; left out where the records have "
        "no such classes as the defaults",
        default=SKY_TO_VEGETATION.label,
    )
    watched_prediction: str = cli.flag(
        "the class that --watched_label must not be predicted as",
        default=SKY_TO_VEGETATION.prediction,
    )
    num_seeds: int = cli.flag("trainings of each row", default=3)
    first_seed: int = cli.flag(
        "seed of the first training of each row; the others follow it",
        default=0,
    )
    parallel: int = cli.flag(
        "programs that run at once; they share the CPU cores",
        default=1,
        affects_output=False,
    )
    devices: tuple[str, ...] = cli.flag(
        "GPU numbers, such as 0,1,2,3; one program at a time runs on each",
        default=(),
        affects_output=False,
    )
    executor: str = cli.flag(
        "who runs the programs: local, this machine; or dask, workers of Dask "
        "that see the same folders",
        default="local",
        choices=("local", "dask"),
        affects_output=False,
    )
    dask_scheduler: str = cli.flag(
        "address of Dask's scheduler, host:8786; by default --parallel workers "
        "of this machine",
        default="",
        affects_output=False,
    )

    @property
    def seeds(self) -> range:
        """The seeds of each row's trainings."""
        return range(self.first_seed, self.first_seed + self.num_seeds)


def check_setting(config: SettingConfig) -> None:
    """Raises a UserError for a value out of its range."""
    if config.executor == "dask" and config.devices:
        raise UserError(
            "--devices: expected none beside --executor=dask, whose workers "
            "have GPUs of their own"
        )
    if config.executor != "dask" and config.dask_scheduler:
        raise UserError("--dask_scheduler: expected --executor=dask too")
    cli.require_positive(config, "num_seeds", "parallel", "features_steps")
    if not 0 <= config.first_seed <= cli.MAX_SEED - config.num_seeds:
        raise UserError(
            f"--first_seed={config.first_seed}: expected 0 to "
            f"{cli.MAX_SEED - config.num_seeds}"
        )
    if not 0 < config.val_scale < float("inf"):
        raise UserError(
            f"--val_scale={config.val_scale}: expected a number above 0"
        )
    if not 0 <= config.min_ess < 1:
        raise UserError(
            f"--min_ess={config.min_ess}: expected a share from 0 to below 1"
        )
    cli.size_flags(config, "image")
    cli.size_flags(config, "features")


def find_watched(config: SettingConfig, classes: ClassSet) -> WatchedConfusion:
    """Returns the confusion that the tables single out.

    Raises:
        UserError: the records do not have its classes, and it is no default.
    """
    watched = WatchedConfusion(config.watched_label, config.watched_prediction)
    watched.require(classes)
    return watched


def labelled_records(pattern: str, flag: str) -> Records:
    """Returns records for a flag of jobs.

    Raises:
        UserError: there are none, or they lack labels: better now than after
            the trainings that come before the first look at them.
    """
    require_labels(resolve_records(pattern, flag), flag)
    return Records(pattern, flag)
