"""The encoders, decoders and discriminators of UNIT, in both forms.

Form 2017: Liu, Breuel and Kautz, "Unsupervised Image-to-Image Translation
Networks", NIPS 2017, as the authors' code configures it for streets. Form 2018:
the authors' later code, whose autoencoders are those of MUNIT (Huang et al.
2018) without style.

Those of 2017 drop out values at random: they take [x, seeds], where seeds are
None for no randomness.
"""

import itertools
from collections.abc import Iterator

import keras
import tensorflow as tf

from kliep_tf.translation.layer_maker import LayerMaker
from kliep_tf.translation.pyramids import make_pyramid
from kliep_tf.translation.randomness import SeededDropout

_DROPOUT = 0.5
# Of leaky ReLUs, by form.
_SLOPES = {"2017": 0.01, "2018": 0.2}
# Stream 0 is the latent noise.
_FIRST_DROPOUT_STREAM = 1


class SharedFormMaker:
    """Makes the parts of the form of 2017: zero padding, dropout."""

    def __init__(self, filters: int):
        """Takes the channels at full resolution."""
        self._filters = filters
        # Each dropout of a model draws for itself.
        self._streams: Iterator[int] = itertools.count(_FIRST_DROPOUT_STREAM)

    def encoder(
        self, num_blocks: int, layer: LayerMaker, name: str
    ) -> keras.Model:
        """Returns [images, seeds] to features at a quarter of the size."""
        images, seeds = _image_input(), _seed_input()
        x = layer.conv(self._filters, 7, 1, "same")(images)
        x = layer.leaky_relu(x, _SLOPES["2017"])
        for factor in (2, 4):
            x = layer.conv(factor * self._filters, 3, 2, "same")(x)
            x = layer.leaky_relu(x, _SLOPES["2017"])
        x = self._blocks(x, seeds, num_blocks, layer)
        return keras.Model([images, seeds], x, name=name)

    def shared(self, layer: LayerMaker, name: str) -> keras.Model:
        """Returns [features, seeds] to features, one residual block."""
        features, seeds = self._features(layer), _seed_input()
        x = self._blocks(features, seeds, 1, layer)
        return keras.Model([features, seeds], x, name=name)

    def decoder(
        self, num_blocks: int, layer: LayerMaker, name: str
    ) -> keras.Model:
        """Returns [features, seeds] to images in [-1, 1]."""
        features, seeds = self._features(layer), _seed_input()
        x = self._blocks(features, seeds, num_blocks, layer)
        for factor in (2, 1):
            x = layer.transposed_conv(factor * self._filters, 3)(x)
            x = layer.leaky_relu(x, _SLOPES["2017"])
        x = _tanh(layer.conv(3, 1)(x))
        return keras.Model([features, seeds], x, name=name)

    def _blocks(
        self, x: tf.Tensor, seeds: tf.Tensor, number: int, layer: LayerMaker
    ) -> tf.Tensor:
        filters = 4 * self._filters
        for _ in range(number):
            y = layer.norm_relu(layer.conv(filters, 3, 1, "same")(x))
            y = layer.norm()(layer.conv(filters, 3, 1, "same")(y))
            dropout = SeededDropout(
                _DROPOUT, next(self._streams), dtype=layer.dtype
            )
            x = keras.layers.Add(dtype=layer.dtype)([x, dropout(y, seeds)])
        return x

    def _features(self, layer: LayerMaker) -> tf.Tensor:
        return _feature_input(4 * self._filters, layer)


def make_encoder(
    filters: int, num_blocks: int, layer: LayerMaker, name: str
) -> keras.Model:
    """Returns the form of 2018's: images to features at a quarter of the size.

    Args:
        filters: channels at full resolution; 2x and 4x below.
        num_blocks: residual blocks.
        layer: makes them, initialised N(0, 2/n).
        name: of the model.
    """
    images = _image_input()
    x = layer.norm_relu(layer.conv(filters, 7)(layer.pad(3)(images)))
    for factor in (2, 4):
        conv = layer.conv(factor * filters, 4, strides=2)
        x = layer.norm_relu(conv(layer.pad(1)(x)))
    x = _mirrored_blocks(x, 4 * filters, num_blocks, layer)
    return keras.Model(images, x, name=name)


def make_decoder(
    filters: int, num_blocks: int, layer: LayerMaker, name: str
) -> keras.Model:
    """Returns the form of 2018's: features to images in [-1, 1].

    The arguments are those of `make_encoder`.
    """
    features = _feature_input(4 * filters, layer)
    x = _mirrored_blocks(features, 4 * filters, num_blocks, layer)
    for factor in (2, 1):
        x = keras.layers.UpSampling2D(2, dtype=layer.dtype)(x)
        x = layer.conv(factor * filters, 5)(layer.pad(2)(x))
        x = keras.layers.ReLU(dtype=layer.dtype)(layer.image_norm()(x))
    x = _tanh(layer.conv(3, 7)(layer.pad(3)(x)))
    return keras.Model(features, x, name=name)


def make_discriminator(
    form: str, filters: int, num_scales: int, dtype: str, seed: int, name: str
) -> keras.Model:
    """Returns images to a list of logits [N, H', W', 1], one for each scale.

    Args:
        form: "2017" or "2018".
        filters: channels of the first convolution; 2x, 4x and 8x follow.
        num_scales: 3 in both publications.
        dtype: a Keras dtype policy; logits are float32 in any case.
        seed: of the initial weights.
        name: of the model.
    """
    layer = LayerMaker(dtype, seed)
    images = _image_input()
    blur = "gaussian" if form == "2017" else "box"
    outputs = []
    for x in make_pyramid(images, num_scales, blur, dtype):
        for factor in (1, 2, 4, 8):
            x = _halving_conv(form, factor * filters, layer)(x)
            x = layer.leaky_relu(x, _SLOPES[form])
        x = layer.conv(1, 1)(x)
        outputs.append(keras.layers.Activation("linear", dtype="float32")(x))
    return keras.Model(images, outputs, name=name)


def _halving_conv(
    form: str, filters: int, layer: LayerMaker
) -> keras.layers.Layer:
    """One pixel of padding on every side, as in the authors' code."""
    if form == "2017":
        pad = keras.layers.ZeroPadding2D(1, dtype=layer.dtype)
        return keras.Sequential([pad, layer.conv(filters, 3, strides=2)])
    return keras.Sequential([layer.pad(1), layer.conv(filters, 4, strides=2)])


def _mirrored_blocks(
    x: tf.Tensor, filters: int, number: int, layer: LayerMaker
) -> tf.Tensor:
    for _ in range(number):
        y = layer.norm_relu(layer.mirrored_conv(x, filters))
        y = layer.norm()(layer.mirrored_conv(y, filters))
        x = keras.layers.Add(dtype=layer.dtype)([x, y])
    return x


def _image_input() -> tf.Tensor:
    return keras.Input((None, None, 3), dtype="float32")


def _feature_input(channels: int, layer: LayerMaker) -> tf.Tensor:
    compute = keras.DTypePolicy(layer.dtype).compute_dtype
    return keras.Input((None, None, channels), dtype=compute)


def _seed_input() -> tf.Tensor:
    return keras.Input((2,), dtype="int32", optional=True)


def _tanh(x: tf.Tensor) -> tf.Tensor:
    return keras.layers.Activation("tanh", dtype="float32")(x)
