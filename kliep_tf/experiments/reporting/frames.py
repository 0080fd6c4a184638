"""A few frames of records, chosen by their labels and read by name."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kliep_tf.data import records
from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.examples import read_example
from kliep_tf.data.index import RecordIndex, build_index
from kliep_tf.errors import DataError


class Frame(NamedTuple):
    """One labelled image."""

    image: np.ndarray  # uint8 [H, W, 3]
    label: np.ndarray  # uint8 [H, W] train ids or the ignore label


def read_frames(pattern: str, filenames: Sequence[str]) -> list[Frame]:
    """Returns the frames of these names, in their order."""
    index = build_index(records.resolve_records(pattern, "records"))
    row_of = {str(name): row for row, name in enumerate(index.filenames)}
    return [_read(index, row_of[name]) for name in filenames]


def frames_across(
    pattern: str, number: int, classes: ClassSet, name: str
) -> list[str]:
    """Returns names of frames spread evenly over the order of a class's share.

    The choice depends on the labels alone, never on a result. Every label is
    read once.

    Args:
        pattern: a directory or a glob of records.
        number: of frames, at most.
        classes: what the labels mean.
        name: of the class; where there is no such class, frames are spread
            over the order of their names.
    """
    index = build_index(records.resolve_records(pattern, "records"))
    if name not in classes.names:
        return spread_evenly(index.filenames, np.zeros(len(index)), number)
    train_id = classes.index(name)
    shares = []
    for row in range(len(index)):
        label = _read(index, row).label
        labelled = label != classes.ignore_label
        shares.append(np.sum(label == train_id) / max(labelled.sum(), 1))
    return spread_evenly(index.filenames, shares, number)


def spread_evenly(
    filenames: Sequence[str] | np.ndarray,
    values: Sequence[float] | np.ndarray,
    number: int,
) -> list[str]:
    """Returns names spread evenly over the order of their values.

    Args:
        filenames: [N].
        values: [N], one for each name; equal ones are ordered by name.
        number: of names, at most.
    """
    order = np.lexsort((np.asarray(filenames), np.asarray(values)))
    number = min(number, len(order))
    middles = (np.arange(number) + 0.5) / number * len(order)
    return [str(filenames[row]) for row in order[middles.astype(int)]]


def _read(index: RecordIndex, row: int) -> Frame:
    image, label = read_example(index, row)
    if label is None:
        raise DataError(
            f"{index.paths[index.shards[row]]}: expected labelled examples, "
            f"found {str(index.filenames[row])!r} without a label"
        )
    return Frame(image, label)
