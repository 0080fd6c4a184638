"""SavedModels of generators, which need nothing of this library."""

import os
from collections.abc import Callable

import keras
import tensorflow as tf

from kliep_tf.data import images
from kliep_tf.training.saved_models import write_archive
from kliep_tf.translation.method import (
    ExportableGenerator,
    Generator,
    ImageSizes,
)

# zlib's level 1: a sixth of the default's time for some 15 % more bytes.
_PNG_COMPRESSION = 1


def write_saved_model(
    generator: ExportableGenerator, directory: str | os.PathLike
) -> None:
    """Writes the generator into `directory` as a SavedModel.

    Signatures, for any height and width:

    - serving_default: image_bytes, string [N], PNG or JPEG, to
      translated_bytes, string [N], PNG. TensorFlow Serving's REST takes and
      gives names that end in _bytes as {"b64": ...}.
    - translate_uint8: images, uint8 [N, H, W, 3], to translated, the same.
    - translate_uint8_tiled: the same of images and tile_height, int32 [], in
      less memory; only if the generator can be tiled.
    - translate_float: images, float32 [N, H, W, 3] in [-1, 1], to translated,
      the same.
    """
    archive = keras.export.ExportArchive()
    archive.track(generator.network)
    for name, (function, inputs) in _endpoints(generator).items():
        # Keras traces an endpoint and TensorFlow its signature: each then
        # only calls what is traced here, once.
        traced = tf.function(function, input_signature=inputs, autograph=False)
        archive.add_endpoint(name, traced.get_concrete_function(), inputs)
    write_archive(archive, directory)


def encode_png(image: tf.Tensor) -> tf.Tensor:
    """Encodes uint8 [H, W, C] as PNG, fast rather than small."""
    return tf.raw_ops.EncodePng(image=image, compression=_PNG_COMPRESSION)


def translate_pixels(
    translate: Generator, sizes: ImageSizes, pixels: tf.Tensor
) -> tf.Tensor:
    """Translates uint8 [N, H, W, 3] of any size by a generator of some."""
    floats = images.to_float(pixels)
    return images.to_uint8(_translate_any_size(translate, sizes, floats))


def _endpoints(
    generator: ExportableGenerator,
) -> dict[str, tuple[Callable, list[tf.TensorSpec]]]:
    """Returns each signature's function and inputs."""
    sizes = generator.sizes

    # Traced once; the signatures call it.
    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, 3])], autograph=False
    )
    def translate(images: tf.Tensor) -> tf.Tensor:
        return generator.network(images, training=False)

    def translate_float(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"translated": _translate_any_size(translate, sizes, images)}

    def translate_uint8(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"translated": translate_pixels(translate, sizes, images)}

    def translate_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        def translate_one(encoded: tf.Tensor) -> tf.Tensor:
            image = images.decode_image(encoded)
            translated = translate_pixels(translate, sizes, image[None])
            return encode_png(translated[0])

        return {"translated_bytes": _one_by_one(translate_one, image_bytes)}

    pixels = tf.TensorSpec([None, None, None, 3], tf.uint8, "images")
    floats = tf.TensorSpec(pixels.shape, tf.float32, "images")
    encoded = tf.TensorSpec([None], tf.string, "image_bytes")
    endpoints: dict[str, tuple[Callable, list[tf.TensorSpec]]] = {
        "serving_default": (translate_bytes, [encoded]),
        "translate_uint8": (translate_uint8, [pixels]),
        "translate_float": (translate_float, [floats]),
    }
    if generator.tiled is not None:
        rows = tf.TensorSpec([], tf.int32, "tile_height")
        tiled = _tiled_endpoint(generator.tiled, sizes)
        endpoints["translate_uint8_tiled"] = (tiled, [pixels, rows])
    return endpoints


def _tiled_endpoint(
    tiled: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], sizes: ImageSizes
) -> Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]:
    def translate_uint8_tiled(
        images: tf.Tensor, tile_height: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        tf.debugging.assert_positive(tile_height, "expected a tile_height > 0")

        def translate_one(image: tf.Tensor) -> tf.Tensor:
            return translate_pixels(
                lambda padded: tiled(padded, tile_height), sizes, image[None]
            )[0]

        return {"translated": _one_by_one(translate_one, images)}

    return translate_uint8_tiled


def _one_by_one(function: Callable, elements: tf.Tensor) -> tf.Tensor:
    """Maps without keeping two elements' activations at a time."""
    return tf.map_fn(function, elements, parallel_iterations=1)


def _translate_any_size(
    translate: Generator, sizes: ImageSizes, pixels: tf.Tensor
) -> tf.Tensor:
    """Pads below and to the right by reflection, translates, crops back."""
    height, width = tf.shape(pixels)[1], tf.shape(pixels)[2]
    padded = tf.gather(pixels, _mirrored_indices(height, sizes), axis=1)
    padded = tf.gather(padded, _mirrored_indices(width, sizes), axis=2)
    return translate(padded)[:, :height, :width]


def _mirrored_indices(size: tf.Tensor, sizes: ImageSizes) -> tf.Tensor:
    """Returns 0 .. size-1 and on, reflected, up to a size that fits.

    Unlike tf.pad's REFLECT it works for images smaller than the padding.
    """
    padded = -(-size // sizes.multiple) * sizes.multiple
    padded = tf.maximum(padded, sizes.least)
    period = tf.maximum(2 * (size - 1), 1)
    indices = tf.range(padded) % period
    return tf.minimum(indices, period - indices)
