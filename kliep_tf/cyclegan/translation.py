"""A whole shard through a SavedModel: decode, translate, encode, in order."""

import collections
import dataclasses
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from kliep_tf.cyclegan.exporting import encode_png
from kliep_tf.data import pipeline, reading, records
from kliep_tf.data.datasets import IGNORE_LABEL
from kliep_tf.errors import UserError

_SIGNATURE = "translate_uint8"
_JPEG_QUALITY = 95
# Encoding runs in threads beside the network; more waiting images than this
# would only cost memory.
_MAX_WAITING = 16


@dataclasses.dataclass(frozen=True)
class TranslatedImage:
    """One translated example.

    Attributes:
        filename: of the example.
        serialized: the example as it was.
        pixels: uint8 [H, W, 3], translated.
        label: uint8 [H, W] train ids, or None.
        encoded: the translated image in the format asked for.
    """

    filename: str
    serialized: bytes
    pixels: np.ndarray
    label: np.ndarray | None
    encoded: bytes

    def as_png(self, image_format: str) -> bytes:
        """Returns the image as PNG: `encoded`, if that is its format."""
        if image_format == "png":
            return self.encoded
        return encode_png(self.pixels).numpy()


class Translator:
    """Translates shards with one SavedModel."""

    def __init__(self, saved_model: tf.Module, batch_size: int):
        """Takes a loaded SavedModel; keeps it alive as long as itself."""
        self._saved_model = saved_model
        self._translate = saved_model.signatures[_SIGNATURE]
        self._batch_size = batch_size

    def translate_shard(
        self, path: str, image_format: str
    ) -> Iterator[TranslatedImage]:
        """Yields every example of a shard, in order.

        Args:
            path: the shard.
            image_format: "png" or "jpeg".
        """
        encode = _encoder(image_format)
        serialized = records.read_shard(path)
        waiting: collections.deque[tuple[TranslatedImage, Future]] = (
            collections.deque()
        )
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for image in self._translate_images(path):
                image = dataclasses.replace(image, serialized=next(serialized))
                waiting.append((image, pool.submit(encode, image.pixels)))
                while len(waiting) > _MAX_WAITING:
                    yield _encoded(*waiting.popleft())
            while waiting:
                yield _encoded(*waiting.popleft())

    def _translate_images(self, path: str) -> Iterator[TranslatedImage]:
        dataset = pipeline.make_image_dataset([path])
        examples = reading.read_all(dataset, "source_records")
        for batch in reading.equal_size_batches(examples, self._batch_size):
            images = tf.constant(batch.image)
            translated = self._translate(images=images)["translated"].numpy()
            rows = zip(translated, batch.label, batch.filename, strict=True)
            for pixels, label, filename in rows:
                labelled = (label != IGNORE_LABEL).any()
                yield TranslatedImage(
                    filename=filename.decode(),
                    serialized=b"",
                    pixels=pixels,
                    label=label[:, :, 0] if labelled else None,
                    encoded=b"",
                )


def load_translator(path: str, batch_size: int) -> Translator:
    """Returns the translator of a SavedModel written by train or export.

    Raises:
        UserError: the directory holds no SavedModel, or one that does not
            translate images.
    """
    try:
        saved_model = tf.saved_model.load(path)
    except OSError as error:
        raise UserError(
            f"--saved_model={path}: expected a SavedModel, found none"
        ) from error
    if _SIGNATURE not in saved_model.signatures:
        found = ", ".join(sorted(saved_model.signatures)) or "none"
        raise UserError(
            f"--saved_model={path}: expected the signature {_SIGNATURE}, found "
            f"{found}"
        )
    return Translator(saved_model, batch_size)


def _encoder(image_format: str):
    if image_format == "jpeg":
        return lambda pixels: tf.io.encode_jpeg(pixels, quality=_JPEG_QUALITY)
    return encode_png


def _encoded(image: TranslatedImage, encoded: Future) -> TranslatedImage:
    return dataclasses.replace(image, encoded=encoded.result().numpy())
