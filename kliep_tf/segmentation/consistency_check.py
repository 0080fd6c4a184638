"""Semantic consistency of a generator in training, on a few fixed examples."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from kliep_tf.data import images, records
from kliep_tf.data.datasets import CLASS_NAMES
from kliep_tf.data.index import RecordIndex
from kliep_tf.data.reading import readable
from kliep_tf.errors import UserError
from kliep_tf.segmentation.consistency import (
    semantic_consistency,
    sky_kept,
    sky_to_vegetation,
)
from kliep_tf.segmentation.inference import load_segmenter
from kliep_tf.segmentation.metrics import (
    mean_iou,
    normalize_rows,
    pixel_accuracy,
)

# float32 [1, H, W, 3] in [-1, 1] to the same
Translate = Callable[[tf.Tensor], tf.Tensor]


def make_consistency_check(
    segmenter: str,
    source: RecordIndex,
    image_size: tuple[int, int],
    num_examples: int = 32,
) -> Callable[[Translate], Mapping[str, float]]:
    """Returns a function that tells how much of the labels a generator keeps.

    The segmenter must know the target's looks (be trained on its labels, or on
    other camera images): one trained on rendered images understands a
    translation the less, the more it looks like the target.

    Args:
        segmenter: directory of a segmentation SavedModel.
        source: examples of the source domain, in part labelled.
        image_size: (height, width) that images and labels are resized to.
        num_examples: labelled examples that are looked at, the first ones.

    Returns:
        A function that translates the examples and returns scalars by name:
        mean IoU, pixel accuracy and the fate of the sky under `consistency/`,
        and under `consistency_by_class/` the share of each class's pixels that
        is still seen as that class. Classes that the examples lack are left
        out.

    Raises:
        UserError: there is no such segmenter, or no labelled example.
    """
    model = load_segmenter(segmenter)
    examples = _labelled_examples(source, image_size, num_examples)

    def check(translate: Translate) -> dict[str, float]:
        matrix = semantic_consistency(model, _translated(translate, examples))
        return _summarise(matrix)

    return check


def _labelled_examples(
    source: RecordIndex, size: tuple[int, int], number: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns uint8 images [H, W, 3] and train ids [H, W, 1]."""
    found = []
    for row in range(len(source)):
        with readable(source, row):
            parsed = records.parse_example(source.read(row))
            if not parsed[records.LABEL_ENCODED].numpy():
                continue
            image = images.decode_image(parsed[records.ENCODED])
            label = images.decode_label(parsed[records.LABEL_ENCODED])
        found.append(
            (
                images.resize_image(image, size).numpy(),
                images.resize_label(label, size).numpy(),
            )
        )
        if len(found) == number:
            break
    if not found:
        raise UserError(
            "--consistency_segmenter: expected source examples with labels, "
            f"found none among {len(source)}"
        )
    return found


def _translated(
    translate: Translate, examples: list[tuple[np.ndarray, np.ndarray]]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    # One at a time: memory as for one image, whatever their number.
    for image, label in examples:
        made = translate(images.to_float(image[np.newaxis]))
        yield images.to_uint8(made).numpy(), label[np.newaxis]


def _summarise(matrix: np.ndarray) -> dict[str, float]:
    """Returns the board's scalars of an int64 [19, 19] confusion matrix."""
    figures = {
        "consistency/mean_iou": mean_iou(matrix),
        "consistency/pixel_accuracy": pixel_accuracy(matrix),
        "consistency/sky_kept": sky_kept(matrix),
        "consistency/sky_to_vegetation": sky_to_vegetation(matrix),
    }
    kept = np.diag(normalize_rows(matrix))
    for name, share in zip(CLASS_NAMES, kept, strict=True):
        figures[f"consistency_by_class/{name.replace(' ', '_')}"] = share
    # NaN: nothing is labelled so.
    return {
        name: float(value)
        for name, value in figures.items()
        if not np.isnan(value)
    }
