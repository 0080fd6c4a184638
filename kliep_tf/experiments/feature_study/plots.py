"""The study's plot: what each kind of features recovers."""

from collections.abc import Callable, Mapping
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kliep_tf.experiments.feature_study.page import shown_setting
from kliep_tf.experiments.feature_study.plan import SETTINGS, VARIANTS, title_of
from kliep_tf.experiments.reporting.plots import to_png

_LABELS = {
    "rank_correlation": "rank correlation with the true ratio",
    "normalised_error": "error against the true ratio",
    "share_distance": "distance of class shares",
}
# A kind of features has one colour, whichever others were compared.
_NAMES = [variant.name for variant in VARIANTS]
_SETTING_TITLES = {setting.name: setting.title for setting in SETTINGS}
_SOURCE, _TARGET = "#4477aa", "#cc6677"
_COLORS = (
    "#332288",
    "#88ccee",
    "#117733",
    "#ddcc77",
    "#cc6677",
    "#882255",
    "#999933",
    "#555555",
)
_TITLES = {"target": "first target", "second_target": "second target"}


def draw(numbers: Mapping[str, Any]) -> bytes:
    """Returns a PNG: a row a target.

    Left, each kind of features under the setting shown first: the rank
    correlation with the true ratio, or where there is none the distance of
    class shares. Right, the error or that distance under every setting.

    Args:
        numbers: what features.json holds.
    """
    with matplotlib.rc_context({"font.size": 9, "axes.grid": True}):
        figure = Figure(figsize=(13, 4.4 * len(numbers)), layout="constrained")
        rows = figure.subplots(len(numbers), 2, squeeze=False)
        for (bars, lines), (name, target) in zip(
            rows, numbers.items(), strict=True
        ):
            if target["true"]:
                _draw_bars(bars, target, "rank_correlation", _TITLES[name])
                _draw_lines(lines, target, "normalised_error")
                lines.set_yscale("log")
            else:
                _draw_bars(bars, target, "share_distance", _TITLES[name])
                _draw_lines(lines, target, "share_distance")
        return to_png(figure, dpi=90)


def _draw_bars(
    axes: Axes, target: Mapping[str, Any], key: str, title: str
) -> None:
    names, shown = list(target["cells"]), shown_setting(target)
    for offset, domain, label, color in (
        (-0.2, "source", "w, over the source", _SOURCE),
        (0.2, "target", "psi, over the target", _TARGET),
    ):
        values = [target["cells"][name][shown][domain][key] for name in names]
        places = [row + offset for row in range(len(names))]
        axes.barh(places, values, 0.38, label=label, color=color)
    if key == "share_distance":
        _draw_equal(axes.axvline, target["equal"]["source"][key])
    axes.set_yticks(range(len(names)), [title_of(name) for name in names])
    axes.invert_yaxis()
    axes.set_xlabel(_LABELS[key])
    axes.set_title(f"{title}: {_SETTING_TITLES[shown]}")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3)


def _draw_lines(axes: Axes, target: Mapping[str, Any], key: str) -> None:
    """Draws the mean of both directions, a line for each kind of features."""
    for name, settings in target["cells"].items():
        titles = [_SETTING_TITLES[setting] for setting in settings]
        values = [_mean(cell, key) for cell in settings.values()]
        color = _COLORS[_NAMES.index(name)]
        axes.plot(titles, values, "o-", color=color, label=title_of(name))
    _draw_equal(axes.axhline, _mean(target["equal"], key))
    axes.tick_params(axis="x", rotation=40)
    for label in axes.get_xticklabels():
        label.set(ha="right", rotation_mode="anchor")
    axes.set_ylabel(f"{_LABELS[key]}, mean of w and psi")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8)


def _draw_equal(draw_line: Callable[..., Any], value: float) -> None:
    draw_line(value, color="black", linewidth=1, label="equal weights")


def _mean(cell: Mapping[str, Any], key: str) -> float:
    return (cell["source"][key] + cell["target"][key]) / 2
