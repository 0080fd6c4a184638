"""A small segmentation network for machines without a GPU."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kliep_tf.segmentation.layers import (
    GroupNormalization,
    Resize,
    logits_of_size,
)

_GROUPS = 8


def tiny(num_classes: int, seed: int, dtype: str = "float32") -> keras.Model:
    """Returns an encoder-decoder that trains in minutes on two CPU cores.

    Five scales, from the image's size to a sixteenth of it, added back on the
    way up. Group normalisation: unlike batch normalisation it is the same in
    training and in use, on one device and on many.

    Args:
        num_classes: number of logits a pixel.
        seed: of the initial weights.
        dtype: a Keras dtype policy, "float32" or "mixed_bfloat16".
    """
    layers = _Layers(seed, dtype)
    image = keras.Input((None, None, 3), dtype="float32")
    half = layers.convolve(image, 24, strides=2)
    quarter = layers.residual(layers.convolve(half, 48, strides=2))
    eighth = layers.residual(layers.convolve(quarter, 64, strides=2))
    sixteenth = layers.convolve(eighth, 80, strides=2)
    # Dilated, so that a pixel sees most of a small image.
    context = layers.residual(sixteenth, dilation=2)
    features = layers.merge(context, eighth, 64)
    features = layers.merge(features, quarter, 48)
    features = layers.merge(features, half, 32)
    logits = layers.project(features, num_classes, use_bias=True)
    logits = logits_of_size(logits, image)
    return keras.Model(image, logits, name="tiny")


class _Layers:
    """Makes layers that share a dtype and draw from one seed."""

    def __init__(self, seed: int, dtype: str):
        self._seeds = np.random.default_rng(seed)
        self._dtype = dtype

    def convolve(
        self, x: tf.Tensor, filters: int, *, strides: int = 1, dilation: int = 1
    ) -> tf.Tensor:
        """3x3 convolution, group normalisation, ReLU."""
        x = self._convolution(
            filters, 3, strides=strides, dilation_rate=dilation, use_bias=False
        )(x)
        x = GroupNormalization(_GROUPS, dtype=self._dtype)(x)
        return keras.layers.ReLU(dtype=self._dtype)(x)

    def residual(self, x: tf.Tensor, *, dilation: int = 1) -> tf.Tensor:
        """Adds the output of two convolutions to their input."""
        filters = x.shape[-1]
        found = self.convolve(x, filters, dilation=dilation)
        found = self.convolve(found, filters, dilation=dilation)
        return keras.layers.Add(dtype=self._dtype)([x, found])

    def merge(
        self, coarse: tf.Tensor, fine: tf.Tensor, filters: int
    ) -> tf.Tensor:
        """Brings coarse features to the size of fine ones and joins both."""
        coarse = self.project(coarse, filters)
        coarse = Resize(dtype=self._dtype)([coarse, fine])
        fine = self.project(fine, filters)
        both = keras.layers.Add(dtype=self._dtype)([coarse, fine])
        return self.convolve(both, filters)

    def project(
        self, x: tf.Tensor, filters: int, *, use_bias: bool = False
    ) -> tf.Tensor:
        """1x1 convolution."""
        return self._convolution(filters, 1, use_bias=use_bias)(x)

    def _convolution(
        self, filters: int, size: int, **options: Any
    ) -> keras.layers.Conv2D:
        seed = int(self._seeds.integers(2**31))
        return keras.layers.Conv2D(
            filters,
            size,
            padding="same",
            kernel_initializer=keras.initializers.HeNormal(seed),
            dtype=self._dtype,
            **options,
        )
