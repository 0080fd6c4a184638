"""Labels as "Playing for Data" stores them: palette PNGs of label ids."""

import functools
import io

import numpy as np
from PIL import Image

from kliep_tf.data.datasets import CLASSES


def encode_palette_label(label_ids: np.ndarray) -> bytes:
    """Returns the palette PNG of label ids, uint8 [H, W].

    The indices are the ids; the palette only makes them visible.
    """
    image = Image.fromarray(label_ids)
    image.putpalette(_palette())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@functools.cache
def _palette() -> bytes:
    colors = np.zeros((256, 3), np.uint8)
    for entry in CLASSES:
        colors[entry.label_id] = entry.color
    return colors.tobytes()
