"""The generator of a SavedModel, made anew for images of one size: faster.

A SavedModel takes images of any number and size, wherever it is loaded. On CPUs
this costs: single images are not normalised by the fused kernel, residual
blocks do not convolve by Winograd's filtering, kernels are variables that
oneDNN lays out anew in each call, and all is computed in float32. So the
generators of `make_generator` are recognised by the shapes of their variables,
made anew with these values as constants, and traced for each size. Whether
the network is the same is tried on an image of noise.
"""

import functools
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from kliep_tf.translation.exporting import translate_pixels
from kliep_tf.translation.networks import (
    GENERATOR_SIZES,
    make_generator,
    suits_winograd,
)
from kliep_tf.translation.winograd import kernels_transformed_once

PRECISIONS = ("float32", "bfloat16")
_FLOATS = "translate_float"
_PROBE_SIZE = 32
# Of values in [-1, 1]; half a level of 255 is .004. Another activation or
# epsilon differs by more, rounding by a hundredth of it.
_TOLERANCE = 1e-3
# Shapes of images, of which each graph holds all kernels.
_MAX_TRACED = 8
# Kernels beside those of the residual blocks, of which each has two.
_OTHER_KERNELS = 6


class RemadeGenerator:
    """Translates images as the SavedModel that it was made from."""

    def __init__(self, network: keras.Model, values: Sequence[np.ndarray]):
        """Takes a network, and values for its variables."""
        self._network = network
        self._values = values
        self._traced = functools.lru_cache(_MAX_TRACED)(self._trace)

    def __call__(self, pixels: tf.Tensor) -> tf.Tensor:
        """Translates uint8 [N, H, W, 3]; each new shape is traced."""
        return self._traced(tuple(pixels.shape))(pixels)

    def _trace(self, shape: tuple[int, ...]) -> Callable:
        def translate(pixels: tf.Tensor) -> tf.Tensor:
            return translate_pixels(self._as_constants, GENERATOR_SIZES, pixels)

        spec = tf.TensorSpec(shape, tf.uint8)
        # The transformed kernels, made here, are given to the graph as they
        # are: it would make them in each call.
        with kernels_transformed_once(self._network):
            traced = tf.function(translate, [spec], autograph=False)
            return traced.get_concrete_function()

    def _as_constants(self, images: tf.Tensor) -> tf.Tensor:
        values = [tf.constant(value) for value in self._values]
        outputs, _ = self._network.stateless_call(
            values, [], images, training=False
        )
        return outputs


def remake(
    saved_model: tf.Module, precision: str = "float32"
) -> RemadeGenerator | None:
    """Returns the generator of a loaded SavedModel, made anew.

    Args:
        saved_model: as `exporting.write_saved_model` writes it.
        precision: one of PRECISIONS, in which activations are computed.

    Returns:
        None if it is none of `make_generator`.
    """
    if _FLOATS not in saved_model.signatures:
        return None
    signature = saved_model.signatures[_FLOATS]
    values = [variable.numpy() for variable in signature.variables]
    arguments = infer_arguments([value.shape for value in values])
    if arguments is None:
        return None
    winograd = suits_winograd(arguments["filters"])
    network = make_generator(**arguments, winograd=winograd)
    shapes = [variable.shape for variable in network.variables]
    if shapes != [value.shape for value in values]:
        return None
    network.set_weights(values)
    if not _is_same(network, signature):
        return None
    if precision == "bfloat16":
        # By tiles, errors would be larger; and no faster on large images.
        network = make_generator(**arguments, dtype="mixed_bfloat16")
        network.set_weights(values)
    return RemadeGenerator(network, values)


def infer_arguments(shapes: Sequence[tuple[int, ...]]) -> dict | None:
    """Returns `make_generator`'s arguments by the shapes of its variables.

    None for what is no generator of its; what is returned for others gives
    other shapes.
    """
    kernels = [shape for shape in shapes if len(shape) == 4]
    if len(kernels) < _OTHER_KERNELS or kernels[0][:3] != (7, 7, 3):
        return None
    filters = kernels[0][3]
    # Kernels of transposed convolutions name the channels out before those in.
    transposed = kernels[-3] == (3, 3, 2 * filters, 4 * filters)
    return {
        "filters": filters,
        "num_residual_blocks": (len(kernels) - _OTHER_KERNELS) // 2,
        "upsampling": "transposed" if transposed else "resize",
    }


def _is_same(network: keras.Model, signature: Callable) -> bool:
    """Whether the network does with an image what the signature does."""
    rng = np.random.default_rng(0)
    noise = rng.uniform(-1, 1, [1, _PROBE_SIZE, _PROBE_SIZE, 3])
    images = tf.constant(noise, tf.float32)
    expected = signature(images=images)["translated"]
    found = network(images, training=False)
    return bool(np.abs(found - expected).max() <= _TOLERANCE)
