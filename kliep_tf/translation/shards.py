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
from kliep_tf.translation.remade import RemadeGenerator, remake

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


@dataclasses.dataclass(frozen=True)
class Manner:
    """How a SavedModel is called; the images are the same up to rounding.

    Attributes:
        batch_size: images of equal size translated at once.
        tile_height: rows of a tile; 0 translates images whole.
        precision: one of `remade.PRECISIONS`, of the activations.
        sizes: (height, width) of images for which the generator is made anew,
            where it is known how.
    """

    batch_size: int = 1
    tile_height: int = 0
    precision: str = "float32"
    sizes: frozenset[tuple[int, int]] = frozenset()


class Translator:
    """Translates shards with one SavedModel."""

    def __init__(
        self,
        saved_model: tf.Module,
        manner: Manner,
        remade: RemadeGenerator | None = None,
    ):
        """Takes a loaded SavedModel; keeps it alive as long as itself.

        Args:
            saved_model: with the signature that the manner asks for.
            manner: how it is called.
            remade: its generator, made anew.
        """
        self._saved_model = saved_model
        self._manner = manner
        self._remade = remade

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
        batch_size = self._manner.batch_size
        for batch in reading.equal_size_batches(examples, batch_size):
            translated = self._translate(batch.image)
            rows = zip(translated, batch.filename, strict=True)
            for pixels, filename in rows:
                yield TranslatedImage(
                    filename=filename.decode(),
                    serialized=b"",
                    pixels=pixels,
                    encoded=b"",
                )

    def _translate(self, pixels: np.ndarray) -> np.ndarray:
        """Translates uint8 [N, H, W, 3]."""
        manner = self._manner
        in_float32 = manner.precision == "float32"
        if self._remade is None or (
            in_float32 and pixels.shape[1:3] not in manner.sizes
        ):
            options = {}
            if manner.tile_height:
                options["tile_height"] = tf.constant(manner.tile_height)
            signature = self._saved_model.signatures[
                _signature(manner.tile_height)
            ]
            found = signature(images=tf.constant(pixels), **options)
            return found["translated"].numpy()
        # A batch that is cut short, of any number, would be traced anew.
        whole = len(pixels) == manner.batch_size
        batches = [pixels] if whole else np.split(pixels, len(pixels))
        translated = [
            self._remade(tf.constant(batch)).numpy() for batch in batches
        ]
        return np.concatenate(translated)


def load_translator(path: str, manner: Manner = Manner()) -> Translator:
    """Returns the translator of a SavedModel written by train or export.

    Args:
        path: the SavedModel's directory.
        manner: how it is called.

    Raises:
        UserError: the directory holds no SavedModel, or one that does not
            translate images in this manner.
    """
    saved_model = saved_models.load(path, "saved_model")
    signature = _signature(manner.tile_height)
    if signature not in saved_model.signatures:
        raise UserError(
            _without_signature(path, saved_model, manner.tile_height)
        )
    in_float32 = manner.precision == "float32"
    if manner.tile_height or (in_float32 and not manner.sizes):
        return Translator(saved_model, manner)
    remade = remake(saved_model, manner.precision)
    if remade is None and not in_float32:
        raise UserError(
            f"--precision={manner.precision}: expected a generator of "
            f"CycleGAN's in --saved_model={path}, found another network; "
            "leave --precision out"
        )
    return Translator(saved_model, manner, remade)


class _NamedImage(NamedTuple):
    image: tf.Tensor  # uint8 [H, W, 3]
    filename: tf.Tensor  # string []


def _named_images(path: str) -> tf.data.Dataset:
    @records.unconverted
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
