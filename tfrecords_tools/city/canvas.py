"""Paints shapes as pixels: a picture and its exact labels."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from tfrecords_tools.city.sketch import Shape

# The picture is drawn this many times larger and averaged down, which smooths
# its edges; the labels are drawn as large and sampled, never averaged.
SUPERSAMPLING = 2

Color = tuple[int, int, int]


def paint(
    shapes: Sequence[Shape],
    color: Callable[[Shape], Color],
    width: int,
    height: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Paints shapes given at SUPERSAMPLING times the picture's size.

    Args:
        shapes: from back to front.
        color: a look's colour of a shape.
        width: of the picture in pixels.
        height: of the picture in pixels.

    Returns:
        The picture, uint8 [height, width, 3], and the label ids, uint8
        [height, width].
    """
    size = (SUPERSAMPLING * width, SUPERSAMPLING * height)
    picture = Image.new("RGB", size)
    labels = Image.new("L", size)
    pen, label_pen = ImageDraw.Draw(picture), ImageDraw.Draw(labels)
    for shape in shapes:
        pen.polygon(shape.points, fill=color(shape))
        if shape.label_id is not None:
            label_pen.polygon(shape.points, fill=shape.label_id)
    half = SUPERSAMPLING // 2
    return (
        np.asarray(picture.reduce(SUPERSAMPLING)),
        np.asarray(labels)[half::SUPERSAMPLING, half::SUPERSAMPLING],
    )
