"""What all rows of one experiment share.

The two domains, their classes, the importance weights, the judge, the
flagfiles.
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
from kliep_tf.segmentation.consistency import WatchedConfusion

# The judge, and the oracle of Table I that it is, come from this seed.
JUDGE_SEED = 0

TRAIN = "kliep_tf.train"
TRAIN_SEGMENTER = "kliep_tf.train_segmenter"


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
        judge=segmenter_of(
            "the judge: a segmenter of the target",
            target,
            JUDGE_SEED,
            segmenter_flagfile,
            segmenter_flags,
        ),
    )


def segmenter_of(
    title: str,
    records: FlagValue,
    seed: int,
    flagfile: str,
    more_flags: Mapping[str, FlagValue],
) -> Job:
    """Returns the training of a segmenter on labelled records."""
    return Job(
        title,
        TRAIN_SEGMENTER,
        "run_dir",
        {"train_records": records, "seed": seed, **more_flags},
        flagfile,
    )


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
