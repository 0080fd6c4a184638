"""Finds what shards hold and what in them is broken.

Reading goes on after a damaged record, so that all of them are named.
"""

import dataclasses
import functools
import os
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from kliep_tf import worker_processes as workers
from kliep_tf.data import files, framing, summaries
from kliep_tf.data.class_sets import ClassSet
from kliep_tf.errors import DataError, UserError
from kliep_tf.progress import ProgressBar
from tfrecords_tools.record_checks import (
    Record,
    check_record,
    parse_record,
)

# TensorFlow is imported where records are read and not up here: worker
# processes import this module too, and would each wait seconds for it.


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        shard: the shard's file name, or its path where that is not enough.
        position: of the record in its shard, from 0; None for the shard.
        filename: the example's, "" where it cannot be read.
        reason: what was expected and what was found.
    """

    shard: str
    position: int | None
    filename: str
    reason: str


@dataclasses.dataclass
class Inspection:
    """What was found in a set of shards.

    Attributes:
        classes: of the labels.
        shard_counts: number of records by shard path.
        image_sizes: number of images by "HEIGHTxWIDTH".
        formats: number of images by format.
        labelled: number of examples with a label.
        weights: the importance weights of the examples that carry one.
        class_pixels: float64 [C], label pixels of each class.
        weighted_class_pixels: float64 [C], each image's times its weight.
        problems: everything that is wrong.
    """

    classes: ClassSet
    shard_counts: dict[str, int] = dataclasses.field(default_factory=dict)
    image_sizes: Counter = dataclasses.field(default_factory=Counter)
    formats: Counter = dataclasses.field(default_factory=Counter)
    labelled: int = 0
    weights: list[float] = dataclasses.field(default_factory=list)
    problems: list[Problem] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.class_pixels = np.zeros(len(self.classes))
        self.weighted_class_pixels = np.zeros(len(self.classes))

    @property
    def num_records(self) -> int:
        """The number of records in all shards, broken ones included."""
        return sum(self.shard_counts.values())


def inspect(
    paths: Sequence[str], *, num_workers: int, decode: bool = True
) -> Inspection:
    """Reads all shards and returns what was found.

    Args:
        paths: of the shards.
        num_workers: processes that decode; 0 decodes in this one.
        decode: whether images and labels are decoded.

    Raises:
        UserError: no record is an example of ours.
    """
    classes = summaries.class_set_of(paths)
    found = Inspection(classes)
    shown = shown_names(paths)
    places: dict[str, Record] = {}
    total = sum(files.status(path).size for path in paths)
    stream = (record for path in paths for record in _read(path, found))
    check = functools.partial(check_record, classes=classes, decode=decode)
    with (
        workers.map_in_workers(check, stream, num_workers) as results,
        ProgressBar(total // 10**6, "inspecting", "megabyte") as bar,
    ):
        size = 0
        for record, reasons, class_pixels in results:
            before, size = size, size + record.num_bytes
            bar.update(size // 10**6 - before // 10**6)
            if record.reason:
                reasons = [record.reason]
            else:
                _count(found, record, class_pixels)
                first = places.setdefault(record.filename, record)
                if first is not record:
                    reasons.append(
                        "expected a filename of its own, found it at "
                        f"{shown[first.shard]}, record {first.position} too"
                    )
            found.problems.extend(
                Problem(
                    shown[record.shard],
                    record.position,
                    record.filename,
                    reason,
                )
                for reason in reasons
            )
    if not places:
        _refuse(paths, found)
    _compare_with_summary(paths, places, found)
    return found


def shown_names(paths: Sequence[str]) -> dict[str, str]:
    """Returns what each path is called: its file name, if no other has it."""
    counts = Counter(map(os.path.basename, paths))
    return {
        path: path if counts[name] > 1 else name
        for path, name in zip(paths, map(os.path.basename, paths), strict=True)
    }


def _count(found: Inspection, record: Record, class_pixels: np.ndarray) -> None:
    found.image_sizes[f"{record.height}x{record.width}"] += 1
    found.formats[record.image_format] += 1
    found.labelled += record.label is not None
    found.class_pixels += class_pixels
    if record.weight is not None:
        found.weights.append(record.weight)
        found.weighted_class_pixels += record.weight * class_pixels


def _refuse(paths: Sequence[str], found: Inspection) -> None:
    where = f"{paths[0]} (and {len(paths) - 1} more)"
    if len(paths) == 1:
        where = paths[0]
    if not found.problems:
        raise UserError(f"{where}: expected examples, found none")
    raise DataError(f"{where}: {found.problems[0].reason}")


def _compare_with_summary(
    paths: Sequence[str], places: dict[str, Record], found: Inspection
) -> None:
    """Adds a problem for each shard that dataset.json describes wrongly."""
    names: dict[str, list[str]] = {path: [] for path in paths}
    for record in places.values():
        names[record.shard].append(record.filename)
    shown = shown_names(paths)
    damaged = {problem.shard for problem in found.problems}
    for path, summary in summaries.read_shard_summaries(paths).items():
        if summary is None or shown[path] in damaged:
            continue
        listed = summary.shards.get(os.path.basename(path))
        if listed != names[path]:
            count = "nothing" if listed is None else f"{len(listed)} filenames"
            reason = (
                f"expected its {len(names[path])} filenames, in order, in "
                f"{summaries.DATASET_JSON}; found {count} there"
            )
            found.problems.append(Problem(shown[path], None, "", reason))
    if not damaged:
        _compare_counts(paths, found)


def _compare_counts(paths: Sequence[str], found: Inspection) -> None:
    """Adds a problem where dataset.json counts sizes or labels otherwise.

    Programs believe it. Splits are compared of which all shards are here.
    """
    entries = {
        (os.path.dirname(path), summary.split): summary
        for path, summary in summaries.read_shard_summaries(paths).items()
        if summary is not None
    }
    if sum(len(one.shards) for one in entries.values()) != len(paths):
        return
    sizes: Counter = sum(
        (Counter(one.image_sizes) for one in entries.values()), Counter()
    )
    labelled = sum(one.labelled for one in entries.values())
    for what, expected, listed in (
        ("images by size", found.image_sizes, sizes),
        ("labelled images", found.labelled, labelled),
    ):
        if expected != listed:
            reason = (
                f"expected {_shown(expected)} {what}, as in the records, "
                f"found {_shown(listed)}"
            )
            found.problems.append(
                Problem(summaries.DATASET_JSON, None, "", reason)
            )


def _shown(value: int | Counter) -> str:
    if isinstance(value, int):
        return str(value)
    return ", ".join(f"{name}: {n}" for name, n in value.most_common())


def _read(path: str, found: Inspection) -> Iterator[Record]:
    """Yields every record of a shard; counts them in `found`."""
    found.shard_counts[path] = 0
    for data, reason in framing.read_records(framing.unpacked(path)):
        position = found.shard_counts[path]
        if data is None:
            yield Record(path, position, reason)
        else:
            yield parse_record(data, path, position)
        found.shard_counts[path] += 1
