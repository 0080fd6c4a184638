"""Descriptions of TensorBoard's scalars: meaning, unit, which way is better.

TensorBoard shows the sentence beside the curve's name. What trains brings the
descriptions of its own scalars.
"""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

# By tag; one that ends in "/" is for all that begin so.
DESCRIPTIONS = {
    "speed/images_per_second": (
        "training images a second on all replicas, of each domain where there "
        "are two; higher is better."
    ),
}


class ScalarWriter:
    """Writes scalars, each with its description at its first point."""

    def __init__(self, descriptions: Mapping[str, str] | None = None):
        """Begins a board.

        Args:
            descriptions: those of what trains, in the form of DESCRIPTIONS.
        """
        self._descriptions = {**DESCRIPTIONS, **(descriptions or {})}
        self._described: set[str] = set()

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Writes a point of each curve, by tag, to the default writer."""
        for tag, value in figures.items():
            text = None
            if tag not in self._described:
                text = description_of(tag, self._descriptions)
            self._described.add(tag)
            tf.summary.scalar(tag, np.float32(value), step, description=text)


def description_of(
    tag: str, descriptions: Mapping[str, str] = DESCRIPTIONS
) -> str | None:
    """Returns the sentence for a tag, None for one without any."""
    family = tag.rpartition("/")[0] + "/"
    text = descriptions.get(tag, descriptions.get(family))
    return text and text[0].upper() + text[1:]
