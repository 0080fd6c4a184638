"""What the pictures of several reports share: PNGs, panels, flipped labels."""

import io
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from kliep_tf.data import png
from kliep_tf.data.class_sets import ClassSet

_DPI = 110
# Small frames are enlarged to about this width, without smoothing.
_SHOWN_WIDTH = 384


def to_png(figure: Figure, dpi: int = _DPI) -> bytes:
    """Returns the figure as a PNG of `dpi` pixels an inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def enlarged_png(image: np.ndarray) -> bytes:
    """Returns the PNG of an image, enlarged by a whole factor if it is small.

    Args:
        image: uint8 [H, W, 3].
    """
    factor = max(1, round(_SHOWN_WIDTH / image.shape[1]))
    return png.encode_png(image.repeat(factor, axis=0).repeat(factor, axis=1))


def class_colors(
    labels: Sequence[np.ndarray], classes: ClassSet
) -> dict[str, tuple[int, int, int]]:
    """Returns the colours of the classes that occur in `labels`, by name.

    Args:
        labels: uint8 [H, W] train ids or the ignore label.
        classes: what the train ids mean.
    """
    found = set().union(*(np.unique(label).tolist() for label in labels))
    return {
        one.name: one.color
        for train_id, one in enumerate(classes.classes)
        if train_id in found
    }


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
        return to_png(figure)
