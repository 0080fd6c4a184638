"""A generator becomes a SavedModel that needs nothing of this library."""

import functools
import os
from collections.abc import Callable

import keras
import tensorflow as tf

from kliep_tf.data import images
from kliep_tf.errors import UserError
from kliep_tf.training.checkpoints import DAMAGE
from kliep_tf.training.saved_models import write_archive
from kliep_tf.translation.networks import SIZE_MULTIPLE, make_generator
from kliep_tf.translation.tiling import TiledGenerator

# Residual blocks pad a quarter of the size by reflection, which takes 2.
_MIN_PADDED_SIZE = 2 * SIZE_MULTIPLE
# zlib's level 1: a sixth of the default's time for some 15 % more bytes.
_PNG_COMPRESSION = 1


def restore_generator(
    checkpoint: str,
    *,
    filters: int,
    num_residual_blocks: int,
    upsampling: str,
    averaged: bool = False,
) -> keras.Model:
    """Returns the source-to-target generator that a checkpoint holds.

    Always in float32: networks trained in mixed precision keep float32
    variables.

    Args:
        checkpoint: its path, without .index.
        filters: of the generator, as it was trained.
        num_residual_blocks: the same.
        upsampling: the same.
        averaged: return the running average of the weights, which only runs
            with an average have, instead of the weights themselves.

    Raises:
        UserError: the checkpoint is damaged or of another network.
    """
    generator = make_generator(
        filters=filters,
        num_residual_blocks=num_residual_blocks,
        upsampling=upsampling,
    )
    name = "averaged_source_to_target" if averaged else "source_to_target"
    reader = tf.train.Checkpoint(**{name: generator})
    try:
        status = reader.read(checkpoint)
        status.assert_existing_objects_matched().expect_partial()
    except DAMAGE as error:
        raise UserError(
            f"{checkpoint}: expected a checkpoint of {name} with "
            f"{filters} filters and {num_residual_blocks} residual blocks, "
            f"found {str(error).strip().splitlines()[0]}"
        ) from error
    return generator


def write_saved_model(
    generator: keras.Model, directory: str | os.PathLike
) -> None:
    """Writes the generator into `directory` as a SavedModel.

    Signatures (any height and width):
        serving_default: image_bytes, string [N], PNG or JPEG, to
            translated_bytes, string [N], PNG. TensorFlow Serving's REST takes
            and gives names that end in _bytes as {"b64": ...}.
        translate_uint8: images, uint8 [N, H, W, 3], to translated, the same.
        translate_uint8_tiled: the same of images and tile_height, int32 [],
            in the memory that `kliep_tf.translation.tiling` tells of.
        translate_float: images, float32 [N, H, W, 3] in [-1, 1], to
            translated, the same.
    """
    archive = keras.export.ExportArchive()
    archive.track(generator)
    for name, (function, inputs) in _endpoints(generator).items():
        archive.add_endpoint(name, function, inputs)
    write_archive(archive, directory)


def encode_png(image: tf.Tensor) -> tf.Tensor:
    """Encodes uint8 [H, W, C] as PNG, fast rather than small."""
    return tf.raw_ops.EncodePng(image=image, compression=_PNG_COMPRESSION)


def _endpoints(
    generator: keras.Model,
) -> dict[str, tuple[Callable, list[tf.TensorSpec]]]:
    """Returns each signature's function and inputs."""
    translate = functools.partial(generator, training=False)
    tiled_generator = TiledGenerator(generator)

    def translate_float(images):
        return {"translated": _translate_any_size(translate, images)}

    def translate_uint8(images):
        return {"translated": _translate_uint8(translate, images)}

    def translate_uint8_tiled(images, tile_height):
        tf.debugging.assert_positive(tile_height, "expected a tile_height > 0")

        def translate_one(image):
            return _translate_uint8(
                lambda padded: tiled_generator(padded, tile_height), image[None]
            )[0]

        return {"translated": _one_by_one(translate_one, images)}

    def translate_bytes(image_bytes):
        def translate_one(encoded):
            image = images.decode_image(encoded)
            return encode_png(_translate_uint8(translate, image[None])[0])

        return {"translated_bytes": _one_by_one(translate_one, image_bytes)}

    pixels = tf.TensorSpec([None, None, None, 3], tf.uint8, "images")
    floats = tf.TensorSpec(pixels.shape, tf.float32, "images")
    encoded = tf.TensorSpec([None], tf.string, "image_bytes")
    rows = tf.TensorSpec([], tf.int32, "tile_height")
    return {
        "serving_default": (translate_bytes, [encoded]),
        "translate_uint8": (translate_uint8, [pixels]),
        "translate_uint8_tiled": (translate_uint8_tiled, [pixels, rows]),
        "translate_float": (translate_float, [floats]),
    }


def _one_by_one(function: Callable, elements: tf.Tensor) -> tf.Tensor:
    """Maps without keeping two elements' activations at a time."""
    return tf.map_fn(function, elements, parallel_iterations=1)


def _translate_uint8(translate: Callable, pixels: tf.Tensor) -> tf.Tensor:
    translated = _translate_any_size(translate, images.to_float(pixels))
    return images.to_uint8(translated)


def _translate_any_size(translate: Callable, pixels: tf.Tensor) -> tf.Tensor:
    """Pads below and to the right by reflection, translates, crops back."""
    height, width = tf.shape(pixels)[1], tf.shape(pixels)[2]
    padded = tf.gather(pixels, _mirrored_indices(height), axis=1)
    padded = tf.gather(padded, _mirrored_indices(width), axis=2)
    return translate(padded)[:, :height, :width]


def _mirrored_indices(size: tf.Tensor) -> tf.Tensor:
    """Returns 0 .. size-1 and on, reflected, up to a size that fits.

    Unlike tf.pad's REFLECT it works for images smaller than the padding.
    """
    padded = -(-size // SIZE_MULTIPLE) * SIZE_MULTIPLE
    padded = tf.maximum(padded, _MIN_PADDED_SIZE)
    period = tf.maximum(2 * (size - 1), 1)
    indices = tf.range(padded) % period
    return tf.minimum(indices, period - indices)
