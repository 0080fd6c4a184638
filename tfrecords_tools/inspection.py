"""What is in shards, and what in them is broken.

Reading goes on behind a damaged record, so that all of them are named.
"""

import dataclasses
import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from kliep_tf.data import datasets
from kliep_tf.errors import UserError
from kliep_tf.progress import ProgressBar
from tfrecords_tools import workers
from tfrecords_tools.salvage import salvage_records

# TensorFlow is imported where records are parsed and not up here: worker
# processes import this module too, and would each wait seconds for it.


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        shard: the shard's file name.
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
        shard_counts: number of records by shard path.
        image_sizes: number of images by "HEIGHTxWIDTH".
        formats: number of images by format.
        labelled: number of examples with a label.
        weights: the importance weights of the examples that carry one.
        class_pixels: float64 [19], label pixels of each class.
        weighted_class_pixels: float64 [19], each image's times its weight.
        problems: everything that is wrong.
    """

    shard_counts: dict[str, int] = dataclasses.field(default_factory=dict)
    image_sizes: Counter = dataclasses.field(default_factory=Counter)
    formats: Counter = dataclasses.field(default_factory=Counter)
    labelled: int = 0
    weights: list[float] = dataclasses.field(default_factory=list)
    class_pixels: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(datasets.NUM_CLASSES)
    )
    weighted_class_pixels: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(datasets.NUM_CLASSES)
    )
    problems: list[Problem] = dataclasses.field(default_factory=list)

    @property
    def num_records(self) -> int:
        """The number of records in all shards, broken ones included."""
        return sum(self.shard_counts.values())


@dataclasses.dataclass(frozen=True)
class _Record:
    """One record: its values, or the reason why it has none."""

    shard: str
    position: int
    reason: str = ""
    filename: str = ""
    image: bytes = b""
    image_format: str = ""
    height: int = 0
    width: int = 0
    label: bytes | None = None
    weight: float | None = None
    num_bytes: int = 0

    def without_pixels(self) -> "_Record":
        """Returns the record as it is kept: memory holds no images."""
        label = None if self.label is None else b""
        return dataclasses.replace(self, image=b"", label=label)


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
    found = Inspection()
    places: dict[str, _Record] = {}
    total = sum(os.path.getsize(path) for path in paths)
    stream = (record for path in paths for record in _read(path, found))
    check = _check_pixels if decode else _check_nothing
    with (
        workers.ordered_map(check, stream, num_workers) as results,
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
                        f"{first.shard}, record {first.position} too"
                    )
            found.problems.extend(
                Problem(record.shard, record.position, record.filename, reason)
                for reason in reasons
            )
    if not places:
        _refuse(paths, found)
    _compare_with_summary(paths, places, found)
    return found


def _count(
    found: Inspection, record: _Record, class_pixels: np.ndarray
) -> None:
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
    raise UserError(f"{where}: {found.problems[0].reason}")


def _compare_with_summary(
    paths: Sequence[str], places: dict[str, _Record], found: Inspection
) -> None:
    """Adds a problem for each shard that dataset.json describes wrongly."""
    from kliep_tf.data import summaries

    names = {path: [] for path in map(os.path.basename, paths)}
    for record in places.values():
        names[record.shard].append(record.filename)
    for path, summary in summaries.read_shard_summaries(paths).items():
        shard = os.path.basename(path)
        if summary is None:
            continue
        listed = summary.shards.get(shard)
        damaged = any(problem.shard == shard for problem in found.problems)
        if listed != names[shard] and not damaged:
            count = "nothing" if listed is None else f"{len(listed)} filenames"
            reason = (
                f"expected its {len(names[shard])} filenames, in order, in "
                f"{summaries.DATASET_JSON}; found {count} there"
            )
            found.problems.append(Problem(shard, None, "", reason))


def _read(path: str, found: Inspection) -> Iterator[_Record]:
    """Yields every record of a shard; counts them in `found`."""
    from kliep_tf.data import records  # imports TensorFlow: see above

    shard = os.path.basename(path)
    found.shard_counts[path] = 0
    try:
        for data in records.read_shard(path):
            yield _parse(data, shard, found.shard_counts[path])
            found.shard_counts[path] += 1
    except UserError:
        # tf.data gives a damaged file up; behind the damage is more.
        whole = found.shard_counts[path]
        for data, reason in salvage_records(path, whole):
            position = found.shard_counts[path]
            if data is None:
                yield _Record(shard, position, reason)
            else:
                yield _parse(data, shard, position)
            found.shard_counts[path] += 1


def _parse(data: bytes, shard: str, position: int) -> _Record:
    import tensorflow as tf

    from kliep_tf.data import records

    try:
        features = tf.train.Example.FromString(data).features.feature
    except Exception:  # protobuf's DecodeError has no public name
        features = {}
    needed = (
        (records.ENCODED, "bytes_list"),
        (records.FILENAME, "bytes_list"),
        (records.FORMAT, "bytes_list"),
        (records.HEIGHT, "int64_list"),
        (records.WIDTH, "int64_list"),
    )
    values = {}
    for key, kind in needed:
        values[key] = _first(features, key, kind)
        if values[key] is None:
            keys = ", ".join(sorted(features)[:4])
            return _Record(
                shard,
                position,
                f"expected an example with the key {key}, found "
                f"{keys or 'something else'}",
            )
    return _Record(
        shard,
        position,
        "",
        filename=values[records.FILENAME].decode(errors="replace"),
        image=values[records.ENCODED],
        image_format=values[records.FORMAT].decode(errors="replace"),
        height=values[records.HEIGHT],
        width=values[records.WIDTH],
        label=_first(features, records.LABEL_ENCODED, "bytes_list") or None,
        weight=_first(features, records.IMPORTANCE_WEIGHT, "float_list"),
        num_bytes=len(data),
    )


def _first(features, key: str, kind: str) -> bytes | int | float | None:
    """Returns a feature's only value, None where there is none."""
    if key not in features:
        return None
    values = getattr(features[key], kind).value
    return values[0] if len(values) == 1 else None


def _check_nothing(
    record: _Record,
) -> tuple[_Record, list[str], np.ndarray]:
    class_pixels = np.zeros(datasets.NUM_CLASSES)
    return record.without_pixels(), _check_weight(record), class_pixels


def _check_pixels(
    record: _Record,
) -> tuple[_Record, list[str], np.ndarray]:
    """Returns the record, what is wrong with it, and its class pixels."""
    class_pixels = np.zeros(datasets.NUM_CLASSES)
    if record.reason:
        return record, [], class_pixels
    reasons = _check_weight(record)
    size = (record.height, record.width)
    image, reason = _decode(record.image, "image")
    if image is None:
        reasons.append(reason)
    elif image.size[::-1] != size:
        reasons.append(_wrong_size("image", size, image.size[::-1]))
    elif image.format.lower() != record.image_format:
        reasons.append(
            f"expected an image of format {record.image_format!r}, found "
            f"{image.format.lower()!r}"
        )
    if record.label is not None:
        label, reason = _decode(record.label, "label")
        if label is None:
            reasons.append(reason)
        elif label.mode != "L":
            reasons.append(
                f"expected a label of one channel, found mode {label.mode}"
            )
        elif label.size[::-1] != size:
            reasons.append(_wrong_size("label", size, label.size[::-1]))
        else:
            counts = np.bincount(np.asarray(label).ravel(), minlength=256)
            class_pixels += counts[: datasets.NUM_CLASSES]
            strange = np.flatnonzero(counts[: datasets.IGNORE_LABEL])
            strange = strange[strange >= datasets.NUM_CLASSES]
            if strange.size:
                reasons.append(
                    f"expected train ids 0..{datasets.NUM_CLASSES - 1} and "
                    f"{datasets.IGNORE_LABEL} in the label, found {strange[0]}"
                )
    return record.without_pixels(), reasons, class_pixels


def _check_weight(record: _Record) -> list[str]:
    weight = record.weight
    if weight is None or (np.isfinite(weight) and weight >= 0):
        return []
    return [f"expected an importance weight of 0 or more, found {weight}"]


def _wrong_size(
    what: str, expected: tuple[int, int], found: tuple[int, int]
) -> str:
    return (
        f"expected {what} pixels {expected[0]}x{expected[1]}, found "
        f"{found[0]}x{found[1]}"
    )


def _decode(data: bytes, what: str) -> tuple[Image.Image | None, str]:
    try:
        image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
        image.load()
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        return None, (
            f"expected a whole {what}, found {len(data)} bytes that cannot be "
            f"decoded ({type(error).__name__})"
        )
    return image, ""
