"""The programs that experiments compare, as jobs.

All rows of one experiment share a setting: the two domains, their classes, the
importance weights, the judge, the flagfiles.
"""

import dataclasses
from collections.abc import Mapping

from kliep_tf import runs
from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.records import resolve_records
from kliep_tf.data.summaries import class_set_of
from kliep_tf.experiments.comparison.setting_flags import (
    SettingConfig,
    check_setting,
    find_watched,
    labelled_records,
)
from kliep_tf.experiments.comparison.weightings import KLIEP, Weighting
from kliep_tf.experiments.running.flagfiles import (
    SEGMENTER_FLAGFILE,
    TRAIN_FLAGFILE,
    find_flagfile,
    sets_flag,
)
from kliep_tf.experiments.running.jobs import (
    FlagValue,
    Job,
    Output,
    Records,
    Tensors,
)
from kliep_tf.segmentation.consistency import WatchedConfusion

# The judge, and the oracle of Table I that it is, come from this seed.
JUDGE_SEED = 0

TRAIN = "kliep_tf.train"
TRAIN_SEGMENTER = "kliep_tf.train_segmenter"
ADAPT_SEGMENTER = "kliep_tf.adapt_segmenter"


@dataclasses.dataclass(frozen=True)
class Training:
    """How a row trains a network: a program with flags of the row's own.

    Attributes:
        module: what `python -m` runs.
        flags: besides records, seed, sizes and flagfile.
        estimator: of the importance weights that it reads; "" for none.
        flagfile: of the program; "" for the setting's `train_flagfile`.
        segmenter_flag: the program's flag for a segmenter that it begins with,
            trained by the recipe and the seed of the row; "" for none.
    """

    module: str
    flags: Mapping[str, FlagValue]
    estimator: str = ""
    flagfile: str = ""
    segmenter_flag: str = ""


@dataclasses.dataclass(frozen=True)
class Setting:
    """What all rows of an experiment share.

    Attributes:
        source: the rendered images.
        target: the real ones to train on.
        val: the real ones to score on.
        classes: of all their labels.
        watched: the classes that the tables single out.
        train_flagfile: of the translators.
        segmenter_flagfile: of the judge's and the rows' segmenters.
        size_flags: of every training.
        segmenter_flags: of the judge's and the rows' segmenters.
        val_flags: of every evaluation on `val`.
        weights: the importance weights, by KLIEP (see `weights_by`).
        judge: a segmenter of the target.
    """

    source: Records
    target: Records
    val: Records
    classes: ClassSet
    watched: WatchedConfusion
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
    paths = [
        path
        for records in (source, target, val)
        for path in resolve_records(records.pattern, records.flag)
    ]
    classes = class_set_of(paths)
    segmenter_flagfile = find_flagfile(
        config.segmenter_flagfile,
        SEGMENTER_FLAGFILE,
        "segmenter_flagfile",
        TRAIN_SEGMENTER,
    )
    size_flags = _size_flags(config.image_height, config.image_width)
    segmenter_flags = dict(size_flags)
    if config.backbone_weights:
        segmenter_flags["backbone_weights"] = Tensors(config.backbone_weights)
    # What is left at its default is no flag of a job, so that jobs of earlier
    # versions are found again.
    val_flags: dict[str, FlagValue] = (
        {} if config.val_scale == 1 else {"scales": config.val_scale}
    )
    return Setting(
        source=source,
        target=target,
        val=val,
        classes=classes,
        watched=find_watched(config, classes),
        train_flagfile=find_flagfile(
            config.train_flagfile,
            TRAIN_FLAGFILE,
            "train_flagfile",
            TRAIN,
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


def weights_by(setting: Setting, estimator: str) -> Job:
    """Returns the estimate of the importance weights by one estimator."""
    if estimator == KLIEP:
        return setting.weights
    flags = {**setting.weights.flags, "estimator": estimator}
    del flags["min_ess"]  # KLIEP's alone
    title = f"{setting.weights.title}, {estimator}"
    return dataclasses.replace(setting.weights, title=title, flags=flags)


def cyclegan(weighting: Weighting, cohort: str = "all") -> Training:
    """Returns a CycleGAN (eq. 12 and its generalisation).

    Args:
        weighting: of its images.
        cohort: the part of the source by importance to learn from, "all" for
            the whole.
    """
    flags: dict[str, FlagValue] = dict(weighting.flags)
    estimator = weighting.estimator
    if cohort != "all":
        flags["source_cohort"] = cohort
        estimator = estimator or KLIEP
    return Training(TRAIN, flags, estimator)


def training(
    setting: Setting, translator: Training, name: str, seed: int
) -> Job:
    """Returns the training of one translator."""
    given: dict[str, FlagValue] = {}
    if translator.segmenter_flag:
        trained = segmenter(setting, setting.source, seed, "the source")
        given[translator.segmenter_flag] = Output(trained, runs.SAVED_MODEL)
    flagfile = translator.flagfile or setting.train_flagfile
    if translator.module == TRAIN and sets_flag(flagfile, "weighting"):
        # A row with exponents must not take the flagfile's; where the file says
        # nothing, jobs stay those of earlier versions.
        given["weighting"] = translator.flags.get("weighting", "exponents")
    return Job(
        f"train {name}, seed {seed}",
        translator.module,
        "run_dir",
        {
            "source_records": setting.source,
            "target_records": setting.target,
            "seed": seed,
            **translator.flags,
            **_weights_flag(setting, translator),
            **given,
            **setting.size_flags,
        },
        flagfile,
    )


def translation(
    setting: Setting, translator: Training, name: str, seed: int
) -> Job:
    """Returns the whole source as one translator translates it.

    The images keep the weights that it was trained with; KLIEP's, if none.
    """
    trained = training(setting, translator, name, seed)
    weights = weights_by(setting, translator.estimator or KLIEP)
    return Job(
        f"translation by {name}, seed {seed}",
        "kliep_tf.translate",
        "output_dir",
        {
            "saved_model": Output(trained, runs.SAVED_MODEL),
            "source_records": setting.source,
            "weights_dir": Output(weights),
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


def adaptation(
    setting: Setting,
    adapter: Training,
    records: FlagValue,
    seed: int,
    title: str,
) -> Job:
    """Returns a segmenter of labelled records that is adapted to the target."""
    given: dict[str, FlagValue] = {}
    if adapter.segmenter_flag:
        trained = segmenter(setting, records, seed, title)
        given[adapter.segmenter_flag] = Output(trained)
    return Job(
        f"adapted segmenter of {title}, seed {seed}",
        adapter.module,
        "run_dir",
        {
            "source_records": records,
            "target_records": setting.target,
            "seed": seed,
            **setting.segmenter_flags,
            **adapter.flags,
            **_weights_flag(setting, adapter),
            **given,
        },
        adapter.flagfile,
    )


def validation(setting: Setting, segmenter_job: Job, title: str) -> Job:
    """Returns the scores of a segmenter on the target's validation images."""
    return _evaluation(segmenter_job, setting.val, title, setting.val_flags)


def _weights_flag(setting: Setting, own: Training) -> dict[str, FlagValue]:
    if not own.estimator:
        return {}
    return {"weights_dir": Output(weights_by(setting, own.estimator))}


def _size_flags(height: int, width: int) -> dict[str, FlagValue]:
    if not height and not width:
        return {}
    return {"image_height": height, "image_width": width}


def _weights(
    config: SettingConfig,
    source: Records,
    target: Records,
    size_flags: Mapping[str, FlagValue],
) -> Job:
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
            TRAIN_SEGMENTER,
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


def _segmenter(
    title: str,
    records: FlagValue,
    seed: int,
    flagfile: str,
    more_flags: Mapping[str, FlagValue],
) -> Job:
    return Job(
        title,
        TRAIN_SEGMENTER,
        "run_dir",
        {"train_records": records, "seed": seed, **more_flags},
        flagfile,
    )


def _evaluation(
    segmenter_job: Job,
    records: FlagValue,
    title: str,
    more_flags: Mapping[str, FlagValue],
) -> Job:
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
