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
from kliep_tf.experiments.reporting.consistency import (
    consistency_numbers,
    read_confusion,
)
from kliep_tf.experiments.reporting.statistics import (
    Comparison,
    compare,
    interval,
)
from kliep_tf.experiments.running.jobs import FlagValue, Job, Output

# What is shown of semantic consistency, and of segmentation: key -> title.
CONSISTENCY_MEASURES = {
    "mean_iou": "mean IoU",
    "sky_kept": "sky kept",
    "sky_to_vegetation": "sky to vegetation",
    "pixel_accuracy": "pixel accuracy",
}
SEGMENTATION_MEASURES = {
    "mean_iou": "mean IoU",
    "sky": "IoU of sky",
    "vegetation": "IoU of vegetation",
    "pixel_accuracy": "pixel accuracy",
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        name: unique in its table.
        images: by seed, the labelled records to train a segmenter on.
        from_source: whether they are the source's images, changed or not,
            so that the judge can compare them with the source's labels.
    """

    name: str
    images: Mapping[int, FlagValue]
    from_source: bool = True


def translated_row(
    setting: recipes.Setting, method: recipes.Method, num_seeds: int
) -> Row:
    """Returns the row of a CycleGAN, trained once for each seed."""
    return Row(
        method.name,
        {
            seed: Output(recipes.translation(setting, method, seed))
            for seed in range(num_seeds)
        },
    )


def same_images_row(
    name: str, images: FlagValue, num_seeds: int, from_source: bool = True
) -> Row:
    """Returns a row whose images are the same for all seeds."""
    return Row(name, dict.fromkeys(range(num_seeds), images), from_source)


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
    setting: recipes.Setting, rows: Sequence[Row]
) -> dict[tuple[str, int], Job]:
    """Returns the judge's work by row and seed.

    Images that are the same for all seeds are judged once.
    """
    jobs: dict[tuple[str, int], Job] = {}
    for row in rows:
        if not row.from_source:
            continue
        seen = set()
        for seed, images in row.images.items():
            job = recipes.judgement(setting, images, f"{row.name}, seed {seed}")
            if job.digest not in seen:
                jobs[row.name, seed] = job
                seen.add(job.digest)
    return jobs


def segmentations(
    setting: recipes.Setting, rows: Sequence[Row]
) -> dict[tuple[str, int], Job]:
    """Returns training and scoring of the segmenters by row and seed."""
    jobs = {}
    for row in rows:
        for seed, images in row.images.items():
            trained = recipes.segmenter(setting, images, seed, row.name)
            jobs[row.name, seed] = recipes.validation(
                setting, trained, f"score of {row.name}, seed {seed}"
            )
    return jobs


def read_numbers(
    jobs: Mapping[tuple[str, int], Job], cache_dir: Path
) -> dict[str, dict[str, list[float]]]:
    """Returns the scores of finished evaluations.

    Returns:
        By row, then by measure ("mean_iou", "sky_kept", ..., and the IoU of
        every class under its name): the values by ascending seed, NaN for a
        class that is not labelled. The mean is over the labelled classes.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for (row, _), job in sorted(jobs.items(), key=lambda item: item[0][1]):
        matrix = read_confusion(job.output_dir(cache_dir))
        for measure, value in _measures(matrix).items():
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
        row: {
            measure: compare(found[measure], numbers[base][measure])
            for measure in measures
        }
        for row, found in numbers.items()
        if row != base
    }


def _measures(matrix: Sequence[Sequence[int]]) -> dict[str, float]:
    numbers = consistency_numbers(matrix)
    names = ("sky_kept", "sky_to_vegetation", "pixel_accuracy")
    measures = {name: numbers[name] for name in names}
    iou = {
        name: found["iou"] if found["labelled_share"] else None
        for name, found in numbers["per_class"].items()
    }
    # Over the classes that the labels know: CamVid has 11 of the 19, and what
    # is taken for one of the others is wrong in the row of its label already.
    labelled = [value for value in iou.values() if value is not None]
    measures |= iou
    measures["mean_iou"] = float(np.mean(labelled)) if labelled else None
    return {
        name: np.nan if value is None else value
        for name, value in measures.items()
    }
