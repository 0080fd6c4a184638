"""The pictures of the demo's report."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from kliep_tf.data import png
from kliep_tf.data.datasets import (
    CLASS_NAMES,
    CLASSES,
    IGNORE_LABEL,
    color_table,
)
from kliep_tf.experiments.reporting.figures import to_png

# Told apart in every common kind of colour blindness, and from grey.
FLIP_COLORS = {
    "sky to vegetation": (255, 0, 160),
    "sky to another class": (255, 170, 0),
    "any other flip": (40, 120, 255),
}
# Weights below this are drawn at it: 0 has no place on a logarithmic axis.
LEAST_DRAWN = 1e-3

_SKY = CLASS_NAMES.index("sky")
_VEGETATION = CLASS_NAMES.index("vegetation")
# Small frames are enlarged to about this width, without smoothing.
_SHOWN_WIDTH = 384


class JudgedFrame(NamedTuple):
    """A source frame, its translations, and what the judge sees in them."""

    filename: str
    source: np.ndarray  # uint8 [H, W, 3]
    label: np.ndarray  # uint8 [H, W] train ids or 255
    translations: Mapping[str, np.ndarray]  # by method, uint8 [H, W, 3]
    predictions: Mapping[str, np.ndarray]  # by method, uint8 [H, W] train ids


def flip_overlay(
    image: np.ndarray, label: np.ndarray, prediction: np.ndarray
) -> np.ndarray:
    """Returns uint8 [H, W, 3]: the image in pale grey, flipped labels coloured.

    A pixel is flipped where the judged class is not the labelled one; ignored
    pixels never are.

    Args:
        image: uint8 [H, W, 3].
        label: uint8 [H, W], train ids or 255.
        prediction: uint8 [H, W], train ids.
    """
    gray = image.mean(axis=2, keepdims=True)
    overlay = np.repeat(np.rint(120 + gray * 0.5), 3, axis=2).astype(np.uint8)
    flipped = (prediction != label) & (label != IGNORE_LABEL)
    sky = flipped & (label == _SKY)
    to_vegetation = sky & (prediction == _VEGETATION)
    overlay[flipped] = FLIP_COLORS["any other flip"]
    overlay[sky] = FLIP_COLORS["sky to another class"]
    overlay[to_vegetation] = FLIP_COLORS["sky to vegetation"]
    return overlay


def sky_shares(label: np.ndarray, prediction: np.ndarray) -> tuple[float, ...]:
    """Returns the shares of sky pixels judged sky, and judged vegetation.

    NaN where nothing is labelled sky.
    """
    seen = prediction[label == _SKY]
    if not seen.size:
        return float("nan"), float("nan")
    return float(np.mean(seen == _SKY)), float(np.mean(seen == _VEGETATION))


def sky_share(label: np.ndarray) -> float:
    """Returns the share of sky in the labelled pixels; NaN without any."""
    labelled = label[label != IGNORE_LABEL]
    return float(np.mean(labelled == _SKY)) if labelled.size else float("nan")


def label_colors(label: np.ndarray) -> np.ndarray:
    """Returns uint8 [H, W, 3] in Cityscapes colours; ignored is black."""
    return color_table()[label]


def class_colors(
    frames: Sequence[JudgedFrame],
) -> dict[str, tuple[int, int, int]]:
    """Returns the colours of the classes labelled in these frames, by name."""
    found = set().union(*(np.unique(frame.label) for frame in frames))
    return {
        entry.name: entry.color
        for train_id, entry in enumerate(CLASSES)
        if train_id in found
    }


def enlarged_png(image: np.ndarray) -> bytes:
    """Returns the PNG of an image, enlarged by a whole factor if it is small.

    Args:
        image: uint8 [H, W, 3].
    """
    factor = max(1, round(_SHOWN_WIDTH / image.shape[1]))
    return png.encode_png(image.repeat(factor, axis=0).repeat(factor, axis=1))


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


def _draw_scatter(axis: Any, numbers: Mapping[str, Any], title: str) -> None:
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
