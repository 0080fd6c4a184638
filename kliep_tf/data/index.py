"""Random access to the examples of TFRecord shards.

The index holds where each record lies, so that a training can read examples
from disk in any order. It shuffles datasets of any size with a few bytes an
example, and a run that continues at step k begins to read there.
"""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from kliep_tf.data import framing, records
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES, ClassSet
from kliep_tf.data.summaries import class_set_of, read_shard_summaries
from kliep_tf.errors import DataError


@dataclasses.dataclass(frozen=True)
class RecordIndex:
    """The place and the name of every example in a set of shards.

    Attributes:
        paths: the shards.
        shards: [N] int32, the position in `paths` of each example's shard.
        offsets: [N] int64, of the serialized example in its shard, in bytes.
        lengths: [N] int64, of the serialized example, in bytes.
        filenames: [N] str, the examples' image/filename.
        classes: of the labels.
    """

    paths: tuple[str, ...]
    shards: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    filenames: np.ndarray
    classes: ClassSet = CITYSCAPES_CLASSES

    def __len__(self) -> int:
        return len(self.offsets)

    def read(self, row: int) -> bytes:
        """Returns one serialized example.

        Its checksum is compared each time: 0.05 ms of a record of 300 kB.

        Raises:
            UserError: the shard has changed or is damaged there.
        """
        path = self.paths[self.shards[row]]
        return _read(path, int(self.offsets[row]), int(self.lengths[row]))

    def select(self, rows: np.ndarray) -> "RecordIndex":
        """Returns the index of some of the examples, in the order given."""
        return dataclasses.replace(
            self,
            shards=self.shards[rows],
            offsets=self.offsets[rows],
            lengths=self.lengths[rows],
            filenames=self.filenames[rows],
        )


def build_index(paths: Sequence[str]) -> RecordIndex:
    """Returns the index of these shards.

    Names come from dataset.json where it fits the shards; otherwise every
    record is read once.

    Raises:
        UserError: a file is no TFRecord file or is cut short, its records are
            of another kind, there is no example, or two share a filename.
    """
    shards: list[int] = []
    offsets: list[int] = []
    lengths: list[int] = []
    filenames: list[str] = []
    summaries = read_shard_summaries(paths)
    for shard, path in enumerate(paths):
        spans = framing.read_spans(framing.unpacked(path))
        summary = summaries[path]
        names = (
            summary.shards.get(os.path.basename(path), []) if summary else []
        )
        if not _fits(names, path, spans):
            names = [_read_name(path, *span) for span in spans]
        shards.extend([shard] * len(spans))
        offsets.extend(offset for offset, _ in spans)
        lengths.extend(length for _, length in spans)
        filenames.extend(names)
    if not offsets:
        raise DataError(
            f"{os.path.dirname(paths[0]) or '.'}: expected examples, found "
            f"{len(paths)} empty shards"
        )
    index = RecordIndex(
        paths=tuple(paths),
        shards=np.asarray(shards, np.int32),
        offsets=np.asarray(offsets, np.int64),
        lengths=np.asarray(lengths, np.int64),
        filenames=np.asarray(filenames, np.str_),
        classes=class_set_of(paths),
    )
    _refuse_duplicates(index)
    return index


def image_sizes(index: RecordIndex) -> set[tuple[int, int]]:
    """Returns the (height, width) of all the images.

    Taken from dataset.json where it describes the shards, else from the
    records.
    """
    sizes = set()
    for summary in read_shard_summaries(index.paths).values():
        if summary is None:
            return {_stored_size(index, row) for row in range(len(index))}
        for size in summary.image_sizes:
            height, width = size.split("x")
            sizes.add((int(height), int(width)))
    return sizes


def _fits(names: list[str], path: str, spans: list[tuple[int, int]]) -> bool:
    """Whether a shard begins and ends with these names.

    Where a shard was replaced under an old dataset.json, its images would
    otherwise get the weights of other images.
    """
    ends = {0, len(spans) - 1} if spans else ()
    return len(names) == len(spans) and all(
        _read_name(path, *spans[row]) == names[row] for row in ends
    )


def _read_name(path: str, offset: int, length: int) -> str:
    return records.filename_of(_read(path, offset, length), path)


def _read(path: str, offset: int, length: int) -> bytes:
    unpacked = framing.unpacked(path)
    try:
        return framing.read_record(unpacked, offset, length)
    except DataError as error:
        # The place in the file that the user has, which may be compressed.
        before = [at for at, _ in framing.read_spans(unpacked) if at < offset]
        reason = str(error).removeprefix(f"{unpacked}: ")
        raise DataError(f"{path}, record {len(before)}: {reason}") from None


def _refuse_duplicates(index: RecordIndex) -> None:
    names, counts = np.unique(index.filenames, return_counts=True)
    if counts.max() > 1:
        name = names[np.argmax(counts)]
        raise DataError(
            f"{os.path.dirname(index.paths[0]) or '.'}: expected unique "
            f"filenames, found {str(name)!r} {counts.max()} times"
        )


def _stored_size(index: RecordIndex, row: int) -> tuple[int, int]:
    example = tf.train.Example.FromString(index.read(row))
    size = []
    for key in (records.HEIGHT, records.WIDTH):
        values = example.features.feature[key].int64_list.value
        if not values:
            raise DataError(
                f"{index.paths[index.shards[row]]}: expected examples with the "
                f"key {key}, found none in {str(index.filenames[row])!r}"
            )
        size.append(values[0])
    return size[0], size[1]
