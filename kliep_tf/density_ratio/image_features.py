"""Features of the images alone: no label is needed of either domain."""

import numpy as np
import tensorflow as tf

from kliep_tf.data import images, records
from kliep_tf.data.datasets import CLASS_NAMES
from kliep_tf.data.features import Features
from kliep_tf.density_ratio.extraction import (
    Example,
    ExtractionSettings,
    decode_resized,
    extract_each,
)
from kliep_tf.errors import UserError

THUMBNAIL = 8  # pixels down and across

_BATCH = 64  # thumbnails handed over at a time


def segmenter_histogram(
    examples: tf.data.Dataset, num_examples: int, settings: ExtractionSettings
) -> Features:
    """Returns [N, 19]: each class's mean probability in the image.

    The images are resized to `settings.image_size`.

    Args:
        examples: parsed, as `reading.make_example_dataset` yields them.
        num_examples: N.
        settings: `segmenter` must be given.

    Raises:
        UserError: there is no segmenter.
    """
    if settings.segmenter is None:
        raise UserError(
            "--features=segmenter_histogram: expected a segmentation "
            "SavedModel as --segmenter, found none"
        )

    def load(example: Example) -> tf.Tensor:
        return decode_resized(example, settings.image_size)

    def shares(pixels: np.ndarray, _: np.ndarray) -> np.ndarray:
        probabilities = settings.segmenter(tf.constant(pixels))
        return tf.reduce_mean(probabilities, [1, 2]).numpy()

    return extract_each(
        examples,
        load,
        shares,
        CLASS_NAMES,
        num_examples,
        settings,
        settings.batch_size,
    )


def thumbnail(
    examples: tf.data.Dataset, num_examples: int, settings: ExtractionSettings
) -> Features:
    """Returns [N, 192]: the image averaged to 8x8 pixels, RGB in 0..1."""
    names = [
        f"row {row} column {column} {channel}"
        for row in range(THUMBNAIL)
        for column in range(THUMBNAIL)
        for channel in ("red", "green", "blue")
    ]

    def load(example: Example) -> tf.Tensor:
        pixels = images.decode_image(example[records.ENCODED])
        small = tf.image.resize(pixels, (THUMBNAIL, THUMBNAIL), "area")
        return tf.reshape(small / 255.0, [-1])

    def as_they_are(values: np.ndarray, _: np.ndarray) -> np.ndarray:
        return values

    return extract_each(
        examples, load, as_they_are, names, num_examples, settings, _BATCH
    )
