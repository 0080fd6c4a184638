"""What all feature extractors share: their settings and the gathering."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kliep_tf.data import images, records
from kliep_tf.data.features import Features
from kliep_tf.data.reading import read_all
from kliep_tf.errors import UserError
from kliep_tf.progress import ProgressBar


@dataclasses.dataclass(frozen=True)
class ExtractionSettings:
    """What an extractor may need besides the examples.

    Attributes:
        flag: the flag that named the records, for messages.
        segmenter: uint8 [N, H, W, 3] to float32 probabilities [N, H, W, 19].
        embedder: an `embedding.Embedder`.
        image_size: (height, width) at which a network works.
        batch_size: images passed to a network at once.
    """

    flag: str = "records"
    segmenter: Callable[[tf.Tensor], tf.Tensor] | None = None
    embedder: Any = None
    image_size: tuple[int, int] = (128, 256)
    batch_size: int = 16


# A parsed example (records.parse_example): nothing is decoded yet.
Example = dict[str, tf.Tensor]

# (dataset of Examples, not batched; their number; settings) -> Features
Extractor = Callable[[tf.data.Dataset, int, ExtractionSettings], Features]


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

    Decoding belongs into `load`, which runs in parallel and ahead; what an
    extractor does not look at is so never decoded.

    Args:
        examples: dataset of Examples.
        load: to a tensor of the same shape for every example.
        compute: to [B, d], outside of the graph.
        names: [d], of the columns.
        num_examples: that are expected.
        settings: of the extractor.
        batch_size: of `compute`.

    Raises:
        UserError: the number of examples is another one, or one is damaged.
    """

    def prepare(example: Example) -> tuple[tf.Tensor, tf.Tensor]:
        return example[records.FILENAME], load(example)

    dataset = examples.map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.batch(batch_size).prefetch(2)
    filenames: list[str] = []
    values: list[np.ndarray] = []
    with ProgressBar(num_examples, "features", "image") as bar:
        for batch_names, batch in read_all(dataset, settings.flag):
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
