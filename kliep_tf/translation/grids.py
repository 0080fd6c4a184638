"""Pictures for TensorBoard: rows of examples under columns with a heading."""

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kliep_tf.data import images

# Full frames would take megabytes a picture and no more be seen; a heading does
# not fit above a narrower column.
_MAX_COLUMN_WIDTH, _MIN_COLUMN_WIDTH = 512, 256
_GAP, _HEADING_HEIGHT, _FONT_SIZE = 4, 36, 24
_PAPER, _INK = 255, (0, 0, 0)


def draw_grid(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns one picture, uint8 [height, width, 3].

    Args:
        columns: headings, and under each the same number of images, float32
            [n, H, W, 3] in [-1, 1].
    """
    cells = [
        _fitted(images.to_uint8(column).numpy()) for column in columns.values()
    ]
    number, height, width, _ = cells[0].shape
    picture = np.full(
        (
            _HEADING_HEIGHT + number * (height + _GAP) - _GAP,
            len(cells) * (width + _GAP) - _GAP,
            3,
        ),
        _PAPER,
        np.uint8,
    )
    lefts = [index * (width + _GAP) for index in range(len(cells))]
    for left, cell in zip(lefts, cells, strict=True):
        for row, image in enumerate(cell):
            top = _HEADING_HEIGHT + row * (height + _GAP)
            picture[top : top + height, left : left + width] = image
    return _with_headings(picture, dict(zip(columns, lefts, strict=True)))


def _fitted(pixels: np.ndarray) -> np.ndarray:
    """Shrinks wide images; repeats the pixels of narrow ones, unblurred."""
    _, height, width, _ = pixels.shape
    if width > _MAX_COLUMN_WIDTH:
        height = max(1, round(height * _MAX_COLUMN_WIDTH / width))
        return images.resize_image(pixels, (height, _MAX_COLUMN_WIDTH)).numpy()
    times = -(-_MIN_COLUMN_WIDTH // width)
    return pixels.repeat(times, axis=1).repeat(times, axis=2)


def _with_headings(picture: np.ndarray, lefts: Mapping[str, int]) -> np.ndarray:
    page = Image.fromarray(picture)
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(_FONT_SIZE)
    for heading, left in lefts.items():
        pen.text((left + _GAP, _GAP), heading, _INK, font)
    return np.asarray(page)
