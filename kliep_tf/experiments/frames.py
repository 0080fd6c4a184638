"""A few frames of records, chosen by their labels and read by name."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kliep_tf.data import images, records
from kliep_tf.data.datasets import CLASS_NAMES, IGNORE_LABEL
from kliep_tf.data.index import RecordIndex, build_index


class Frame(NamedTuple):
    """One labelled image."""

    image: np.ndarray  # uint8 [H, W, 3]
    label: np.ndarray  # uint8 [H, W] train ids or 255


def read_frames(pattern: str, filenames: Sequence[str]) -> list[Frame]:
    """Returns the frames of these names, in their order."""
    index = build_index(records.resolve_records(pattern, "records"))
    row_of = {str(name): row for row, name in enumerate(index.filenames)}
    return [_read(index, row_of[name]) for name in filenames]


def frames_across_sky(pattern: str, number: int) -> list[str]:
    """Returns names of frames spread evenly over the order of their sky share.

    The choice depends on the labels alone, never on a result. Every label is
    read once.
    """
    index = build_index(records.resolve_records(pattern, "records"))
    sky = CLASS_NAMES.index("sky")
    shares = []
    for row in range(len(index)):
        label = _label(index, row)
        labelled = label != IGNORE_LABEL
        shares.append(np.sum(label == sky) / max(labelled.sum(), 1))
    order = np.lexsort((index.filenames, shares))
    number = min(number, len(order))
    middles = (np.arange(number) + 0.5) / number * len(order)
    return [str(index.filenames[row]) for row in order[middles.astype(int)]]


def _read(index: RecordIndex, row: int) -> Frame:
    example = records.parse_example(tf.constant(index.read(row)))
    image = images.decode_image(example[records.ENCODED]).numpy()
    return Frame(image, _label(index, row))


def _label(index: RecordIndex, row: int) -> np.ndarray:
    example = records.parse_example(tf.constant(index.read(row)))
    label = images.decode_label(example[records.LABEL_ENCODED])
    return label.numpy()[..., 0]
