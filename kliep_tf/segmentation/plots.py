"""Pictures of labels and predictions, in the colours of their classes."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from kliep_tf.data.class_sets import CITYSCAPES_CLASSES, ClassSet
from kliep_tf.segmentation.metrics import normalize_rows

_MAX_WIDTH = 1024


class EvaluatedImage(NamedTuple):
    """One evaluated image; its scores are NaN where nothing is labelled."""

    filename: str
    image: np.ndarray  # uint8 [H, W, 3]
    label: np.ndarray  # uint8 [H, W] train ids or ignored
    prediction: np.ndarray  # uint8 [H, W] train ids
    mean_iou: float
    pixel_accuracy: float


def triptych(
    image: np.ndarray,
    label: np.ndarray,
    prediction: np.ndarray,
    classes: ClassSet = CITYSCAPES_CLASSES,
) -> np.ndarray:
    """Returns uint8 [H, 3W, 3]: image, label, prediction side by side.

    Args:
        image: uint8 [H, W, 3].
        label: uint8 [H, W], train ids; ignored pixels become black.
        prediction: uint8 [H, W], train ids.
        classes: of the train ids.
    """
    colors = classes.colors()
    return np.concatenate([image, colors[label], colors[prediction]], axis=1)


def draw_images(
    images: Sequence[EvaluatedImage],
    title: str,
    classes: ClassSet = CITYSCAPES_CLASSES,
) -> Figure:
    """Returns a figure with one triptych a row, and the classes' colours."""
    height, width = images[0].label.shape
    row_inches = 12 / 3 * height / width + 0.35
    figure = Figure(
        (12, row_inches * len(images) + 1.3), dpi=100, layout="constrained"
    )
    figure.suptitle(title)
    axes = figure.subplots(len(images), 3, squeeze=False)
    colors = classes.colors()
    for row, one in zip(axes, images, strict=True):
        pictures = (
            one.image,
            colors[one.label],
            colors[one.prediction],
        )
        titles = (
            one.filename,
            "label (black: ignored)",
            f"prediction, mean IoU {one.mean_iou:.2f}, "
            f"pixel accuracy {one.pixel_accuracy:.2f}",
        )
        for axis, picture, text in zip(row, pictures, titles, strict=True):
            axis.imshow(_thinned(picture), interpolation="nearest")
            axis.set_title(text, fontsize=9)
            axis.set(xticks=[], yticks=[])  # matplotlib would measure them
            axis.set_axis_off()
    _add_legend(figure, images, classes)
    return figure


def draw_confusion(
    matrix: np.ndarray, classes: ClassSet = CITYSCAPES_CLASSES
) -> Figure:
    """Returns a figure of the confusion matrix, each row summing to 1.

    Classes that occur neither as a label nor as a prediction are left out.
    """
    present = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1))
    shares = normalize_rows(matrix)[np.ix_(present, present)]
    names = [classes.names[train_id] for train_id in present]
    side = 3.0 + 0.45 * len(names)
    figure = Figure((side + 1.0, side), dpi=100, layout="constrained")
    axis = figure.subplots()
    colormap = matplotlib.colormaps["Blues"].with_extremes(bad="0.85")
    picture = axis.imshow(shares, vmin=0.0, vmax=1.0, cmap=colormap)
    figure.colorbar(picture, ax=axis, fraction=0.046, label="share of label")
    axis.set_xticks(range(len(names)), names, rotation=90)
    axis.set_yticks(range(len(names)), names)
    axis.set_xlabel("prediction")
    axis.set_ylabel("label")
    axis.set_title("Confusion in percent (grey: never labelled)")
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            axis.text(
                column,
                row,
                f"{100 * share:.0f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if share > 0.6 else "black",
            )
    return figure


def _thinned(picture: np.ndarray) -> np.ndarray:
    """Leaves out rows and columns of pictures wider than a page can show."""
    step = -(-picture.shape[1] // _MAX_WIDTH)
    return picture[::step, ::step]


def _add_legend(
    figure: Figure, images: Sequence[EvaluatedImage], classes: ClassSet
) -> None:
    seen = {
        int(train_id)
        for one in images
        for train_ids in (one.label, one.prediction)
        for train_id in np.unique(train_ids)
    }
    colors = classes.colors() / 255.0
    handles = [
        Patch(color=colors[train_id], label=classes.names[train_id])
        for train_id in sorted(seen - {classes.ignore_label})
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=7, fontsize=9
    )
