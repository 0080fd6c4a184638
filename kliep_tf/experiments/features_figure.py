"""The study's figure: what each kind of features recovers."""

import io
from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from kliep_tf.experiments.features_page import shown_setting
from kliep_tf.experiments.features_plan import SETTINGS, title_of

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
# What is compared where a true ratio is known, and where none is.
_KEYS = {
    "rank_correlation": "rank correlation with the true ratio",
    "share_distance": "distance of class shares",
}
_TITLES = {"target": "first target", "second_target": "second target"}


def draw(numbers: Mapping[str, Any]) -> bytes:
    """Returns a PNG: a row a target.

    Left, each kind of features at the default setting; right, all settings by
    the effective sample size that they lead to.

    Args:
        numbers: what features.json holds.
    """
    with matplotlib.rc_context({"font.size": 9, "axes.grid": True}):
        figure = Figure(figsize=(12, 4.2 * len(numbers)), layout="constrained")
        rows = figure.subplots(len(numbers), 2, squeeze=False)
        for (bars, points), (name, target) in zip(
            rows, numbers.items(), strict=True
        ):
            key = "rank_correlation" if target["true"] else "share_distance"
            _draw_bars(bars, target, key, _TITLES[name])
            _draw_points(points, target, key)
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=90)
    return picture.getvalue()


def _draw_bars(axes, target: Mapping[str, Any], key: str, title: str) -> None:
    names, shown = list(target["cells"]), shown_setting(target)
    for offset, domain, label, color in (
        (-0.2, "source", "w, over the source", _SOURCE),
        (0.2, "target", "psi, over the target", _TARGET),
    ):
        values = [target["cells"][name][shown][domain][key] for name in names]
        places = [row + offset for row in range(len(names))]
        axes.barh(places, values, 0.38, label=label, color=color)
    if key == "share_distance":
        axes.axvline(
            target["equal"]["source"][key],
            color="black",
            linewidth=1,
            label="equal weights",
        )
    axes.set_yticks(range(len(names)), [title_of(name) for name in names])
    axes.invert_yaxis()
    axes.set_xlabel(_KEYS[key])
    setting = next(s.title for s in SETTINGS if s.name == shown)
    axes.set_title(f"{title}: {setting}")
    axes.legend()


def _draw_points(axes, target: Mapping[str, Any], key: str) -> None:
    for color, (name, settings) in zip(
        _COLORS, target["cells"].items(), strict=False
    ):
        for domain, marker in (("source", "o"), ("target", "^")):
            cells = [cell[domain] for cell in settings.values()]
            axes.scatter(
                [100 * cell["ess"] for cell in cells],
                [cell[key] for cell in cells],
                s=18,
                color=color,
                marker=marker,
                label=title_of(name) if marker == "o" else None,
            )
    axes.set_xscale("log")
    axes.set_xlabel("effective sample size, % of the images")
    axes.set_ylabel(_KEYS[key])
    axes.set_title("all settings: w round, psi triangular")
    axes.legend(fontsize=7)
