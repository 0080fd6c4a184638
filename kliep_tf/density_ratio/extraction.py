"""What all feature extractors share: their record, settings, the extraction.

An extractor describes an image by a short vector. It reads examples one at a
time or in small batches, so that only the features stay in memory and images
may have any sizes.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kliep_tf.data import images, records
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES, ClassSet
from kliep_tf.data.features import Features
from kliep_tf.data.reading import read_all
from kliep_tf.errors import UserError
from kliep_tf.progress import ProgressBar

# A parsed example (records.parse_example): nothing is decoded yet.
Example = dict[str, tf.Tensor]
# Of a batch of images, uint8 [N, H, W, 3].
Network = Callable[[tf.Tensor], tf.Tensor]
ImageSize = tuple[int, int]  # height, width

LABELS_OF_BOTH = "labels of both domains"


@dataclasses.dataclass(frozen=True)
class ExtractionSettings:
    """What an extractor may need besides the examples.

    Attributes:
        flag: the flag that named the records, for messages.
        network: what the extractor's `prepare` returned.
        image_size: (height, width) at which a network works.
        classes: what the train ids of the labels, or of a segmenter, mean.
        batch_size: images passed to a network at once.
        paths: the shards of the examples, for messages.
    """

    flag: str = "records"
    network: Any = None
    image_size: ImageSize = (128, 256)
    classes: ClassSet = CITYSCAPES_CLASSES
    batch_size: int = 16
    paths: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What a program offers to extractors; each takes what it needs.

    Attributes:
        shards: of both domains, by the flag that named them.
        segmenter: returns a segmenter for images of a size, uint8
            [N, H, W, 3] to float32 probabilities [N, H, W, C]. It may take
            long: nothing is loaded or trained before.
        embedding_weights: a local file, or "".
        embedding_backbone: one of `embedding.BACKBONES`.
    """

    shards: Mapping[str, Sequence[str]] = dataclasses.field(
        default_factory=dict
    )
    segmenter: Callable[[ImageSize], Network] | None = None
    embedding_weights: str = ""
    embedding_backbone: str = "mobilenet_v2"


def _accept(inputs: Inputs) -> None:
    """Accepts any inputs."""


def _no_network(inputs: Inputs, image_size: ImageSize) -> None:
    """Loads nothing."""


@dataclasses.dataclass(frozen=True)
class Extractor:
    """One kind of features; to add a kind, make one such record.

    Attributes:
        name: as the flag --features has it.
        needs: what must be there, in a few words.
        scaling: the `scaling.SCALINGS` that suits it.
        extract: function of the examples (not batched), their number, and
            settings.
        check: raises a UserError, before anything is read or written, where
            the inputs lack what it needs.
        prepare: loads the network for `ExtractionSettings.network`.
    """

    name: str
    needs: str
    scaling: str
    extract: Callable[[tf.data.Dataset, int, ExtractionSettings], Features]
    check: Callable[[Inputs], None] = _accept
    prepare: Callable[[Inputs, ImageSize], Any] = _no_network

    @property
    def of_labels(self) -> bool:
        """Whether it reads the labels, of both domains."""
        return self.needs == LABELS_OF_BOTH


def decode_resized(example: Example, size: tuple[int, int]) -> tf.Tensor:
    """Returns the image as uint8 [*size, 3]."""
    return images.resize_image(
        images.decode_image(example[records.ENCODED]), size
    )


def extract_each(
    examples: tf.data.Dataset,
    load: Callable[[Example], tf.Tensor],
    compute: Callable[[np.ndarray, np.ndarray], np.ndarray],
    names: Sequence[str],
    num_examples: int,
    settings: ExtractionSettings,
    batch_size: int,
) -> Features:
    """Gathers compute(batch of load(example), filenames [B]), with progress.

    Decode in `load`, which runs in parallel and ahead of `compute`. What it
    does not decode costs nothing. Batches end with their shard: the same comes
    out where each shard is extracted apart.

    Args:
        examples: dataset of Examples.
        load: to a tensor of the same shape for every example; its branches on
            tensors, if any, are tf.cond, since Autograph is off.
        compute: to [B, d], outside of the graph.
        names: [d], of the columns.
        num_examples: that are expected.
        settings: of the extractor.
        batch_size: of `compute`.

    Raises:
        UserError: the number of examples is another one, or one is damaged.
    """

    @records.unconverted
    def prepare(example: Example) -> tuple[tf.Tensor, ...]:
        shard = example.get(records.SHARD, "")
        return shard, example[records.FILENAME], load(example)

    dataset = examples.map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.batch(batch_size).prefetch(2)
    filenames: list[str] = []
    values: list[np.ndarray] = []
    with ProgressBar(num_examples, "features", "image") as bar:
        batches = read_all(dataset, settings.flag, settings.paths)
        for batch_names, batch in _within_shards(batches, batch_size):
            found = compute(batch, batch_names)
            values.append(np.asarray(found, np.float32))
            filenames.extend(name.decode() for name in batch_names)
            bar.update(len(batch_names))
    if len(filenames) != num_examples:
        raise UserError(
            f"--{settings.flag}: expected {num_examples} examples, found "
            f"{len(filenames)}; have the records changed?"
        )
    return Features(
        np.asarray(filenames), np.concatenate(values), np.asarray(names)
    )


def _within_shards(
    batches: Iterator[tuple[np.ndarray, ...]], batch_size: int
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yields (filenames, values) in batches that end with their shard.

    Args:
        batches: of shards [B], filenames [B] and values [B, ...].
        batch_size: of what is yielded, at most.
    """
    waiting: list[tuple[np.ndarray, ...]] = []  # of one shard

    def join() -> tuple[np.ndarray, ...]:
        return tuple(map(np.concatenate, zip(*waiting, strict=True)))

    for batch in batches:
        shards = batch[0]
        cuts = np.flatnonzero(shards[1:] != shards[:-1]) + 1
        columns = (np.split(column, cuts) for column in batch)
        for part in zip(*columns, strict=True):
            if waiting and waiting[0][0][0] != part[0][0]:
                yield join()[1:]
                waiting = []
            waiting.append(part)
            if sum(len(some[0]) for some in waiting) < batch_size:
                continue
            joined = join()
            yield tuple(column[:batch_size] for column in joined[1:])
            rest = tuple(column[batch_size:] for column in joined)
            waiting = [rest] if len(rest[0]) else []
    if waiting:
        yield join()[1:]
