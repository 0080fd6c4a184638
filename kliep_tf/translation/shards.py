"""Translates whole shards by a SavedModel: decode, translate, encode."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kliep_tf.data import images, labels, reading, records
from kliep_tf.data.class_sets import ClassSet
from kliep_tf.errors import DataError, UserError
from kliep_tf.ordered_map import ordered_map
from kliep_tf.training import saved_models
from kliep_tf.translation.exporting import encode_png

_WHOLE, _TILED = "translate_uint8", "translate_uint8_tiled"
_JPEG_QUALITY = 95
# Encoding runs in threads beside the network; more waiting images than this
# would only cost memory.
_IN_FLIGHT = 17


@dataclasses.dataclass(frozen=True)
class TranslatedImage:
    """One translated example.

    Attributes:
        filename: of the example.
        serialized: the example as it was.
        pixels: uint8 [H, W, 3], translated.
        encoded: the translated image in the format asked for.
    """

    filename: str
    serialized: bytes
    pixels: np.ndarray
    encoded: bytes

    def decode_label(self, classes: ClassSet, shard: str) -> np.ndarray | None:
        """Returns the label, uint8 [H, W] of train ids, or None.

        Args:
            classes: whose train ids it may hold.
            shard: path of the example's shard, for messages.

        Raises:
            UserError: it cannot be decoded, or is none of this image.
        """
        encoded = records.parse_example(self.serialized)[records.LABEL_ENCODED]
        try:
            return labels.decode_label(
                encoded.numpy(),
                classes,
                self.pixels.shape[:2],
                (shard, self.filename),
            )
        except tf.errors.InvalidArgumentError as error:
            raise DataError(
                f"{shard}, {self.filename!r}: expected a label in PNG, found "
                f"{len(encoded.numpy())} bytes that cannot be decoded"
            ) from error

    def as_png(self, image_format: str) -> bytes:
        """Returns the image as PNG: `encoded`, if that is its format."""
        if image_format == "png":
            return self.encoded
        return encode_png(self.pixels).numpy()


class Translator:
    """Translates shards with one SavedModel."""

    def __init__(
        self, saved_model: tf.Module, batch_size: int, tile_height: int
    ):
        """Takes a loaded SavedModel; keeps it alive as long as itself."""
        self._saved_model = saved_model
        self._batch_size = batch_size
        self._options = {}
        if tile_height:
            self._options["tile_height"] = tf.constant(tile_height)
        signature = _signature(tile_height)
        self._translate = saved_model.signatures[signature]

    def translate_shard(
        self, path: str, image_format: str
    ) -> Iterator[TranslatedImage]:
        """Yields every example of a shard, in order.

        Args:
            path: the shard.
            image_format: "png" or "jpeg".
        """
        encode = _encoder(image_format)

        def finish(part: tuple[TranslatedImage, bytes]) -> TranslatedImage:
            image, serialized = part
            encoded = encode(image.pixels).numpy()
            return dataclasses.replace(
                image, serialized=serialized, encoded=encoded
            )

        parts = zip(
            self._translate_images(path), records.read_shard(path), strict=True
        )
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield from ordered_map(pool, finish, parts, _IN_FLIGHT)

    def _translate_images(self, path: str) -> Iterator[TranslatedImage]:
        examples = reading.read_all(
            _named_images(path), "source_records", [path]
        )
        for batch in reading.equal_size_batches(examples, self._batch_size):
            pixels = tf.constant(batch.image)
            translated = self._translate(images=pixels, **self._options)
            rows = zip(
                translated["translated"].numpy(), batch.filename, strict=True
            )
            for pixels, filename in rows:
                yield TranslatedImage(
                    filename=filename.decode(),
                    serialized=b"",
                    pixels=pixels,
                    encoded=b"",
                )


def load_translator(
    path: str, batch_size: int, tile_height: int = 0
) -> Translator:
    """Returns the translator of a SavedModel written by train or export.

    Args:
        path: the SavedModel's directory.
        batch_size: images of equal size translated at once.
        tile_height: rows of a tile; 0 translates images whole.

    Raises:
        UserError: the directory holds no SavedModel, or one that does not
            translate images.
    """
    saved_model = saved_models.load(path, "saved_model")
    signature = _signature(tile_height)
    if signature not in saved_model.signatures:
        raise UserError(_without_signature(path, saved_model, tile_height))
    return Translator(saved_model, batch_size, tile_height)


class _NamedImage(NamedTuple):
    image: tf.Tensor  # uint8 [H, W, 3]
    filename: tf.Tensor  # string []


def _named_images(path: str) -> tf.data.Dataset:
    def decode(example: dict[str, tf.Tensor]) -> _NamedImage:
        image = images.decode_image(example[records.ENCODED])
        return _NamedImage(image, example[records.FILENAME])

    dataset = reading.make_example_dataset([path])
    dataset = dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.prefetch(tf.data.AUTOTUNE)


def _without_signature(
    path: str, saved_model: tf.Module, tile_height: int
) -> str:
    found = ", ".join(sorted(saved_model.signatures)) or "none"
    if tile_height and _WHOLE in saved_model.signatures:
        return (
            f"--tile_height={tile_height}: expected the signature {_TILED} in "
            f"--saved_model={path}, found {found}; this generator does not "
            "translate in tiles: leave --tile_height out"
        )
    return (
        f"--saved_model={path}: expected the signature "
        f"{_signature(tile_height)}, found {found}"
    )


def _signature(tile_height: int) -> str:
    return _TILED if tile_height else _WHOLE


def _encoder(image_format: str) -> Callable[[tf.Tensor], tf.Tensor]:
    if image_format == "jpeg":
        return lambda pixels: tf.io.encode_jpeg(pixels, quality=_JPEG_QUALITY)
    return encode_png
