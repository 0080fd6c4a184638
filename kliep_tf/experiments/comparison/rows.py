"""Rows compared over seeds: what to run, and the numbers that come out.

A row is a way to get training images. It is judged twice: by what the judge (a
segmenter that knows the target) sees in the images, against the source's
labels (semantic consistency); and by how a segmenter trained on them scores on
the target's validation images (Table I).
"""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kliep_tf.errors import UserError
from kliep_tf.experiments.comparison import recipes
from kliep_tf.experiments.comparison.recipes import Training, cyclegan
from kliep_tf.experiments.comparison.setting import Setting
from kliep_tf.experiments.comparison.weightings import parse_weighting
from kliep_tf.experiments.reporting.consistency import (
    consistency_numbers,
    read_confusion,
    watched_keys,
)
from kliep_tf.experiments.reporting.statistics import (
    Comparison,
    compare,
    interval,
)
from kliep_tf.experiments.running.jobs import (
    FlagValue,
    Job,
    Output,
    Records,
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a table: which programs make it, with which flags.

    Attributes:
        name: unique in its table.
        translator: what translates the source; None for images as they are.
        images: what an untranslated row learns from; None for the source.
        from_source: whether its images are the source's, changed or not, so
            that the judge can compare them with the source's labels.
        adaptation: what adapts its segmenters; None for segmenters that learn
            from its images alone.
        system: the same for rows that differ in their weights alone; "" where
            no system makes the row.
    """

    name: str
    translator: Training | None = None
    images: Records | None = None
    from_source: bool = True
    adaptation: Training | None = None
    system: str = ""

    @property
    def is_weighted(self) -> bool:
        """Whether a training of this row reads importance weights."""
        trainings = (self.translator, self.adaptation)
        return any(one.estimator for one in trainings if one)


def images_of(setting: Setting, row: Row, seed: int) -> FlagValue:
    """Returns the labelled records that a row's segmenter is trained on."""
    if row.translator is None:
        return row.images or setting.source
    made = recipes.translation(setting, row.translator, row.name, seed)
    return Output(made)


def of_own_images(rows: Sequence[Row]) -> list[Row]:
    """Returns the rows of the source's images, one for each kind of them."""
    found: list[Row] = []
    for row in rows:
        kinds = [(one.translator, one.images) for one in found]
        if row.from_source and (row.translator, row.images) not in kinds:
            found.append(row)
    return found


def pairs_by_weights(rows: Sequence[Row]) -> dict[str, str]:
    """Returns the rows with weights: name to that of the same without them."""
    plain: dict[str, str] = {}
    for row in rows:
        if row.system and not row.is_weighted:
            plain.setdefault(row.system, row.name)
    return {
        row.name: plain[row.system]
        for row in rows
        if row.is_weighted and row.system in plain
    }


def parse_methods(specifications: Sequence[str]) -> list[Row]:
    """Returns the CycleGANs of `NAME:WEIGHTING` texts.

    Raises:
        UserError: a text is of another form, or two names are equal.
    """
    found: list[Row] = []
    for text in specifications:
        name, _, words = text.partition(":")
        try:
            weighting = parse_weighting(words)
        except ValueError:
            raise UserError(
                "--methods: expected NAME:A:B[:ESTIMATOR] with two exponents, "
                f"or NAME:overlap[:ESTIMATOR], found {text!r}"
            ) from None
        if not name or name in [row.name for row in found]:
            raise UserError(
                f"--methods: expected names of their own, found {text!r}"
            )
        found.append(Row(name, cyclegan(weighting), system="cyclegan"))
    return found


def consistency_measures(setting: Setting) -> dict[str, str]:
    """Returns what is shown of semantic consistency: key to title."""
    watched = setting.watched
    measures = {"mean_iou": "mean IoU"}
    if watched.is_in(setting.classes):
        keys, label = watched_keys(watched), watched.label
        measures[keys.kept] = f"{label} kept"
        measures[keys.turned] = f"{label} to {watched.prediction}"
    return measures | {"pixel_accuracy": "pixel accuracy"}


def segmentation_measures(setting: Setting) -> dict[str, str]:
    """Returns what is shown of segmentation: key to title."""
    watched = setting.watched
    measures = {"mean_iou": "mean IoU"}
    if watched.is_in(setting.classes):
        measures |= {
            name: f"IoU of {name}"
            for name in (watched.label, watched.prediction)
        }
    return measures | {"pixel_accuracy": "pixel accuracy"}


def require_own_names(names: Iterable[str], flags: str) -> None:
    """Raises a UserError where two rows of a table have one name.

    Args:
        names: of all rows.
        flags: that name rows, for the message.
    """
    for name, count in collections.Counter(names).items():
        if count > 1:
            raise UserError(
                f"{flags}: expected each row of the table to have a name of "
                f"its own, found {count} rows named {name!r}"
            )


def judgements(
    setting: Setting, rows: Sequence[Row], seeds: Sequence[int]
) -> dict[tuple[str, int], Job]:
    """Returns the judge's work by row and seed.

    Images that are the same for all seeds are judged once, and those of rows
    that differ in their segmenters alone under the name of the first.
    """
    jobs: dict[tuple[str, int], Job] = {}
    for row in of_own_images(rows):
        seen = set()
        for seed in seeds:
            images = images_of(setting, row, seed)
            job = recipes.judgement(setting, images, f"{row.name}, seed {seed}")
            if job.digest not in seen:
                jobs[row.name, seed] = job
                seen.add(job.digest)
    return jobs


def segmentations(
    setting: Setting, rows: Sequence[Row], seeds: Sequence[int]
) -> dict[tuple[str, int], Job]:
    """Returns training and scoring of the segmenters by row and seed."""
    jobs = {}
    for row in rows:
        for seed in seeds:
            images = images_of(setting, row, seed)
            if row.adaptation:
                trained = recipes.adaptation(
                    setting, row.adaptation, images, seed, row.name
                )
            else:
                trained = recipes.segmenter(setting, images, seed, row.name)
            jobs[row.name, seed] = recipes.validation(
                setting, trained, f"score of {row.name}, seed {seed}"
            )
    return jobs


def read_numbers(
    setting: Setting,
    jobs: Mapping[tuple[str, int], Job],
    cache_dir: Path,
) -> dict[str, dict[str, list[float]]]:
    """Returns the scores of finished evaluations.

    Returns:
        By row, then by measure ("mean_iou", "pixel_accuracy", those that
        `setting.watched` names, and the IoU of every class under its name):
        the values by ascending seed, NaN for a class that is not labelled. The
        mean is over the labelled classes.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for (row, _), job in sorted(jobs.items(), key=lambda item: item[0][1]):
        matrix = read_confusion(job.output_dir(cache_dir), setting.classes)
        for measure, value in _measures(setting, matrix).items():
            found.setdefault(row, {}).setdefault(measure, []).append(value)
    return found


def summarize(
    numbers: Mapping[str, Mapping[str, Sequence[float]]],
) -> dict[str, Any]:
    """Returns mean, 95 % half width and values, by row and measure."""
    return {
        row: {
            measure: {**interval(values)._asdict(), "values": list(values)}
            for measure, values in measures.items()
        }
        for row, measures in numbers.items()
    }


def differences(
    numbers: Mapping[str, Mapping[str, Sequence[float]]],
    base: str,
    measures: Sequence[str],
) -> dict[str, dict[str, Comparison]]:
    """Returns how the other rows differ from one, seed by seed.

    A row of one value is that value for every seed.
    """
    return {
        row: difference(found, numbers[base], measures)
        for row, found in numbers.items()
        if row != base
    }


def difference(
    row: Mapping[str, Sequence[float]],
    base: Mapping[str, Sequence[float]],
    measures: Sequence[str],
) -> dict[str, Comparison]:
    """Returns how one row's measures differ from another's, seed by seed."""
    return {
        measure: compare(row[measure], base[measure]) for measure in measures
    }


def _measures(setting: Setting, matrix: np.ndarray) -> dict[str, float]:
    numbers = consistency_numbers(matrix, setting.classes, setting.watched)
    iou = {
        name: found["iou"] if found["labelled_share"] else None
        for name, found in numbers["per_class"].items()
    }
    # Over the classes that the labels know: CamVid has 11 of the 19, and what
    # is taken for one of the others is wrong in the row of its label already.
    labelled = [value for value in iou.values() if value is not None]
    measures = {
        **{key: numbers[key] for key in consistency_measures(setting)},
        **iou,
        "mean_iou": float(np.mean(labelled)) if labelled else None,
    }
    return {
        name: np.nan if value is None else value
        for name, value in measures.items()
    }
