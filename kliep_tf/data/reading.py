"""Reading records once, in order: checks, equal batches, clear errors."""

import collections
import contextlib
import os
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from kliep_tf.data import pipeline, records
from kliep_tf.data.index import RecordIndex
from kliep_tf.data.summaries import (
    SplitSummary,
    class_set_of,
    read_shard_summaries,
    read_summary,
)
from kliep_tf.errors import UserError


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

    dataset.json knows all examples; without it the first example decides.

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
    example = next(
        (example for path in paths for example in records.read_shard(path)),
        None,
    )
    if example is None:
        return
    features = tf.train.Example.FromString(example).features.feature
    if not features[records.LABEL_ENCODED].bytes_list.value:
        found = features[records.FILENAME].bytes_list.value
        name = found[0].decode() if found else paths[0]
        raise UserError(
            f"--{flag}: expected labelled examples, found none under "
            f"{records.LABEL_ENCODED} in {name!r}"
        )


def has_labels(paths: Sequence[str]) -> bool:
    """Whether the records are labelled, as far as `require_labels` can see."""
    try:
        require_labels(paths, "")
    except UserError:
        return False
    return True


def summarize_split(paths: Sequence[str], split: str) -> SplitSummary:
    """Returns the summary in dataset.json, or one made by reading every record.

    Args:
        paths: the shards of one split, in one directory.
        split: their prefix.
    """
    known = read_summary(os.path.dirname(paths[0]), split)
    return known or _read_split(paths, split)


def read_all(dataset: tf.data.Dataset, flag: str) -> Iterator:
    """Yields a dataset's elements as NumPy arrays.

    Raises:
        UserError: a record is damaged, or an image or label in it cannot be
            decoded.
    """
    elements = dataset.as_numpy_iterator()
    position = 0
    while True:
        try:
            element = next(elements)
        except StopIteration:
            return
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as e:
            reason = e.message.strip().splitlines()[0]
            raise UserError(
                f"--{flag}: expected readable examples, found a damaged one "
                f"after {position} elements ({reason})"
            ) from e
        yield element
        position += 1


@contextlib.contextmanager
def readable(index: RecordIndex, row: int) -> Iterator[None]:
    """Turns TensorFlow's error for a damaged example into a UserError.

    Within, one example of an index is parsed and decoded.
    """
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        path = index.paths[index.shards[row]]
        raise UserError(
            f"{path}: expected readable examples, found a damaged one, "
            f"{str(index.filenames[row])!r} "
            f"({error.message.strip().splitlines()[0]})"
        ) from error


def equal_size_batches(examples: Iterator, batch_size: int) -> Iterator:
    """Yields batches of consecutive examples, the order kept.

    A batch is cut short where the next image, or its label, has another size.

    Args:
        examples: of one NamedTuple of NumPy arrays, such as LabelledImages.
        batch_size: images in a batch, at most.
    """
    waiting = []
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


def _read_split(paths: Sequence[str], split: str) -> SplitSummary:
    classes = class_set_of(paths)
    shards: dict[str, list[str]] = {}
    sizes: collections.Counter[str] = collections.Counter()
    pixels = np.zeros(len(classes), np.int64)
    labelled = 0
    for path in paths:
        names = shards.setdefault(os.path.basename(path), [])
        dataset = pipeline.make_image_dataset([path])
        for example in read_all(dataset, "source_records"):
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


def _stack(examples: list):
    columns = zip(*examples, strict=True)
    return type(examples[0])(*(np.stack(column) for column in columns))
