"""Names of shards, and dataset.json: what a directory of records holds.

Each split's entry carries the classes of its labels. Every program asks
`class_set_of` for the classes of the shards that it reads. Nothing here imports
TensorFlow: a converter plans its shards while it starts.
"""

import dataclasses
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kliep_tf import runs
from kliep_tf.data import files, framing
from kliep_tf.data.class_sets import (
    CITYSCAPES_CLASSES,
    ClassSet,
    require_same_classes,
)
from kliep_tf.errors import DataError
from kliep_tf.json_files import Maybe, parse_json

DATASET_JSON = "dataset.json"
# records.LABEL_ENCODED, in bytes.
_LABEL_KEY = b"image/segmentation/class/encoded"
_IMAGE_SIZE = re.compile(r"[1-9]\d{0,5}x[1-9]\d{0,5}")
SHARD_NAME = re.compile(
    r"(?P<split>.+)-(?P<shard>\d{5})-of-(?P<count>\d{5})\.tfrecord(\.gz)?"
)

_EXPECTED = "a summary of records"
_SPLIT = {
    "dataset": str,
    "split": str,
    "shards": {str: [str]},
    "image_sizes": {str: int},
    "labelled": int,
    "class_pixel_shares": {str: float},
    "skipped": Maybe([dict]),
    "arguments": Maybe(dict),
    "versions": Maybe(dict),
}


def shard_name(split: str, shard: int, num_shards: int) -> str:
    """Returns a shard's file name, such as train-00000-of-00064.tfrecord."""
    return f"{split}-{shard:05d}-of-{num_shards:05d}.tfrecord"


def split_of(path: str | os.PathLike) -> str:
    """Returns the split that a shard's file name begins with."""
    match = SHARD_NAME.fullmatch(os.path.basename(path))
    return match["split"] if match else Path(path).stem


@dataclasses.dataclass(frozen=True)
class SplitSummary:
    """Everything known of one split without opening its shards.

    Attributes:
        dataset: the dataset's name, such as "gta5".
        split: the split's name, which is also the shards' prefix.
        shards: the filenames (stems) of the examples by shard name, in the
            order in which they were written.
        image_sizes: number of images by "HEIGHTxWIDTH".
        labelled: number of examples with a label.
        class_pixel_shares: share of the labelled, not ignored pixels by class
            name; empty if nothing is labelled.
        classes: what the train ids of the labels mean.
        skipped: {"file", "reason"} of every frame left out.
        arguments: of the program that wrote the split.
        versions: of the software that wrote it.
    """

    dataset: str
    split: str
    shards: Mapping[str, list[str]]
    image_sizes: Mapping[str, int]
    labelled: int
    class_pixel_shares: Mapping[str, float]
    classes: ClassSet = CITYSCAPES_CLASSES
    skipped: list[Mapping[str, str]] = dataclasses.field(default_factory=list)
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def num_examples(self) -> int:
        """The number of examples in all shards."""
        return sum(map(len, self.shards.values()))


def write_summary(directory: str | os.PathLike, summary: SplitSummary) -> None:
    """Adds or replaces one split in `directory`/dataset.json, atomically."""
    path = Path(directory) / DATASET_JSON
    splits = _read(path)
    entry = dataclasses.asdict(summary)
    splits[summary.split] = {
        "num_examples": summary.num_examples,
        **entry,
        "classes": summary.classes.to_json(),
    }
    text = json.dumps({"splits": splits}, indent=1) + "\n"
    runs.write_atomically(path, text)


def read_summary(
    directory: str | os.PathLike, split: str
) -> SplitSummary | None:
    """Returns one split's summary, or None where dataset.json has none.

    Raises:
        DataError: dataset.json is there but is not ours, or is damaged.
    """
    return read_summaries(directory, [split]).get(split)


def read_summaries(
    directory: str | os.PathLike, splits: Iterable[str] | None = None
) -> dict[str, SplitSummary]:
    """Returns the summaries of a directory's splits; of all by default.

    Raises:
        DataError: dataset.json is there but is not ours, or is damaged.
    """
    path = os.path.join(directory, DATASET_JSON)
    entries = _read(path)
    wanted = entries if splits is None else splits
    return {
        split: _parse(entries[split], split, path)
        for split in wanted
        if split in entries
    }


def _parse(entry: dict[str, Any], split: str, path: str) -> SplitSummary:
    names = [field.name for field in dataclasses.fields(SplitSummary)]
    known = {name: entry[name] for name in names if name in entry}
    # Records of before dataset.json had classes are of Cityscapes' 19.
    if "classes" in known:
        known["classes"] = ClassSet.from_json(
            known["classes"], f"{path}: {split}"
        )
    summary = SplitSummary(**known)
    problem = _problem(summary)
    if problem:
        raise DataError(f"{path}: {split}: {problem}")
    return summary


def read_shard_summaries(
    paths: Iterable[str],
) -> dict[str, SplitSummary | None]:
    """Returns the summary of each shard's split, None where there is none.

    A dataset.json lists every example, so it is read once a split and not once
    a shard.
    """
    known: dict[tuple[str, str], SplitSummary | None] = {}
    found = {}
    for path in paths:
        key = (os.path.dirname(path), split_of(path))
        if key not in known:
            known[key] = read_summary(*key)
        found[path] = known[key]
    return found


def refuse_emptied(paths: Sequence[str]) -> None:
    """Raises a DataError for an empty file of which dataset.json lists records.

    A file without a byte is a whole TFRecord file: that of no records.
    """
    empty = [path for path in paths if not files.status(path).size]
    for path, summary in read_shard_summaries(empty).items():
        listed = summary.shards.get(os.path.basename(path)) if summary else None
        if listed:
            raise DataError(
                f"{path}: expected the {len(listed)} records that "
                f"{DATASET_JSON} lists, found an empty file"
            )


def class_set_of(paths: Sequence[str]) -> ClassSet:
    """Returns the classes of the labels in these shards.

    They are Cityscapes' 19 where no dataset.json describes the shards. Splits
    without labels agree with any other; where no dataset.json says it, the
    first record of a shard does.

    Args:
        paths: shards of one dataset, or of several that are compared: the
            colours are those of the first.

    Raises:
        UserError: a train id means different classes in two of the splits, or
            a dataset.json is damaged.
    """
    # By split: its classes, and whether it has labels.
    found: dict[str, tuple[ClassSet, bool]] = {}
    for path, summary in read_shard_summaries(paths).items():
        split = os.path.join(os.path.dirname(path), split_of(path))
        if summary is None:
            known = found.get(split, (CITYSCAPES_CLASSES, False))[1]
            found[split] = CITYSCAPES_CLASSES, known or _begins_labelled(path)
        else:
            found[split] = summary.classes, summary.labelled > 0
    labelled = {
        split: classes for split, (classes, has) in found.items() if has
    }
    compared = labelled or {split: one for split, (one, _) in found.items()}
    first = next(iter(compared), "")
    for split, classes in compared.items():
        require_same_classes(compared[first], first, classes, split)
    return compared.get(first, CITYSCAPES_CLASSES)


def _begins_labelled(path: str) -> bool:
    """Whether a shard's first record has a label."""
    for data, _ in framing.read_records(framing.unpacked(path)):
        # Parsed it would be by TensorFlow, which takes seconds to import.
        return data is None or _LABEL_KEY in data
    return False


def _problem(summary: SplitSummary) -> str:
    """Returns what is wrong with a summary that was read, "" for nothing."""
    sizes = summary.image_sizes
    if not (
        all(_IMAGE_SIZE.fullmatch(size) for size in sizes)
        and all(_is_count(number) for number in sizes.values())
    ):
        return (
            "expected numbers of images by size, such as 512x1024, found "
            f"{sizes}"
        )
    if not _is_count(summary.labelled):
        return f"expected a number of labelled images, found {summary.labelled}"
    return ""


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _read(path: str | os.PathLike) -> dict[str, Any]:
    try:
        with files.reading(path) as file:
            text = file.read()
    except FileNotFoundError:
        return {}
    schema = {"splits": {str: _SPLIT}}
    return parse_json(text, os.fspath(path), _EXPECTED, schema)["splits"]
