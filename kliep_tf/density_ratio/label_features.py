"""Features of the labels: which classes are seen, and where.

They say what a picture shows and nothing of its looks, but both domains need
labels, also the target.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from kliep_tf.data import images, records
from kliep_tf.data.datasets import CLASS_NAMES, IGNORE_LABEL, NUM_CLASSES
from kliep_tf.data.features import Features
from kliep_tf.density_ratio.extraction import (
    Example,
    ExtractionSettings,
    extract_each,
)
from kliep_tf.errors import UserError

GRID = 4  # layout: cells down and across

_BATCH = 64  # counts handed over at a time
_BYTE_VALUES = 256


def class_histogram(
    examples: tf.data.Dataset, num_examples: int, settings: ExtractionSettings
) -> Features:
    """Returns [N, 19]: each class's share of the labelled pixels.

    Raises:
        UserError: an image has no labelled pixel.
    """

    def shares(counts: np.ndarray, filenames: np.ndarray) -> np.ndarray:
        return _shares(counts[:, 0], filenames, "class_histogram", settings)

    return _from_counts(
        examples, num_examples, 1, CLASS_NAMES, shares, settings
    )


def layout(
    examples: tf.data.Dataset, num_examples: int, settings: ExtractionSettings
) -> Features:
    """Returns [N, 304]: the class shares in each cell of a 4x4 grid.

    A cell without labelled pixels takes the shares of the whole image.

    Raises:
        UserError: an image has no labelled pixel.
    """
    names = [
        f"row {row} column {column} {name}"
        for row in range(GRID)
        for column in range(GRID)
        for name in CLASS_NAMES
    ]

    def shares(counts: np.ndarray, filenames: np.ndarray) -> np.ndarray:
        whole = _shares(counts.sum(axis=1), filenames, "layout", settings)
        pixels = counts.sum(axis=2, keepdims=True)
        cells = np.where(
            pixels > 0, counts / np.maximum(pixels, 1), whole[:, np.newaxis]
        )
        return cells.reshape(len(counts), -1)

    return _from_counts(examples, num_examples, GRID, names, shares, settings)


def count_classes(label: tf.Tensor, grid: int) -> tf.Tensor:
    """Returns int32 [grid * grid, 19]: pixels by cell and class.

    Runs inside a graph, where a label that is neither a train id nor 255 makes
    an InvalidArgumentError.

    Args:
        label: uint8 [H, W, 1]; pixels of 255 are left out.
        grid: cells down and across.
    """
    label = tf.cast(label[..., 0], tf.int32)
    height, width = tf.unstack(tf.shape(label))
    row = tf.range(height) * grid // height
    column = tf.range(width) * grid // width
    cell = row[:, tf.newaxis] * grid + column
    # A bin for every value that a byte can have: one pass over the pixels
    # counts and checks them.
    bins = grid * grid * _BYTE_VALUES
    counts = tf.math.bincount(
        tf.reshape(cell * _BYTE_VALUES + label, [-1]),
        minlength=bins,
        maxlength=bins,
    )
    counts = tf.reshape(counts, [grid * grid, _BYTE_VALUES])
    tf.debugging.assert_equal(
        tf.reduce_sum(counts[:, NUM_CLASSES:IGNORE_LABEL]),
        0,
        f"expected labels 0..{NUM_CLASSES - 1} or {IGNORE_LABEL}",
    )
    return counts[:, :NUM_CLASSES]


def _from_counts(
    examples: tf.data.Dataset,
    num_examples: int,
    grid: int,
    names: Sequence[str],
    shares: Callable[[np.ndarray, np.ndarray], np.ndarray],
    settings: ExtractionSettings,
) -> Features:
    """Collects shares(counts [B, grid * grid, 19], filenames [B])."""

    def load(example: Example) -> tf.Tensor:
        return count_classes(_decode_label(example), grid)

    return extract_each(
        examples, load, shares, names, num_examples, settings, _BATCH
    )


def _decode_label(example: Example) -> tf.Tensor:
    """Returns uint8 [H, W, 1]; one ignored pixel where there is no label."""
    encoded = example[records.LABEL_ENCODED]
    label = tf.cond(
        tf.strings.length(encoded) > 0,
        lambda: images.decode_label(encoded),
        lambda: tf.fill([1, 1, 1], np.uint8(IGNORE_LABEL)),
    )
    return tf.ensure_shape(label, [None, None, 1])


def _shares(
    counts: np.ndarray,
    filenames: np.ndarray,
    features: str,
    settings: ExtractionSettings,
) -> np.ndarray:
    """Returns float64 [B, 19] of the counts [B, 19] of whole images."""
    pixels = counts.sum(axis=1, keepdims=True)
    if not pixels.all():
        name = filenames[np.argmin(pixels[:, 0])].decode()
        raise UserError(
            f"--{settings.flag}: expected labelled pixels in every image for "
            f"--features={features}, found none in {name!r}; "
            "segmenter_histogram, thumbnail and embedding need no label of it"
        )
    return counts / pixels
