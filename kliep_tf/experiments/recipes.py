"""The trainings that experiments compare, as jobs.

All methods of one experiment share a setting: the two domains, the importance
weights, the judge, the flagfiles. A method is a pair of exponents (eq. 12 and
its generalisation) and, for Table III, a part of the source.
"""

import dataclasses

from kliep_tf import cli, runs
from kliep_tf.data.weights import COHORTS
from kliep_tf.errors import UserError
from kliep_tf.experiments.flagfiles import TRAIN_FLAGFILE, find_flagfile
from kliep_tf.experiments.jobs import FlagValue, Job, Output, Records

SEGMENTER_FLAGFILE = "configs/city_segmenter.flags"
# The judge, and the oracle of Table I that it is, come from this seed.
JUDGE_SEED = 0


@dataclasses.dataclass(frozen=True)
class SettingConfig:
    """The flags that all experiments on a pair of domains have."""

    output_dir: str = cli.flag("where table, figures and numbers go")
    source_records: str = cli.flag("labelled rendered images")
    target_records: str = cli.flag(
        "labelled real images to train on; a CycleGAN sees no label of theirs, "
        "the judge and the oracle do"
    )
    val_records: str = cli.flag("labelled real images to score on")
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
    features: str = cli.flag(
        "what estimate_weights compares", default="segmenter_histogram"
    )
    features_steps: int = cli.flag(
        "steps of the segmenter whose class shares are compared; it learns "
        "from the source's labels alone",
        default=600,
    )
    min_ess: float = cli.flag(
        "least effective sample size of the weights, as a share of the images",
        default=0.3,
    )
    num_seeds: int = cli.flag("trainings of each row", default=3)
    parallel: int = cli.flag(
        "programs at once, sharing the CPU cores",
        default=1,
        affects_output=False,
    )
    devices: tuple[str, ...] = cli.flag(
        "GPU numbers, such as 0,1,2,3: one program at once on each",
        default=(),
        affects_output=False,
    )


@dataclasses.dataclass(frozen=True)
class Method:
    """One way to train the CycleGAN.

    Attributes:
        name: in tables; unique.
        source_exponent: a of w ** a on every source term.
        target_exponent: b of psi ** b on every target term.
        cohort: a part of the source by importance, "all" for the whole.
    """

    name: str
    source_exponent: float
    target_exponent: float
    cohort: str = "all"

    @property
    def needs_weights(self) -> bool:
        """Whether the training reads importance weights."""
        exponents = (self.source_exponent, self.target_exponent)
        return any(exponents) or self.cohort != "all"


@dataclasses.dataclass(frozen=True)
class Setting:
    """What all methods of an experiment share."""

    source: Records
    target: Records
    val: Records
    train_flagfile: str
    segmenter_flagfile: str
    size_flags: dict[str, int]
    weights: Job
    judge: Job


def make_setting(config: SettingConfig) -> Setting:
    """Returns the setting that the flags describe."""
    cli.require_positive(config, "num_seeds", "parallel", "features_steps")
    source = Records(config.source_records)
    target = Records(config.target_records)
    segmenter_flagfile = find_flagfile(
        config.segmenter_flagfile,
        SEGMENTER_FLAGFILE,
        "segmenter_flagfile",
        "kliep_tf.train_segmenter",
    )
    size_flags = _size_flags(config)
    return Setting(
        source=source,
        target=target,
        val=Records(config.val_records),
        train_flagfile=find_flagfile(
            config.train_flagfile,
            TRAIN_FLAGFILE,
            "train_flagfile",
            "kliep_tf.train",
        ),
        segmenter_flagfile=segmenter_flagfile,
        size_flags=size_flags,
        weights=_weights(config, source, target, size_flags),
        judge=_segmenter(
            "the judge: a segmenter of the target",
            target,
            JUDGE_SEED,
            segmenter_flagfile,
            size_flags,
        ),
    )


def parse_methods(specifications: tuple[str, ...]) -> list[Method]:
    """Returns the methods of `name:a:b` texts.

    Raises:
        UserError: a text is of another form, or two names are equal.
    """
    methods = []
    for text in specifications:
        name, *exponents = text.split(":")
        try:
            source_exponent, target_exponent = map(float, exponents)
        except ValueError:
            raise UserError(
                f"--methods: expected NAME:A:B with two exponents, found "
                f"{text!r}"
            ) from None
        if not name or name in [method.name for method in methods]:
            raise UserError(
                f"--methods: expected names of their own, found {text!r}"
            )
        methods.append(Method(name, source_exponent, target_exponent))
    return methods


def cohort_methods() -> list[Method]:
    """Returns plain CycleGANs, one for each part of the source."""
    return [Method(name, 0.0, 0.0, cohort=name) for name in COHORTS]


def training(setting: Setting, method: Method, seed: int) -> Job:
    """Returns the training of one CycleGAN."""
    weights: dict[str, FlagValue] = {}
    if method.needs_weights:
        weights["weights_dir"] = Output(setting.weights)
    if method.cohort != "all":
        weights["source_cohort"] = method.cohort
    return Job(
        f"CycleGAN {method.name}, seed {seed}",
        "kliep_tf.train",
        "run_dir",
        {
            "source_records": setting.source,
            "target_records": setting.target,
            "source_weight_exponent": method.source_exponent,
            "target_weight_exponent": method.target_exponent,
            "seed": seed,
            **weights,
            **setting.size_flags,
        },
        setting.train_flagfile,
    )


def translation(setting: Setting, method: Method, seed: int) -> Job:
    """Returns the whole source as one CycleGAN translates it."""
    return Job(
        f"translation by {method.name}, seed {seed}",
        "kliep_tf.translate",
        "output_dir",
        {
            "saved_model": Output(
                training(setting, method, seed), runs.SAVED_MODEL
            ),
            "source_records": setting.source,
            "weights_dir": Output(setting.weights),
        },
    )


def judgement(setting: Setting, records: FlagValue, title: str) -> Job:
    """Returns what the judge sees in labelled records."""
    return evaluation(setting.judge, records, f"the judge on {title}")


def segmenter(
    setting: Setting, records: FlagValue, seed: int, title: str
) -> Job:
    """Returns a segmenter trained on labelled records."""
    return _segmenter(
        f"segmenter of {title}, seed {seed}",
        records,
        seed,
        setting.segmenter_flagfile,
        setting.size_flags,
    )


def evaluation(segmenter_job: Job, records: FlagValue, title: str) -> Job:
    """Returns the scores of a segmenter on labelled records."""
    return Job(
        title,
        "kliep_tf.evaluate",
        "output_dir",
        {
            "segmenter": Output(segmenter_job, runs.SAVED_MODEL),
            "records": records,
        },
    )


def _size_flags(config: SettingConfig) -> dict[str, int]:
    if not config.image_height and not config.image_width:
        return {}
    return {
        "image_height": config.image_height,
        "image_width": config.image_width,
    }


def _weights(config, source, target, size_flags) -> Job:
    flags: dict[str, FlagValue] = {
        "source_records": source,
        "target_records": target,
        "features": config.features,
        "min_ess": config.min_ess,
    }
    if config.features == "segmenter_histogram":
        job = Job(
            "segmenter of the source, for the weights' features",
            "kliep_tf.train_segmenter",
            "run_dir",
            {
                "train_records": source,
                "steps": config.features_steps,
                # Strong colours carry it over to the target.
                "color_jitter": 1.0,
                "seed": JUDGE_SEED,
                **size_flags,
            },
        )
        flags["segmenter"] = Output(job, runs.SAVED_MODEL)
    return Job(
        "importance weights", "kliep_tf.estimate_weights", "weights_dir", flags
    )


def _segmenter(title, records, seed, flagfile, size_flags) -> Job:
    return Job(
        title,
        "kliep_tf.train_segmenter",
        "run_dir",
        {"train_records": records, "seed": seed, **size_flags},
        flagfile,
    )
