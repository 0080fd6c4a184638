"""Features of the labels: which classes are seen, and where.

They say what a picture shows and nothing of how it looks. Both domains need
labels, the target too.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from kliep_tf.data.class_sets import CITYSCAPES_CLASSES, ClassSet
from kliep_tf.data.features import Features
from kliep_tf.data.labels import read_label
from kliep_tf.density_ratio.extraction import (
    LABELS_OF_BOTH,
    Example,
    ExtractionSettings,
    Extractor,
    extract_each,
)
from kliep_tf.errors import UserError

GRID = 4  # layout: cells down and across

_BATCH = 64  # counts handed over at a time
_BYTE_VALUES = 256


def class_histogram(
    examples: tf.data.Dataset, num_examples: int, settings: ExtractionSettings
) -> Features:
    """Returns [N, C]: each class's share of the labelled pixels.

    Raises:
        UserError: an image has no labelled pixel.
    """

    def shares(counts: np.ndarray, filenames: np.ndarray) -> np.ndarray:
        return _shares(counts[:, 0], filenames, "class_histogram", settings)

    names = settings.classes.names
    return _from_counts(examples, num_examples, 1, names, shares, settings)


def known_class_shares(
    examples: tf.data.Dataset, num_examples: int, settings: ExtractionSettings
) -> Features:
    """Returns [N, C]: as `class_histogram`, NaN where nothing is labelled."""

    def shares(counts: np.ndarray, _: np.ndarray) -> np.ndarray:
        pixels = counts[:, 0].sum(axis=1, keepdims=True)
        known = np.where(pixels > 0, pixels, np.nan)
        return counts[:, 0] / known

    names = settings.classes.names
    return _from_counts(examples, num_examples, 1, names, shares, settings)


def layout(
    examples: tf.data.Dataset, num_examples: int, settings: ExtractionSettings
) -> Features:
    """Returns [N, 16 C]: the class shares in each cell of a 4x4 grid.

    A cell without labelled pixels takes the shares of the whole image.

    Raises:
        UserError: an image has no labelled pixel.
    """
    names = [
        f"row {row} column {column} {name}"
        for row in range(GRID)
        for column in range(GRID)
        for name in settings.classes.names
    ]

    def shares(counts: np.ndarray, filenames: np.ndarray) -> np.ndarray:
        whole = _shares(counts.sum(axis=1), filenames, "layout", settings)
        pixels = counts.sum(axis=2, keepdims=True)
        cells = np.where(
            pixels > 0, counts / np.maximum(pixels, 1), whole[:, np.newaxis]
        )
        return cells.reshape(len(counts), -1)

    return _from_counts(examples, num_examples, GRID, names, shares, settings)


def count_classes(
    label: tf.Tensor, grid: int, classes: ClassSet = CITYSCAPES_CLASSES
) -> tf.Tensor:
    """Returns int32 [grid * grid, C]: pixels by cell and class.

    Args:
        label: uint8 [H, W, 1]; pixels of the ignore label are left out.
        grid: cells down and across.
        classes: what the train ids mean.
    """
    label = tf.cast(label[..., 0], tf.int32)
    height, width = tf.unstack(tf.shape(label))
    row = tf.range(height) * grid // height
    column = tf.range(width) * grid // width
    cell = row[:, tf.newaxis] * grid + column
    # A bin for every value that a byte can have: the ignore label has its own.
    bins = grid * grid * _BYTE_VALUES
    counts = tf.math.bincount(
        tf.reshape(cell * _BYTE_VALUES + label, [-1]),
        minlength=bins,
        maxlength=bins,
    )
    counts = tf.reshape(counts, [grid * grid, _BYTE_VALUES])
    return counts[:, : len(classes)]


def _from_counts(
    examples: tf.data.Dataset,
    num_examples: int,
    grid: int,
    names: Sequence[str],
    shares: Callable[[np.ndarray, np.ndarray], np.ndarray],
    settings: ExtractionSettings,
) -> Features:
    """Collects shares(counts [B, grid * grid, C], filenames [B])."""

    def load(example: Example) -> tf.Tensor:
        classes = settings.classes
        return count_classes(read_label(example, classes), grid, classes)

    return extract_each(
        examples, load, shares, names, num_examples, settings, _BATCH
    )


def _shares(
    counts: np.ndarray,
    filenames: np.ndarray,
    features: str,
    settings: ExtractionSettings,
) -> np.ndarray:
    """Returns float64 [B, C] of the counts [B, C] of whole images."""
    pixels = counts.sum(axis=1, keepdims=True)
    if not pixels.all():
        name = filenames[np.argmin(pixels[:, 0])].decode()
        raise UserError(
            f"--{settings.flag}: expected labelled pixels in every image for "
            f"--features={features}, found none in {name!r}; features of "
            "images alone, such as thumbnail, need no label of it"
        )
    return counts / pixels


CLASS_HISTOGRAM = Extractor(
    name="class_histogram",
    needs=LABELS_OF_BOTH,
    # Class shares are compared as they are: standardised, a rare class would
    # weigh as much as the sky.
    scaling="raw",
    extract=class_histogram,
)

LAYOUT = Extractor(
    name="layout",
    needs=LABELS_OF_BOTH,
    # Wide features lose their noise dimensions, which would make all distances
    # alike; they are not whitened, which would bring the noise back.
    scaling="pca",
    extract=layout,
)
