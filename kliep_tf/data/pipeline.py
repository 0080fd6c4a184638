"""tf.data pipelines over records: in order for reading, shuffled for training.

A training stream is a function of (seed, position): position p of epoch e is
entry p of the e-th seeded permutation of the dataset, and its augmentation is
seeded by p alone. So a run that continues at step k reads on where it stopped,
and the number of parallel calls changes nothing.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn

import numpy as np
import tensorflow as tf

from kliep_tf.data import images, records
from kliep_tf.data.augmentation import Augmentation
from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.index import RecordIndex
from kliep_tf.data.labels import read_label
from kliep_tf.data.summaries import class_set_of
from kliep_tf.errors import DataError

_AUTOTUNE = tf.data.AUTOTUNE
# Independent random streams of one seed.
_SOURCE_STREAM, _TARGET_STREAM = 0, 1


# A parsed example: see `records.parse_example`.
Example = Mapping[str, tf.Tensor]
# (example, its weight, int [2] seed) -> what a training reads of it.
Load = Callable[[Example, tf.Tensor, tf.Tensor], tuple[tf.Tensor, ...]]


class LabelledImages(NamedTuple):
    """Examples as read; batched, each tensor gains a leading [B]."""

    image: tf.Tensor  # uint8 [H, W, 3]
    label: tf.Tensor  # uint8 [H, W, 1] train ids; ignored where unlabelled
    filename: tf.Tensor  # string []
    weight: tf.Tensor  # float32 [], NaN where none is attached


class UnpairedBatch(NamedTuple):
    """One training step's input: B images of each domain and their weights."""

    source: tf.Tensor  # float32 [B, H, W, 3] in [-1, 1]
    source_weight: tf.Tensor  # float32 [B]
    target: tf.Tensor  # float32 [B, H, W, 3] in [-1, 1]
    target_weight: tf.Tensor  # float32 [B]


class LabelledUnpairedBatch(NamedTuple):
    """An UnpairedBatch, its fields first, and the labels of the source."""

    source: tf.Tensor  # float32 [B, H, W, 3] in [-1, 1]
    source_weight: tf.Tensor  # float32 [B]
    target: tf.Tensor  # float32 [B, H, W, 3] in [-1, 1]
    target_weight: tf.Tensor  # float32 [B]
    source_label: tf.Tensor  # uint8 [B, H, W, 1], augmented as the images are


def make_image_dataset(paths: Sequence[str]) -> tf.data.Dataset:
    """Returns every example once, in the order of the records.

    Args:
        paths: the shards.

    Returns:
        A dataset of LabelledImages of the stored sizes, not batched.
    """

    classes = class_set_of(paths)

    @records.unconverted
    def load(serialized: tf.Tensor, shard: tf.Tensor) -> LabelledImages:
        return _decode(records.parse_example(serialized, shard), classes)

    dataset = records.shard_dataset(paths)
    return dataset.map(load, num_parallel_calls=_AUTOTUNE).prefetch(_AUTOTUNE)


def make_labelled_dataset(
    index: RecordIndex,
    augmentation: Augmentation,
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    example_weights: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Returns endless shuffled batches of images with labels.

    Returns:
        A dataset of (float32 [B, H, W, 3] in [-1, 1], uint8 [B, H, W, 1]) and,
        where `example_weights` [N] are given, theirs too: float32 [B].
    """

    def load(
        example: Example, weight: tf.Tensor, position_seed: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        read = _decode(example, index.classes)
        image, label = augmentation(read.image, read.label, position_seed)
        image = images.to_float(image)
        return (
            (image, label)
            if example_weights is None
            else (image, label, weight)
        )

    stream = _training_stream(
        index,
        np.ones(len(index)) if example_weights is None else example_weights,
        load,
        seed=(seed, _SOURCE_STREAM),
        start=start_step * batch_size,
    )
    return stream.batch(batch_size, drop_remainder=True).prefetch(_AUTOTUNE)


def make_unpaired_dataset(
    source: RecordIndex,
    target: RecordIndex,
    augmentation: Augmentation,
    *,
    source_weights: np.ndarray,
    target_weights: np.ndarray,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    share: tuple[int, int] = (0, 1),
    num_parallel_calls: int = _AUTOTUNE,
    with_source_labels: bool = False,
    target_augmentation: Augmentation | None = None,
) -> tf.data.Dataset:
    """Returns endless batches that pair the domains at random.

    Each domain has its own shuffle and its own epochs: every image is seen
    once before any is seen again.

    Args:
        source: examples of the source domain.
        target: examples of the target domain.
        augmentation: of both domains.
        source_weights: float32 [N_s], aligned with `source`.
        target_weights: float32 [N_t], aligned with `target`.
        batch_size: images of each domain in a batch, over all replicas.
        seed: of the shuffles and the augmentation.
        start_step: batches to skip; costs nothing.
        share: (i, n) reads the i-th of n equal parts of every batch and
            nothing else; n must divide the batch.
        num_parallel_calls: images of a domain read at once; changes nothing
            but the speed.
        with_source_labels: read the labels of the source images, too.
        target_augmentation: of the target, where it is not the source's.

    Returns:
        A dataset of UnpairedBatch, or of LabelledUnpairedBatch with the
        source's labels, of batch_size / n images a domain.
    """
    part, num_parts = share
    own_size = batch_size // num_parts

    def loader(augmentation: Augmentation) -> Load:
        def load(
            example: Example, weight: tf.Tensor, position_seed: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            image = images.decode_image(example[records.ENCODED])
            image, _ = augmentation(image, None, position_seed)
            return images.to_float(image), weight

        return load

    def load_labelled(
        example: Example, weight: tf.Tensor, position_seed: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        read = _decode(example, source.classes)
        image, label = augmentation(read.image, read.label, position_seed)
        return images.to_float(image), weight, label

    def stream(
        index: RecordIndex,
        weights: np.ndarray,
        number: int,
        load: Load,
    ) -> tf.data.Dataset:
        return _training_stream(
            index,
            weights,
            load,
            seed=(seed, number),
            start=start_step * batch_size,
            wanted=lambda position: position % batch_size // own_size == part,
            num_parallel_calls=num_parallel_calls,
        )

    pairs = tf.data.Dataset.zip(
        stream(
            source,
            source_weights,
            _SOURCE_STREAM,
            load_labelled if with_source_labels else loader(augmentation),
        ),
        stream(
            target,
            target_weights,
            _TARGET_STREAM,
            loader(target_augmentation or augmentation),
        ),
    )
    batches = pairs.batch(own_size, drop_remainder=True)

    @records.unconverted
    def paired(source: tuple, target: tuple) -> tuple:
        (image, weight, *label), (other_image, other_weight) = source, target
        domains = (image, weight, other_image, other_weight)
        if with_source_labels:
            return LabelledUnpairedBatch(*domains, *label)
        return UnpairedBatch(*domains)

    return batches.map(paired).prefetch(_AUTOTUNE)


def filenames_of_step(
    *indices: RecordIndex, batch_size: int, seed: int, step: int
) -> list[list[str]]:
    """Returns, an index each, the examples of one step's global batch.

    No image is read: the order is a function of (seed, position).

    Args:
        indices: source and target, as given to make_unpaired_dataset, or the
            one of make_labelled_dataset.
        batch_size: likewise.
        seed: likewise.
        step: counted from 1, as in a run's messages.
    """
    positions = range((step - 1) * batch_size, step * batch_size)

    def names(index: RecordIndex, stream: int) -> list[str]:
        row_at = _shuffled_rows(len(index), (seed, stream))
        return [str(index.filenames[row_at(place)]) for place in positions]

    streams = (_SOURCE_STREAM, _TARGET_STREAM)
    return [names(*pair) for pair in zip(indices, streams, strict=False)]


def _training_stream(
    index: RecordIndex,
    weights: np.ndarray,
    load: Load,
    *,
    seed: tuple[int, int],
    start: int,
    wanted: Callable[[tf.Tensor], tf.Tensor] | None = None,
    num_parallel_calls: int = _AUTOTUNE,
) -> tf.data.Dataset:
    """Returns load(example, weight, seed [2]) from position `start` on."""
    row_at = _shuffled_rows(len(index), seed)
    weights = np.asarray(weights, np.float32)

    def read(position: np.ndarray) -> tuple[bytes, bytes, bytes, np.float32]:
        row = row_at(int(position))
        path = index.paths[index.shards[row]]
        name = str(index.filenames[row]).encode()
        return index.read(row), path.encode(), name, weights[row]

    stream_seed = int(np.random.SeedSequence(seed).generate_state(1)[0] >> 1)

    @records.unconverted
    def at(position: tf.Tensor) -> tuple[tf.Tensor, ...]:
        types = (tf.string, tf.string, tf.string, tf.float32)
        serialized, shard, name, weight = (
            tf.ensure_shape(tensor, [])
            for tensor in tf.numpy_function(
                read, [position], types, stateful=False
            )
        )
        seed = tf.stack([tf.constant(stream_seed, tf.int64), position])
        example = records.parse_example(serialized, shard)
        found = example[records.FILENAME]
        # The weight is that of the name in the index.
        tf.cond(
            tf.equal(found, name),
            lambda: tf.constant(0),
            lambda: tf.numpy_function(
                _refuse_name, [shard, name, found], tf.int32
            ),
        )
        return load(example, weight, seed)

    positions = tf.data.Dataset.range(start, np.iinfo(np.int64).max)
    if wanted is not None:
        positions = positions.filter(records.unconverted(wanted))
    return positions.map(
        at, num_parallel_calls=num_parallel_calls, deterministic=True
    )


def _refuse_name(shard: bytes, listed: bytes, found: bytes) -> NoReturn:
    raise DataError(
        f"{shard.decode()}: expected the examples that dataset.json lists, "
        f"{listed.decode()!r} among them, found {found.decode()!r} in its place"
    )


def _shuffled_rows(number: int, seed: tuple[int, int]) -> Callable[[int], int]:
    """Returns the function from a position to the row that is read there."""

    @functools.lru_cache(maxsize=2)  # an epoch and, at its end, the next
    def permutation(epoch: int) -> np.ndarray:
        return np.random.default_rng([*seed, epoch]).permutation(number)

    def row_at(position: int) -> int:
        epoch, rank = divmod(position, number)
        return permutation(epoch)[rank]

    return row_at


def _decode(example: Example, classes: ClassSet) -> LabelledImages:
    image = images.decode_image(example[records.ENCODED])
    label = read_label(example, classes, tf.shape(image)[:2])
    return LabelledImages(
        image,
        label,
        example[records.FILENAME],
        example[records.IMPORTANCE_WEIGHT],
    )
