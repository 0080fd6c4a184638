"""What two domains are compared by: images become short vectors.

An extractor is a function of examples, one at a time or in batches of their
features, so that only the features stay in memory and images may have any
sizes. To add one, write the function and its line in FEATURE_EXTRACTORS (and in
`scaling.DEFAULT_SCALING`).
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from kliep_tf.data import images
from kliep_tf.data.datasets import CLASS_NAMES, IGNORE_LABEL, NUM_CLASSES
from kliep_tf.data.features import Features
from kliep_tf.data.pipeline import LabelledImages
from kliep_tf.data.reading import read_all
from kliep_tf.errors import UserError
from kliep_tf.progress import ProgressBar

GRID = 4  # layout: cells down and across
THUMBNAIL = 8  # thumbnail: pixels down and across

_AUTOTUNE = tf.data.AUTOTUNE
_BATCH = 64  # features handed over at a time
_NO_LABELS_NEEDED = "segmenter_histogram and thumbnail need none"


@dataclasses.dataclass(frozen=True)
class ExtractionSettings:
    """What an extractor may need besides the examples.

    Attributes:
        flag: the flag that named the records, for messages.
        segmenter: uint8 [N, H, W, 3] to float32 probabilities [N, H, W, 19].
        image_size: (height, width) at which the segmenter works.
        batch_size: images passed to the segmenter at once.
    """

    flag: str = "records"
    segmenter: Callable[[tf.Tensor], tf.Tensor] | None = None
    image_size: tuple[int, int] = (128, 256)
    batch_size: int = 16


# (dataset of LabelledImages, not batched; their number; settings) -> Features
Extractor = Callable[[tf.data.Dataset, int, ExtractionSettings], Features]


def segmenter_histogram(
    examples: tf.data.Dataset, num_examples: int, settings: ExtractionSettings
) -> Features:
    """Returns [N, 19]: each class's mean probability in the image.

    No labels are needed. The images are resized to `settings.image_size`.

    Args:
        examples: LabelledImages as `pipeline.make_image_dataset` yields them.
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

    def load(example: LabelledImages) -> tuple[tf.Tensor, tf.Tensor]:
        image = images.resize_image(example.image, settings.image_size)
        return example.filename, image

    def shares(pixels: np.ndarray) -> np.ndarray:
        probabilities = settings.segmenter(tf.constant(pixels))
        return tf.reduce_mean(probabilities, [1, 2]).numpy()

    dataset = examples.map(load, num_parallel_calls=_AUTOTUNE)
    dataset = dataset.batch(settings.batch_size).prefetch(2)
    return _collect(dataset, num_examples, CLASS_NAMES, settings.flag, shares)


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


def thumbnail(
    examples: tf.data.Dataset, num_examples: int, settings: ExtractionSettings
) -> Features:
    """Returns [N, 192]: the image averaged to 8x8 pixels, RGB in 0..1.

    No labels are needed.
    """
    names = [
        f"row {row} column {column} {channel}"
        for row in range(THUMBNAIL)
        for column in range(THUMBNAIL)
        for channel in ("red", "green", "blue")
    ]

    def load(example: LabelledImages) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = tf.cast(example.image, tf.float32) / 255.0
        small = tf.image.resize(pixels, (THUMBNAIL, THUMBNAIL), "area")
        return example.filename, tf.reshape(small, [-1])

    dataset = examples.map(load, num_parallel_calls=_AUTOTUNE).batch(_BATCH)
    return _collect(
        dataset, num_examples, names, settings.flag, lambda values: values
    )


FEATURE_EXTRACTORS: dict[str, Extractor] = {
    "segmenter_histogram": segmenter_histogram,
    "class_histogram": class_histogram,
    "layout": layout,
    "thumbnail": thumbnail,
}


def count_classes(label: tf.Tensor, grid: int) -> tf.Tensor:
    """Returns int32 [grid * grid, 19]: pixels by cell and class.

    Runs inside a graph, where a label that is neither a train id nor 255 makes
    an InvalidArgumentError.

    Args:
        label: uint8 [H, W, 1]; pixels of 255 are left out.
        grid: cells down and across.
    """
    label = tf.cast(label[..., 0], tf.int32)
    known = label != IGNORE_LABEL
    tf.debugging.assert_less(
        tf.where(known, label, 0),
        NUM_CLASSES,
        f"expected labels 0..{NUM_CLASSES - 1} or {IGNORE_LABEL}",
    )
    height, width = tf.unstack(tf.shape(label))
    row = tf.range(height) * grid // height
    column = tf.range(width) * grid // width
    cell = row[:, tf.newaxis] * grid + column
    bins = grid * grid * NUM_CLASSES
    # Ignored pixels have a bin of their own, which is cut off.
    place = tf.where(known, cell * NUM_CLASSES + label, bins)
    counts = tf.math.bincount(
        tf.reshape(place, [-1]), minlength=bins + 1, maxlength=bins + 1
    )
    return tf.reshape(counts[:-1], [grid * grid, NUM_CLASSES])


def _from_counts(
    examples: tf.data.Dataset,
    num_examples: int,
    grid: int,
    names: Sequence[str],
    shares: Callable[[np.ndarray, np.ndarray], np.ndarray],
    settings: ExtractionSettings,
) -> Features:
    """Collects shares(counts [B, grid * grid, 19], filenames [B])."""

    def load(example: LabelledImages) -> tuple:
        counts = count_classes(example.label, grid)
        return example.filename, counts, example.filename

    dataset = examples.map(load, num_parallel_calls=_AUTOTUNE).batch(_BATCH)
    return _collect(dataset, num_examples, names, settings.flag, shares)


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
            f"{_NO_LABELS_NEEDED}"
        )
    return counts / pixels


def _collect(
    dataset: tf.data.Dataset,
    num_examples: int,
    names: Sequence[str],
    flag: str,
    compute: Callable[..., np.ndarray],
) -> Features:
    """Gathers compute(*inputs) over a dataset of (filenames, *inputs)."""
    filenames: list[str] = []
    values: list[np.ndarray] = []
    with ProgressBar(num_examples, "features", "image") as bar:
        for batch_names, *inputs in read_all(dataset, flag):
            values.append(np.asarray(compute(*inputs), np.float32))
            filenames.extend(name.decode() for name in batch_names)
            bar.update(len(batch_names))
    if len(filenames) != num_examples:
        raise UserError(
            f"--{flag}: expected {num_examples} examples, found "
            f"{len(filenames)}; have the records changed?"
        )
    return Features(
        np.asarray(filenames), np.concatenate(values), np.asarray(names)
    )
