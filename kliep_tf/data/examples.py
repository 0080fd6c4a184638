"""One example of an index at a time, decoded outside of a graph.

For pictures and checks of a few images; `pipeline` reads whole datasets.
"""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kliep_tf.data import images, reading, records
from kliep_tf.data.index import RecordIndex
from kliep_tf.data.labels import decode_label
from kliep_tf.errors import DataError


class StoredExample(NamedTuple):
    """One image as it is stored."""

    image: np.ndarray  # uint8 [H, W, 3]
    label: np.ndarray | None  # uint8 [H, W] train ids; None where unlabelled


def read_example(index: RecordIndex, row: int) -> StoredExample:
    """Returns one example, its label checked.

    Raises:
        UserError: the record, the image or the label is damaged, or the label
            is not one of this image and of the classes of `index`.
    """
    path = index.paths[index.shards[row]]
    with readable(index, row):
        example = records.parse_example(index.read(row))
        image = images.decode_image(example[records.ENCODED]).numpy()
        encoded = example[records.LABEL_ENCODED].numpy()
        label = decode_label(
            encoded,
            index.classes,
            image.shape[:2],
            (path, str(index.filenames[row])),
        )
    return StoredExample(image, label)


@contextlib.contextmanager
def readable(index: RecordIndex, row: int) -> Iterator[None]:
    """Turns TensorFlow's error for a damaged example into a UserError.

    Within, one example of an index is parsed and decoded.
    """
    try:
        yield
    except reading.DAMAGED as error:
        path = index.paths[index.shards[row]]
        raise DataError(
            f"{path}: expected readable examples, found a damaged one, "
            f"{str(index.filenames[row])!r} ({reading.reason_of(error)})"
        ) from error
