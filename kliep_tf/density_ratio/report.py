"""The report of a set of weights: a text and a figure for people."""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kliep_tf.density_ratio.diagnostics import matched_shares
from kliep_tf.density_ratio.doubt import Sign
from kliep_tf.density_ratio.verdict import describe_signs
from kliep_tf.density_ratio.weighting import FittedWeights

_NUM_EXTREMES = 5
# Classes below this share in both domains only lengthen the table.
_LEAST_SHARE = 0.0005
_MAX_SCORE_SPAN = 5.0  # nats
_NUM_CLASSES_DRAWN = 8
_BLUE, _RED = "#4477aa", "#cc6677"
_DECISIONS = {
    "given": "given",
    "score": "of the best held-out score",
    "ess_floor": "by the floor of the ESS",
}
# By the key of a weights' summary; the first is of all.
_LEGEND = {
    "estimator": "w weighs the source, psi the target; the effective sample "
    "size is what they leave of the images.",
    "bandwidth": 'Bandwidths are "given", of the best "score" of held-out '
    'images, or those above the floor of that size ("ess_floor").',
    "duality_gap": "The duality gap bounds what a fit lacks from the best one.",
}


@dataclasses.dataclass(frozen=True)
class ClassShares:
    """Mean class shares before and after weighting.

    Attributes:
        names: [C] the classes.
        source: [N_s, C], each image's shares.
        target: [N_t, C].
        origin: "labels" or "the segmenter's predictions".
    """

    names: np.ndarray
    source: np.ndarray
    target: np.ndarray
    origin: str


def describe(
    source: FittedWeights,
    target: FittedWeights,
    shares: ClassShares | None,
    head: Sequence[str] = (),
    signs: Sequence[Sign] = (),
) -> str:
    """Returns the report as Markdown that reads as plain text.

    Args:
        source: w over the source.
        target: psi over the target.
        shares: of the classes, or None where nothing tells them.
        head: the first lines: what was compared, and whether it helps.
        signs: of doubt in the features.
    """
    parts = ["# Importance weights", ""]
    for line in head:
        parts += [line, ""]
    parts += [*_figures(source, target), "", _legend(source.weights.summary)]
    if signs:
        parts += ["", *describe_signs(signs), ""]
    for fitted in (source, target):
        parts.extend(
            f"note ({fitted.weights.domain}): {note}" for note in fitted.notes
        )
    if shares is not None:
        parts.extend(["", *_share_table(source, target, shares)])
    parts.extend(["", *_extremes(source, "the target"), ""])
    parts.extend(_extremes(target, "the source"))
    return "\n".join(parts) + "\n"


def describe_equal_weights(head: Sequence[str], signs: Sequence[Sign]) -> str:
    """Returns the report where all weights are 1."""
    parts = ["# Importance weights", ""]
    for line in head:
        parts += [line, ""]
    return "\n".join([*parts, *describe_signs(signs)]) + "\n"


def draw(
    source: FittedWeights,
    target: FittedWeights,
    shares: ClassShares | None,
    path: str | os.PathLike,
) -> None:
    """Writes a PNG: weights, choice of bandwidth, class shares; a row each."""
    with matplotlib.rc_context({"font.size": 9, "axes.grid": True}):
        figure = Figure(figsize=(16, 8), layout="constrained")
        rows = figure.subplots(2, 3)
        for (histogram, choice, classes), fitted, other in (
            (rows[0], source, "target"),
            (rows[1], target, "source"),
        ):
            _draw_weights(histogram, fitted)
            _draw_selection(choice, fitted)
            if shares is None:
                classes.axis("off")
            else:
                _draw_shares(classes, fitted, other, shares)
        figure.savefig(path, dpi=80)


def _figures(source: FittedWeights, target: FittedWeights) -> list[str]:
    rows: list[tuple[str, Callable[[FittedWeights], str]]] = [
        ("images", _describe_images),
        ("features", _describe_features),
        ("estimator", lambda f: f.weights.summary["estimator"]),
        ("effective sample size", lambda f: f"{100 * f.ess:.1f} %"),
        ("largest weight", lambda f: f"{f.weights.weights.max():.2f}"),
        *_figures_of(source.weights.summary),
    ]
    lines = [
        f"| {'':22} | {'source (w)':>18} | {'target (psi)':>18} |",
        f"|{'-' * 24}|{'-' * 19}:|{'-' * 19}:|",
    ]
    for name, show in rows:
        lines.append(f"| {name:22} | {show(source):>18} | {show(target):>18} |")
    return lines


def _legend(summary: Mapping[str, Any]) -> str:
    return " ".join(text for key, text in _LEGEND.items() if key in summary)


def _figures_of(
    summary: Mapping[str, Any],
) -> list[tuple[str, Callable[[FittedWeights], str]]]:
    """Returns the rows of what the estimator has: not all have all."""
    rows: list[tuple[str, str, str]] = [
        ("bandwidth", "bandwidth", "{0:.4g} ({bandwidth_decided_by})"),
        ("centers", "num_centers", "{0}"),
        ("lambda", "ridge", "{0:.3g}"),
        ("mean log ratio, nats", "mean_log_ratio", "{0:.4f}"),
        ("duality gap, nats", "duality_gap", "{0:.1e}"),
    ]

    def show(key: str, form: str, fitted: FittedWeights) -> str:
        summary = fitted.weights.summary
        return form.format(summary[key], **summary)

    return [
        (name, functools.partial(show, key, form))
        for name, key, form in rows
        if key in summary
    ]


def _describe_images(fitted: FittedWeights) -> str:
    number = len(fitted.weights.weights)
    some = fitted.weights.summary["images_fitted"]
    return f"{number}, {some} fitted" if some < number else f"{number}"


def _describe_features(fitted: FittedWeights) -> str:
    summary = fitted.weights.summary
    columns, scaled = len(summary["feature_names"]), summary["scaled_columns"]
    fewer = f" to {scaled}" if scaled != columns else ""
    return f"{columns}, {summary['scaling']}{fewer}"


def _share_table(
    source: FittedWeights, target: FittedWeights, shares: ClassShares
) -> list[str]:
    columns = (
        shares.source.mean(0),
        matched_shares(shares.source, source.weights.weights),
        shares.target.mean(0),
        matched_shares(shares.target, target.weights.weights),
    )
    lines = [
        f"Mean class shares, by {shares.origin}:",
        "",
        f"| {'class':14} | source | weighted source | target | "
        "weighted target |",
        f"|{'-' * 16}|-------:|----------------:|-------:|----------------:|",
    ]
    for row in np.argsort(-(columns[0] + columns[2])):
        if max(columns[0][row], columns[2][row]) < _LEAST_SHARE:
            continue
        plain, weighted, other, weighted_other = (c[row] for c in columns)
        lines.append(
            f"| {shares.names[row]:14} | {plain:6.4f} | {weighted:15.4f} | "
            f"{other:6.4f} | {weighted_other:15.4f} |"
        )
    unweighted, source_weighted, target_weighted = (
        0.5 * np.abs(columns[first] - columns[second]).sum()
        for first, second in ((0, 2), (1, 2), (0, 3))
    )
    lines += [
        "",
        "Distance between the domains' shares (total variation): "
        f"{unweighted:.3f} unweighted, {source_weighted:.3f} with the source "
        f"weighted, {target_weighted:.3f} with the target weighted.",
    ]
    return lines


def _extremes(fitted: FittedWeights, other: str) -> list[str]:
    values = fitted.weights.weights
    order = np.argsort(-values)

    def show(rows: np.ndarray) -> str:
        names = fitted.weights.filenames
        return ", ".join(f"{names[row]} ({values[row]:.3g})" for row in rows)

    return [
        f"{fitted.weights.domain} images most typical of {other}: "
        f"{show(order[:_NUM_EXTREMES])}",
        f"{fitted.weights.domain} images least typical of {other}: "
        f"{show(order[::-1][:_NUM_EXTREMES])}",
    ]


def _draw_weights(axes: Axes, fitted: FittedWeights) -> None:
    values = fitted.weights.weights
    axes.hist(values, bins=50, color=_BLUE)
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set_yscale("log")
    axes.set_xlabel("importance weight (mean 1)")
    axes.set_ylabel("images")
    axes.set_title(
        f"{_symbol(fitted)} over the {fitted.weights.domain} images: "
        f"ESS {100 * fitted.ess:.0f} % of {len(values)}"
    )


def _draw_selection(axes: Axes, fitted: FittedWeights) -> None:
    """Draws the score and the ESS of each candidate width."""
    table, summary = fitted.selection, fitted.weights.summary
    if table is None:
        axes.axis("off")
        return
    bandwidth = summary["bandwidth"]
    # Far too narrow widths score astronomically low; they need no room.
    worst = np.nanmax(table.scores, initial=0.0) - _MAX_SCORE_SPAN
    scores = np.maximum(table.scores, worst)
    axes.plot(table.bandwidths, scores, "o-", color=_BLUE)
    axes.axvline(bandwidth, color="black", linewidth=1)
    axes.set_xscale("log")
    widths = [f"{width:.2g}" for width in table.bandwidths]
    axes.set_xticks(table.bandwidths, widths, rotation=45)
    axes.set_xticks([], minor=True)
    axes.set_xlabel("bandwidth")
    axes.set_ylabel("held-out score, nats", color=_BLUE)
    axes.set_title(
        f"{_symbol(fitted)}: bandwidth {bandwidth:.3g}, "
        f"{_DECISIONS[summary['bandwidth_decided_by']]}"
    )
    other = axes.twinx()
    other.plot(table.bandwidths, 100 * table.ess, "s--", color=_RED)
    other.set_ylabel("effective sample size, % of N", color=_RED)
    other.set_ylim(0, 105)
    other.grid(False)


def _draw_shares(
    axes: Axes, fitted: FittedWeights, other: str, shares: ClassShares
) -> None:
    own = fitted.weights.domain
    values_of = {"source": shares.source, "target": shares.target}
    columns = {
        own: (values_of[own].mean(0), "#bbbbbb"),
        f"weighted {own}": (
            matched_shares(values_of[own], fitted.weights.weights),
            _BLUE,
        ),
        other: (values_of[other].mean(0), _RED),
    }
    largest = np.maximum(columns[own][0], columns[other][0])
    rows = np.argsort(-largest)[:_NUM_CLASSES_DRAWN]
    for number, (name, (values, color)) in enumerate(columns.items()):
        places = np.arange(len(rows)) + 0.27 * (number - 1)
        axes.bar(places, values[rows], 0.27, label=name, color=color)
    axes.set_xticks(np.arange(len(rows)), shares.names[rows], rotation=30)
    axes.set_ylabel("mean share of the image")
    axes.set_title(f"Class shares, by {shares.origin}")
    axes.legend()


def _symbol(fitted: FittedWeights) -> str:
    return {"source": "w", "target": "psi"}[fitted.weights.domain]
