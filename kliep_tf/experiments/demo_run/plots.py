"""The pictures of the demo's report."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from kliep_tf.data.class_sets import ClassSet
from kliep_tf.experiments.reporting.plots import to_png
from kliep_tf.segmentation.consistency import WatchedConfusion

# Weights below this are drawn at it: 0 has no place on a logarithmic axis.
LEAST_DRAWN = 1e-3

# Told apart in every common kind of colour blindness, and from grey.
_TURNED, _LOST, _FLIPPED = (255, 0, 160), (255, 170, 0), (40, 120, 255)


class JudgedFrame(NamedTuple):
    """A source frame, its translations, and what the judge sees in them."""

    filename: str
    source: np.ndarray  # uint8 [H, W, 3]
    label: np.ndarray  # uint8 [H, W] train ids or the ignore label
    translations: Mapping[str, np.ndarray]  # by method, uint8 [H, W, 3]
    predictions: Mapping[str, np.ndarray]  # by method, uint8 [H, W] train ids


def flip_colors(watched: WatchedConfusion) -> dict[str, tuple[int, int, int]]:
    """Returns what the colours of `flip_overlay` mean."""
    return {
        f"{watched.label} to {watched.prediction}": _TURNED,
        f"{watched.label} to another class": _LOST,
        "any other flip": _FLIPPED,
    }


def flip_overlay(
    image: np.ndarray,
    label: np.ndarray,
    prediction: np.ndarray,
    classes: ClassSet,
    watched: WatchedConfusion,
) -> np.ndarray:
    """Returns uint8 [H, W, 3]: the image in pale grey, flipped labels coloured.

    A pixel is flipped where the judged class is not the labelled one; ignored
    pixels never are.

    Args:
        image: uint8 [H, W, 3].
        label: uint8 [H, W], train ids or the ignore label.
        prediction: uint8 [H, W], train ids.
        classes: what the train ids mean.
        watched: the flips with colours of their own.
    """
    gray = image.mean(axis=2, keepdims=True)
    overlay = np.repeat(np.rint(120 + gray * 0.5), 3, axis=2).astype(np.uint8)
    flipped = (prediction != label) & (label != classes.ignore_label)
    lost = flipped & (label == classes.index(watched.label))
    overlay[flipped] = _FLIPPED
    overlay[lost] = _LOST
    overlay[lost & (prediction == classes.index(watched.prediction))] = _TURNED
    return overlay


def watched_shares(
    label: np.ndarray,
    prediction: np.ndarray,
    classes: ClassSet,
    watched: WatchedConfusion,
) -> tuple[float, ...]:
    """Returns the shares of the watched class judged as it, and as the other.

    NaN where nothing is labelled so.
    """
    own, other = map(classes.index, (watched.label, watched.prediction))
    seen = prediction[label == own]
    if not seen.size:
        return float("nan"), float("nan")
    return float(np.mean(seen == own)), float(np.mean(seen == other))


def labelled_share(label: np.ndarray, name: str, classes: ClassSet) -> float:
    """Returns a class's share of the labelled pixels; NaN without any."""
    labelled = label[label != classes.ignore_label]
    if not labelled.size:
        return float("nan")
    return float(np.mean(labelled == classes.index(name)))


def draw_true_weights(numbers: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Returns a PNG: estimated against true weights of both domains.

    Args:
        numbers: `numbers.weight_numbers` by domain.
    """
    with matplotlib.rc_context({"font.size": 9, "axes.grid": True}):
        figure = Figure(figsize=(11, 5.2), layout="constrained")
        axes = figure.subplots(1, 2)
        names = {
            "source": "w over the rendered frames",
            "target": "psi over the camera frames",
        }
        for axis, (domain, title) in zip(axes, names.items(), strict=True):
            _draw_scatter(axis, numbers[domain], title)
        return to_png(figure, dpi=100)


def _draw_scatter(axis: Axes, numbers: Mapping[str, Any], title: str) -> None:
    true = np.asarray(numbers["true"])
    estimated = np.maximum(numbers["estimated"], LEAST_DRAWN)
    low = 0.7 * min(true.min(), estimated.min())
    high = 1.4 * max(true.max(), estimated.max())
    axis.plot(
        [low, high], [low, high], color="black", linewidth=1, label="equal"
    )
    axis.scatter(true, estimated, s=14, alpha=0.6, color="#4477aa")
    axis.set(
        xscale="log",
        yscale="log",
        xlim=(low, high),
        ylim=(low, high),
        aspect="equal",
        xlabel="true density ratio of the scene's parameters",
        ylabel="estimated importance weight",
    )
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axis.xaxis.set_major_formatter(plain)
    axis.yaxis.set_major_formatter(plain)
    correlation = numbers["rank_correlation"]
    shown = "undefined" if correlation is None else f"{correlation:.2f}"
    axis.set_title(f"{title}: rank correlation {shown}")
    axis.legend(loc="upper left")
