"""The study's plot: what each method reaches on each problem."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kliep_tf.experiments.estimator_study.page import value_of
from kliep_tf.experiments.reporting.plots import to_png
from kliep_tf.experiments.reporting.statistics import interval

_COLORS = (
    "#4477aa",
    "#cc6677",
    "#117733",
    "#ddcc77",
    "#882255",
    "#88ccee",
    "#555555",
    "#999933",
)
_MARKERS = "os^Dv<>p"
_MEASURES = (
    (("rank_correlation",), "rank correlation with the true ratio"),
    (("distance", "half"), "distance of class shares, exponents 1/2, 1/2"),
    (("ess",), "effective sample size"),
)


def draw(numbers: Mapping[str, Any]) -> bytes:
    """Returns a PNG: a panel a measure, a row a method, a colour a problem.

    Args:
        numbers: what estimators.json holds.
    """
    problems = [*numbers["gaussians"], *numbers["pairs"]]
    names = list(dict.fromkeys(n for p in problems for n in p["methods"]))
    shown = [
        (path, label)
        for path, label in _MEASURES
        if any(_has(problem, path) for problem in problems)
    ]
    with matplotlib.rc_context({"font.size": 9, "axes.grid": True}):
        figure = Figure(
            figsize=(4.6 * len(shown) + 2, 1.6 + 0.36 * len(names)),
            layout="constrained",
        )
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, (path, label) in zip(panels, shown, strict=True):
            _draw_panel(axes, problems, names, path)
            axes.set_xlabel(f"{label}\n(mean of w and psi, 95 % interval)")
        panels[0].set_yticks(range(len(names)), names)
        panels[0].invert_yaxis()
        handles = {
            label: handle
            for axes in panels
            for handle, label in zip(
                *axes.get_legend_handles_labels(), strict=True
            )
        }
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside lower center",
            ncols=4,
        )
        return to_png(figure, dpi=90)


def _draw_panel(
    axes: Axes,
    problems: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    path: Sequence[str],
) -> None:
    count = len(problems)
    for number, problem in enumerate(problems):
        if not _has(problem, path):
            continue
        color = _COLORS[number % len(_COLORS)]
        found = {
            names.index(name): interval(
                [value_of(cell, path) for cell in cells]
            )
            for name, cells in problem["methods"].items()
        }
        offset = 0.5 * (number - 0.5 * (count - 1)) / count
        axes.errorbar(
            [one.mean for one in found.values()],
            [row + offset for row in found],
            xerr=np.nan_to_num([one.half_width for one in found.values()]),
            fmt=_MARKERS[number % len(_MARKERS)],
            markersize=4,
            linewidth=1,
            color=color,
            label=problem["title"],
        )
        if path[0] == "distance":
            axes.axvline(
                value_of(problem["equal"], path), color=color, linewidth=1
            )


def _has(problem: Mapping[str, Any], path: Sequence[str]) -> bool:
    # Of Gaussians, no method may be left: class_shares has no use for them.
    return any(path[0] in cells[0] for cells in problem["methods"].values())
