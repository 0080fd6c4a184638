"""What tests look at in a picture."""

import io

from PIL import Image


def png_size(png: bytes) -> tuple[int, int]:
    """Returns (width, height)."""
    return Image.open(io.BytesIO(png)).size
