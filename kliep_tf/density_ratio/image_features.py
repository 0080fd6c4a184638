"""Features of the images alone: no label is needed of either domain."""

import numpy as np
import tensorflow as tf

from kliep_tf.data import images, records
from kliep_tf.data.features import Features
from kliep_tf.density_ratio.extraction import (
    Example,
    ExtractionSettings,
    Extractor,
    ImageSize,
    Inputs,
    Network,
    decode_resized,
    extract_each,
)
from kliep_tf.errors import UserError

THUMBNAIL_SIZE = 8  # pixels down and across

_BATCH = 64  # thumbnails handed over at a time


def segmenter_histogram(
    examples: tf.data.Dataset, num_examples: int, settings: ExtractionSettings
) -> Features:
    """Returns [N, C]: each class's mean probability in the image.

    The images are resized to `settings.image_size`.

    Args:
        examples: parsed, as `reading.make_example_dataset` yields them.
        num_examples: N.
        settings: `network` must be a segmenter.

    Raises:
        UserError: there is no segmenter, or it knows other classes.
    """
    if settings.network is None:
        raise _missing_segmenter()
    names = settings.classes.names

    def load(example: Example) -> tf.Tensor:
        return decode_resized(example, settings.image_size)

    def shares(pixels: np.ndarray, _: np.ndarray) -> np.ndarray:
        probabilities = settings.network(tf.constant(pixels))
        if probabilities.shape[-1] != len(names):
            raise UserError(
                "--segmenter: expected probabilities of the "
                f"{len(names)} classes of the records, found "
                f"{probabilities.shape[-1]}"
            )
        return tf.reduce_mean(probabilities, [1, 2]).numpy()

    return extract_each(
        examples,
        load,
        shares,
        names,
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
        for row in range(THUMBNAIL_SIZE)
        for column in range(THUMBNAIL_SIZE)
        for channel in ("red", "green", "blue")
    ]

    def load(example: Example) -> tf.Tensor:
        pixels = images.decode_image(example[records.ENCODED])
        small = tf.image.resize(
            pixels, (THUMBNAIL_SIZE, THUMBNAIL_SIZE), "area"
        )
        return tf.reshape(small / 255.0, [-1])

    def as_they_are(values: np.ndarray, _: np.ndarray) -> np.ndarray:
        return values

    return extract_each(
        examples, load, as_they_are, names, num_examples, settings, _BATCH
    )


def _require_segmenter(inputs: Inputs) -> None:
    if inputs.segmenter is None:
        raise _missing_segmenter()


def _load_segmenter(inputs: Inputs, image_size: ImageSize) -> Network:
    if inputs.segmenter is None:
        raise _missing_segmenter()
    return inputs.segmenter(image_size)


def _missing_segmenter() -> UserError:
    return UserError(
        "--features=segmenter_histogram: expected a segmentation SavedModel as "
        "--segmenter, or labels of the source to train one on, found neither; "
        "thumbnail and embedding need no label"
    )


SEGMENTER_HISTOGRAM = Extractor(
    name="segmenter_histogram",
    needs="a --segmenter, or labels of the source alone",
    scaling="raw",
    extract=segmenter_histogram,
    check=_require_segmenter,
    prepare=_load_segmenter,
)

THUMBNAIL = Extractor(
    name="thumbnail",
    needs="nothing but the images",
    scaling="pca",  # for the reason that `label_features.LAYOUT` gives
    extract=thumbnail,
)
