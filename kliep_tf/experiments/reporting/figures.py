"""Figures become PNG files in memory."""

import io

from matplotlib.figure import Figure


def to_png(figure: Figure, dpi: int) -> bytes:
    """Returns the figure as a PNG of so many pixels an inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()
