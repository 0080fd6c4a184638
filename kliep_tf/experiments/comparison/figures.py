"""The figures of a comparison: every seed as a dot, and pictures."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from kliep_tf.experiments.comparison.tables import Numbers
from kliep_tf.experiments.reporting.figures import to_png
from kliep_tf.experiments.reporting.statistics import interval

_DPI = 110


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
            axis.set_title(title)
            axis.set_xlabel("per cent")
        axes[0].set_yticks(range(len(rows)), rows)
        axes[0].invert_yaxis()
        return to_png(figure, _DPI)


def draw_panels(
    columns: Mapping[str, Sequence[np.ndarray]], row_names: Sequence[str]
) -> bytes:
    """Returns a PNG of pictures, one column a title.

    Args:
        columns: by title, uint8 images [H, W, 3], one a row.
        row_names: of the rows.
    """
    first = next(iter(columns.values()))[0]
    width = min(3.0, 18.0 / len(columns))
    height = width * first.shape[0] / first.shape[1]
    with matplotlib.rc_context({"font.size": 8}):
        figure = Figure(
            (
                width * len(columns) + 0.3,
                (height + 0.06) * len(row_names) + 0.4,
            ),
            layout="constrained",
        )
        axes = figure.subplots(len(row_names), len(columns), squeeze=False)
        for column, (title, images) in enumerate(columns.items()):
            axes[0, column].set_title(title)
            for row, image in enumerate(images):
                axis = axes[row, column]
                axis.imshow(image, interpolation="nearest")
                axis.set(xticks=[], yticks=[])
        # In the picture: beside it, long names would run into each other.
        for row, name in enumerate(row_names):
            axes[row, 0].text(
                0.01,
                0.03,
                name,
                transform=axes[row, 0].transAxes,
                fontsize=6,
                color="white",
                bbox={"facecolor": "black", "pad": 1, "linewidth": 0},
            )
        return to_png(figure, _DPI)


def _draw_row(axis, height: int, values: Sequence[float]) -> None:
    percent = 100 * np.asarray(values, np.float64)
    found = interval(percent)
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
