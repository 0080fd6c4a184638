"""The tables of a comparison, as Markdown."""

import math
from collections.abc import Mapping, Sequence

from kliep_tf.data.datasets import CLASS_NAMES
from kliep_tf.experiments.reporting.markdown import to_table
from kliep_tf.experiments.reporting.statistics import (
    Comparison,
    Interval,
    interval,
)

# By row and measure: a value for each seed, from 0 to 1.
Numbers = Mapping[str, Mapping[str, Sequence[float]]]

# As Table I abbreviates the 19 classes.
_SHORT = {
    "traffic light": "light",
    "traffic sign": "sign",
    "vegetation": "veg.",
    "motorcycle": "motor",
    "building": "build.",
    "sidewalk": "walk",
}


def measures_table(numbers: Numbers, measures: Mapping[str, str]) -> str:
    """Returns rows by measures, each cell the mean and its 95 % interval.

    Args:
        numbers: by row and measure, a value for each seed, from 0 to 1.
        measures: keys and titles of the columns.
    """
    header = ["", "seeds", *measures.values()]
    lines = [
        [
            row,
            str(len(next(iter(found.values())))),
            *(shown_interval(interval(found[key])) for key in measures),
        ]
        for row, found in numbers.items()
    ]
    return to_table(header, lines)


def class_table(numbers: Numbers) -> str:
    """Returns rows in the layout of Table I: mean IoU of each class, mIoU."""
    header = ["", *(_SHORT.get(name, name) for name in CLASS_NAMES), "mIoU"]
    lines = [
        [
            row,
            *(_percent(interval(found[name]).mean) for name in CLASS_NAMES),
            shown_interval(interval(found["mean_iou"])),
        ]
        for row, found in numbers.items()
    ]
    return to_table(header, lines)


def differences_table(
    differences: Mapping[str, Mapping[str, Comparison]],
    base: str,
    measures: Mapping[str, str],
) -> str:
    """Returns paired differences from one row, with the t-test's p."""
    header = [f"minus {base}", *measures.values()]
    lines = [
        [row, *(shown_comparison(found[key]) for key in measures)]
        for row, found in differences.items()
    ]
    return to_table(header, lines)


def seeds_table(
    numbers: Numbers, measures: Mapping[str, str], rows: Sequence[str]
) -> str:
    """Returns every seed's values of some rows."""
    header = ["", "seed", *measures.values()]
    lines = []
    for row in rows:
        values = [numbers[row][key] for key in measures]
        for seed, scores in enumerate(zip(*values, strict=True)):
            lines.append([row, str(seed), *map(_percent, scores)])
    return to_table(header, lines)


def shown_interval(found: Interval) -> str:
    """Returns "76.0 ± 2.1", in per cent."""
    if math.isnan(found.half_width):
        return _percent(found.mean)
    return f"{_percent(found.mean)} ± {_percent(found.half_width)}"


def shown_comparison(found: Comparison) -> str:
    """Returns "+3.2 ± 1.1 (p = .004)", in percentage points."""
    sign = "+" if found.difference.mean >= 0 else ""
    shown = sign + shown_interval(found.difference)
    if math.isnan(found.p_value):
        return shown
    p_value = f"{found.p_value:.3f}".lstrip("0")
    return f"{shown} (p {'< .001' if found.p_value < 1e-3 else '= ' + p_value})"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}"
