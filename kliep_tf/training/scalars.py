"""Descriptions of TensorBoard's scalars: meaning, unit, which way is better.

TensorBoard shows the sentence beside the curve's name. Translation methods
bring descriptions of their own.
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
    "consistency/mean_iou": (
        "mean IoU (0 to 1) between the labels of fixed source images and what "
        "the segmenter sees in their translations; higher is better."
    ),
    "consistency/pixel_accuracy": (
        "share (0 to 1) of labelled pixels of fixed source images that the "
        "segmenter still sees as labelled in their translations; higher is "
        "better."
    ),
    "consistency/sky_kept": (
        "share (0 to 1) of the sky's pixels still seen as sky after "
        "translation; higher is better."
    ),
    "consistency/sky_to_vegetation": (
        "share (0 to 1) of the sky's pixels seen as vegetation after "
        "translation; lower is better."
    ),
    "consistency_by_class/": (
        "share (0 to 1) of this class's labelled pixels still seen as it after "
        "translation; higher is better."
    ),
    "loss": (
        "mean cross-entropy of a labelled pixel in nats, images by their "
        "weights; lower is better."
    ),
    "pixel_accuracy": (
        "share (0 to 1) of labelled pixels of the training batches that are "
        "predicted rightly; higher is better."
    ),
    "learning_rate": (
        "step size of the optimizer by --schedule; neither higher nor lower is "
        "better."
    ),
    "val/mean_iou": (
        "mean IoU (0 to 1) of the classes that occur in --val_records; higher "
        "is better."
    ),
    "val/pixel_accuracy": (
        "share (0 to 1) of labelled pixels of --val_records that are predicted "
        "rightly; higher is better."
    ),
    "val_iou/": (
        "IoU (0 to 1) of this class in --val_records; higher is better."
    ),
}


class ScalarWriter:
    """Writes scalars, each with its description at its first point."""

    def __init__(self, descriptions: Mapping[str, str] | None = None):
        """Begins a board.

        Args:
            descriptions: more of them, in the form of DESCRIPTIONS, such as a
                translation method's own.
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
