"""The trainings that experiments compare, as jobs.

All methods of one experiment share a setting: the two domains, the importance
weights, the judge, the flagfiles. A method is a pair of exponents (eq. 12 and
its generalisation) and, for Table III, a part of the source.
"""

import dataclasses
import math

from kliep_tf import runs
from kliep_tf.data.weights import COHORTS
from kliep_tf.errors import UserError
from kliep_tf.experiments.comparison.setting_flags import (
    SettingConfig,
    check_setting,
    labelled_records,
)
from kliep_tf.experiments.running.flagfiles import (
    SEGMENTER_FLAGFILE,
    TRAIN_FLAGFILE,
    find_flagfile,
)
from kliep_tf.experiments.running.jobs import (
    FlagValue,
    Job,
    Output,
    Records,
    Tensors,
)

# The judge, and the oracle of Table I that it is, come from this seed.
JUDGE_SEED = 0


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
    """What all methods of an experiment share.

    Attributes:
        source: the rendered images.
        target: the real ones to train on.
        val: the real ones to score on.
        train_flagfile: of the CycleGANs.
        segmenter_flagfile: of the judge's and the rows' segmenters.
        size_flags: of every training.
        segmenter_flags: of the judge's and the rows' segmenters.
        val_flags: of every evaluation on `val`.
        weights: the importance weights.
        judge: a segmenter of the target.
    """

    source: Records
    target: Records
    val: Records
    train_flagfile: str
    segmenter_flagfile: str
    size_flags: dict[str, FlagValue]
    segmenter_flags: dict[str, FlagValue]
    val_flags: dict[str, FlagValue]
    weights: Job
    judge: Job


def make_setting(config: SettingConfig) -> Setting:
    """Returns the setting that the flags describe."""
    check_setting(config)
    source, target, val = (
        labelled_records(getattr(config, flag), flag)
        for flag in ("source_records", "target_records", "val_records")
    )
    segmenter_flagfile = find_flagfile(
        config.segmenter_flagfile,
        SEGMENTER_FLAGFILE,
        "segmenter_flagfile",
        "kliep_tf.train_segmenter",
    )
    size_flags = _size_flags(config.image_height, config.image_width)
    segmenter_flags = dict(size_flags)
    if config.backbone_weights:
        segmenter_flags["backbone_weights"] = Tensors(config.backbone_weights)
    # What is left at its default is no flag of a job, so that jobs of earlier
    # versions are found again.
    val_flags = {} if config.val_scale == 1 else {"scales": config.val_scale}
    return Setting(
        source=source,
        target=target,
        val=val,
        train_flagfile=find_flagfile(
            config.train_flagfile,
            TRAIN_FLAGFILE,
            "train_flagfile",
            "kliep_tf.train",
        ),
        segmenter_flagfile=segmenter_flagfile,
        size_flags=size_flags,
        segmenter_flags=segmenter_flags,
        val_flags=val_flags,
        weights=_weights(config, source, target, size_flags),
        judge=_segmenter(
            "the judge: a segmenter of the target",
            target,
            JUDGE_SEED,
            segmenter_flagfile,
            segmenter_flags,
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
            if not math.isfinite(source_exponent + target_exponent):
                raise ValueError
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
    return _evaluation(setting.judge, records, f"the judge on {title}", {})


def segmenter(
    setting: Setting, records: FlagValue, seed: int, title: str
) -> Job:
    """Returns a segmenter trained on labelled records."""
    return _segmenter(
        f"segmenter of {title}, seed {seed}",
        records,
        seed,
        setting.segmenter_flagfile,
        setting.segmenter_flags,
    )


def validation(setting: Setting, segmenter_job: Job, title: str) -> Job:
    """Returns the scores of a segmenter on the target's validation images."""
    return _evaluation(segmenter_job, setting.val, title, setting.val_flags)


def _size_flags(height: int, width: int) -> dict[str, FlagValue]:
    if not height and not width:
        return {}
    return {"image_height": height, "image_width": width}


def _weights(config, source, target, size_flags) -> Job:
    flags: dict[str, FlagValue] = {
        "source_records": source,
        "target_records": target,
        "features": config.features,
        "min_ess": config.min_ess,
    }
    seen = _size_flags(config.features_height, config.features_width)
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
                **(seen or size_flags),
            },
        )
        flags["segmenter"] = Output(job, runs.SAVED_MODEL)
        flags |= seen
    return Job(
        "importance weights", "kliep_tf.estimate_weights", "weights_dir", flags
    )


def _segmenter(title, records, seed, flagfile, more_flags) -> Job:
    return Job(
        title,
        "kliep_tf.train_segmenter",
        "run_dir",
        {"train_records": records, "seed": seed, **more_flags},
        flagfile,
    )


def _evaluation(segmenter_job, records, title, more_flags) -> Job:
    return Job(
        title,
        "kliep_tf.evaluate",
        "output_dir",
        {
            "segmenter": Output(segmenter_job, runs.SAVED_MODEL),
            "records": records,
            **more_flags,
        },
    )
