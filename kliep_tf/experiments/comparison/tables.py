"""The tables of a comparison, and its plot of every seed."""

import math
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kliep_tf.data.class_sets import ClassSet
from kliep_tf.experiments.reporting.pages import Table
from kliep_tf.experiments.reporting.plots import to_png
from kliep_tf.experiments.reporting.statistics import (
    Comparison,
    Interval,
    interval,
)

# By row and measure: a value for each seed, from 0 to 1.
Numbers = Mapping[str, Mapping[str, Sequence[float]]]

# As the paper's Table I abbreviates Cityscapes' classes.
_SHORT = {
    "traffic light": "light",
    "traffic sign": "sign",
    "vegetation": "veg.",
    "motorcycle": "motor",
    "building": "build.",
    "sidewalk": "walk",
}
_PANEL = -2.0, 102.0  # per cent, the most that a panel of a plot shows


def measures_table(numbers: Numbers, measures: Mapping[str, str]) -> Table:
    """Returns rows by measures, each cell the mean and its 95 % interval.

    Args:
        numbers: by row and measure, a value for each seed, from 0 to 1.
        measures: keys and titles of the columns.
    """
    return Table(
        ["", "seeds", *measures.values()],
        [
            [
                row,
                str(len(next(iter(found.values())))),
                *(shown_interval(interval(found[key])) for key in measures),
            ]
            for row, found in numbers.items()
        ],
    )


def class_table(numbers: Numbers, classes: ClassSet) -> Table:
    """Returns rows in the layout of Table I: mean IoU of each class, mIoU."""
    names = classes.names
    return Table(
        ["", *(_SHORT.get(name, name) for name in names), "mIoU"],
        [
            [
                row,
                *(_percent(interval(found[name]).mean) for name in names),
                shown_interval(interval(found["mean_iou"])),
            ]
            for row, found in numbers.items()
        ],
    )


def differences_table(
    differences: Mapping[str, Mapping[str, Comparison]],
    base: str,
    measures: Mapping[str, str],
) -> Table:
    """Returns paired differences from one row, with the t-test's p."""
    return _comparisons(differences, f"minus {base}", measures)


def pairs_table(
    differences: Mapping[str, Mapping[str, Comparison]],
    measures: Mapping[str, str],
) -> Table:
    """Returns paired differences of two rows each, which their names say."""
    return _comparisons(differences, "", measures)


def _comparisons(
    differences: Mapping[str, Mapping[str, Comparison]],
    corner: str,
    measures: Mapping[str, str],
) -> Table:
    return Table(
        [corner, *measures.values()],
        [
            [row, *(shown_comparison(found[key]) for key in measures)]
            for row, found in differences.items()
        ],
    )


def seeds_table(
    numbers: Numbers,
    measures: Mapping[str, str],
    rows: Sequence[str],
    seeds: Sequence[int],
) -> Table:
    """Returns the values of some rows, a line a seed."""
    lines = []
    for row in rows:
        values = [numbers[row][key] for key in measures]
        for seed, *scores in zip(seeds, *values, strict=True):
            lines.append([row, str(seed), *map(_percent, scores)])
    return Table(["", "seed", *measures.values()], lines)


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


def draw_measures(numbers: Numbers, measures: Mapping[str, str]) -> bytes:
    """Returns a PNG: one panel a measure, a row's seeds as dots, its interval.

    Args:
        numbers: by row and measure, a value for each seed, from 0 to 1.
        measures: keys and titles of the panels.
    """
    rows = list(numbers)
    with matplotlib.rc_context({"font.size": 9, "axes.grid": True}):
        figure = Figure(
            (3.1 * len(measures) + 1.2, 0.42 * len(rows) + 1.3),
            layout="constrained",
        )
        axes = figure.subplots(1, len(measures), sharey=True, squeeze=False)[0]
        for axis, (key, title) in zip(axes, measures.items(), strict=True):
            for height, row in enumerate(rows):
                _draw_row(axis, height, numbers[row][key])
            # An interval of two seeds may lead far beyond what there can be.
            axis.set_xlim(*np.clip(axis.get_xlim(), *_PANEL))
            axis.set_title(title)
            axis.set_xlabel("per cent")
        axes[0].set_yticks(range(len(rows)), rows)
        axes[0].invert_yaxis()
        return to_png(figure)


def _draw_row(axis: Axes, height: int, values: Sequence[float]) -> None:
    percent = 100 * np.asarray(values, np.float64)
    found = interval(percent.tolist())
    axis.plot(percent, np.full(len(percent), height), "o", ms=4, alpha=0.45)
    axis.errorbar(
        found.mean,
        height,
        xerr=None if np.isnan(found.half_width) else found.half_width,
        fmt="|",
        color="black",
        capsize=3,
        ms=9,
    )


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}"
