"""Reading records once, in order: checks, equal batches, clear errors."""

import collections
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kliep_tf import errors
from kliep_tf.data import images, pipeline, records
from kliep_tf.data.labels import read_label
from kliep_tf.data.summaries import (
    SplitSummary,
    class_set_of,
    read_shard_summaries,
    read_summary,
)
from kliep_tf.errors import DataError, UserError

# What tf.data raises for a record, image or label that it cannot make out.
DAMAGED = (tf.errors.DataLossError, tf.errors.InvalidArgumentError)
_OWN = re.compile(r"\b(?:User|Data)Error: ")


def make_example_dataset(paths: Sequence[str]) -> tf.data.Dataset:
    """Returns every example once, in order, parsed but not decoded.

    For readers that need images alone or labels alone: decoding takes nearly
    all of the time.

    Returns:
        A dataset of what `records.parse_example` returns.
    """
    dataset = records.shard_dataset(paths)
    return dataset.map(
        records.parse_example, num_parallel_calls=tf.data.AUTOTUNE
    )


def require_labels(paths: Sequence[str], flag: str) -> None:
    """Raises a UserError if the records are known to lack labels.

    dataset.json knows all examples; without it they are read, one by one.

    Args:
        paths: the shards.
        flag: the flag that named them, for the message.
    """
    for path, summary in read_shard_summaries(paths).items():
        if summary is not None and summary.labelled < summary.num_examples:
            raise UserError(
                f"--{flag}: expected labelled examples, found "
                f"{summary.num_examples - summary.labelled} of "
                f"{summary.num_examples} without a label in {path}'s split"
            )
        if summary is None:
            _require_label_in_each(path, flag)


def _require_label_in_each(path: str, flag: str) -> None:
    """Raises a UserError for the first example of a shard without a label."""
    for number, serialized in enumerate(records.read_shard(path)):
        name = records.filename_of(serialized, f"{path}, record {number}")
        features = tf.train.Example.FromString(serialized).features.feature
        if not features[records.LABEL_ENCODED].bytes_list.value:
            raise UserError(
                f"--{flag}: expected labelled examples, found none under "
                f"{records.LABEL_ENCODED} in {name!r} of {path}"
            )


def has_labels(paths: Sequence[str]) -> bool:
    """Whether all records are labelled, as far as `require_labels` can see.

    Raises:
        DataError: one is damaged, where each must be read.
    """
    try:
        require_labels(paths, "")
    except DataError:
        raise
    except UserError:
        return False
    return True


def holds_a_label(path: str) -> bool:
    """Whether any record of a shard has a label; read as far as the first.

    Raises:
        DataError: one of those is damaged.
    """
    return any(
        tf.train.Example.FromString(serialized)
        .features.feature[records.LABEL_ENCODED]
        .bytes_list.value
        for serialized in records.read_shard(path)
    )


def labelled_examples(paths: Sequence[str]) -> np.ndarray:
    """Returns bool [N]: which examples have a labelled pixel, in their order.

    Their labels are decoded, since datasets give out unlabelled images with
    labels that say nothing, such as those of Cityscapes' test split.

    Args:
        paths: the shards.

    Raises:
        UserError: a record is damaged, or a label is none of its image.
    """
    return np.array(list(_is_labelled(paths, "records")), bool)


def require_labelled_pixels(paths: Sequence[str], flag: str) -> None:
    """Raises a UserError if every pixel of all labels is ignored.

    Labels are decoded as far as the first that is not: one, in most data.
    """
    if not any(_is_labelled(paths, flag)):
        raise UserError(
            f"--{flag}: expected labelled pixels, found labels in which every "
            "pixel is ignored, as those of Cityscapes' test split are"
        )


def _is_labelled(paths: Sequence[str], flag: str) -> Iterator[bool]:
    """Yields whether each example has a labelled pixel."""
    classes = class_set_of(paths)

    @records.unconverted
    def is_labelled(example: dict[str, tf.Tensor]) -> tf.Tensor:
        label = read_label(example, classes)
        return tf.reduce_any(label != np.uint8(classes.ignore_label))

    dataset = make_example_dataset(paths).map(
        is_labelled, num_parallel_calls=tf.data.AUTOTUNE
    )
    return read_all(dataset, flag, paths)


def summarize_split(paths: Sequence[str], split: str) -> SplitSummary:
    """Returns the summary in dataset.json, or one made by reading every record.

    Args:
        paths: the shards of one split, in one directory.
        split: their prefix.
    """
    known = read_summary(os.path.dirname(paths[0]), split)
    return known or _read_split(paths, split)


def read_all(
    dataset: tf.data.Dataset, flag: str, paths: Sequence[str] = ()
) -> Iterator:
    """Yields a dataset's elements as NumPy arrays.

    Args:
        dataset: made of records.
        flag: the flag that named them, for messages.
        paths: the shards: what cannot be read or decoded is then looked for
            and named.

    Raises:
        UserError: a record is damaged, or an image or label in it cannot be
            used.
    """
    elements = dataset.as_numpy_iterator()
    while True:
        try:
            element = next(elements)
        except StopIteration:
            return
        except DAMAGED as error:
            reason = reason_of(error)
            if not is_own(error):
                reason = _find_damage(paths) or (
                    "expected readable examples, found a damaged one "
                    f"({reason})"
                )
            raise DataError(f"--{flag}: {reason}") from error
        yield element


def is_own(error: tf.errors.OpError) -> bool:
    """Whether TensorFlow passed on a UserError of what ran inside a graph."""
    return _OWN.search(error.message.strip().splitlines()[0]) is not None


def reason_of(error: tf.errors.OpError) -> str:
    """Returns what went wrong in one line, without TensorFlow's own notes."""
    line = error.message.strip().splitlines()[0]
    if is_own(error):
        return _OWN.split(line, maxsplit=1)[1]
    return errors.reason_of(error)


def equal_size_batches(examples: Iterator, batch_size: int) -> Iterator:
    """Yields batches of consecutive examples, the order kept.

    A batch is cut short where the next image, or its label, has another size.

    Args:
        examples: of one NamedTuple of NumPy arrays, such as LabelledImages.
        batch_size: images in a batch, at most.
    """
    waiting: list[Any] = []
    for example in examples:
        if waiting and (
            len(waiting) == batch_size
            or _shapes(example) != _shapes(waiting[0])
        ):
            yield _stack(waiting)
            waiting = []
        waiting.append(example)
    if waiting:
        yield _stack(waiting)


def _find_damage(paths: Sequence[str]) -> str:
    """Returns which example cannot be read or decoded, "" if all can.

    It begins anew: elements may be batches, and one record may be none.
    """
    for path in paths:
        for row, serialized in enumerate(records.read_shard(path)):
            name = records.filename_of(serialized, f"{path}, record {row}")
            try:
                example = records.parse_example(serialized)
                images.decode_image(example[records.ENCODED])
            except DAMAGED as error:
                return (
                    f"{path}, record {row}: expected an image that can be "
                    f"decoded, found a damaged one in {name!r} "
                    f"({reason_of(error)})"
                )
    return ""


def _read_split(paths: Sequence[str], split: str) -> SplitSummary:
    classes = class_set_of(paths)
    shards: dict[str, list[str]] = {}
    sizes: collections.Counter[str] = collections.Counter()
    pixels = np.zeros(len(classes), np.int64)
    labelled = 0
    for path in paths:
        names = shards.setdefault(os.path.basename(path), [])
        dataset = pipeline.make_image_dataset([path])
        for example in read_all(dataset, "source_records", [path]):
            names.append(example.filename.decode())
            height, width, _ = example.image.shape
            sizes[f"{height}x{width}"] += 1
            counts = np.bincount(example.label.ravel(), minlength=256)
            pixels += counts[: len(classes)]
            labelled += bool(counts[: len(classes)].any())
    shares = pixels / max(pixels.sum(), 1)
    return SplitSummary(
        dataset=records.split_of(paths[0]),
        split=split,
        shards=shards,
        image_sizes=dict(sizes),
        labelled=labelled,
        class_pixel_shares=(
            dict(zip(classes.names, shares.tolist(), strict=True))
            if labelled
            else {}
        ),
        classes=classes,
    )


def _shapes(example: tuple) -> list[tuple[int, ...]]:
    return [np.shape(field) for field in example]


def _stack(examples: list) -> Any:
    columns = zip(*examples, strict=True)
    return type(examples[0])(*(np.stack(column) for column in columns))
