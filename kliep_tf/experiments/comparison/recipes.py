"""The programs that experiments compare, as jobs of one setting."""

import dataclasses
from collections.abc import Mapping

from kliep_tf import runs
from kliep_tf.experiments.comparison.setting import (
    TRAIN,
    Setting,
    segmenter_of,
)
from kliep_tf.experiments.comparison.weightings import KLIEP, Weighting
from kliep_tf.experiments.running.flagfiles import sets_flag
from kliep_tf.experiments.running.jobs import FlagValue, Job, Output

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
    return segmenter_of(
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
