"""Layers that the segmentation networks share."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable("kliep_tf")
class Resize(keras.layers.Layer):
    """Resizes [N, h, w, C] bilinearly to the size of a second tensor."""

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Returns the first tensor at the second's height and width."""
        features, like = inputs
        resized = tf.image.resize(features, tf.shape(like)[1:3])
        return tf.cast(resized, self.compute_dtype)

    def compute_output_shape(self, input_shape: list) -> tuple:
        """Returns the shape that `call` returns."""
        features, like = input_shape
        return (features[0], like[1], like[2], features[3])


@keras.saving.register_keras_serializable("kliep_tf")
class Enlarge(keras.layers.Layer):
    """Resizes [N, H, W, C] bilinearly to a multiple of its height and width."""

    def __init__(self, factor: int, **options: Any) -> None:
        """Sets the factor."""
        super().__init__(**options)
        self.factor = factor

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns [N, factor H, factor W, C]."""
        resized = tf.image.resize(x, self.factor * tf.shape(x)[1:3])
        return tf.cast(resized, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape that `call` returns."""
        number, *size, channels = input_shape
        return (
            number,
            *(side and self.factor * side for side in size),
            channels,
        )


@keras.saving.register_keras_serializable("kliep_tf")
class CountedDropout(keras.layers.Layer):
    """Dropout whose mask is a function of (seed, step, replica).

    With `whole_channels` it drops channels of an image rather than values.

    The step is a variable, so that it is checkpointed and a continued run draws
    what an undisturbed one would have drawn: the state of Keras's Dropout is no
    part of a tf.train.Checkpoint.
    """

    def __init__(
        self,
        rate: float,
        seed: int,
        whole_channels: bool = False,
        **options: Any,
    ):
        """Sets the share of values that become 0, and the seed."""
        super().__init__(**options)
        self.rate, self.seed = rate, seed
        self.whole_channels = whole_channels
        self.step = self.add_weight(
            name="step",
            dtype="int32",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
        )

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns x, in training with some values 0 and the others larger."""
        if not training:
            return x
        context = tf.distribute.get_replica_context()
        replica = context.replica_id_in_sync_group if context else 0
        seed = [self.seed + replica, self.step.value]
        shape = tf.shape(x)
        if self.whole_channels:
            shape = tf.stack([shape[0], 1, 1, shape[3]])
        uniform = tf.random.stateless_uniform(shape, seed)
        self.step.assign_add(1)
        kept = tf.cast(uniform >= self.rate, x.dtype)
        return x * kept / tf.cast(1.0 - self.rate, x.dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape that `call` returns."""
        return input_shape


@keras.saving.register_keras_serializable("kliep_tf")
class GroupNormalization(keras.layers.GroupNormalization):
    """Keras's layer in fewer passes over the image.

    The moments of a group follow from those of its channels, a handful of
    numbers, so that the image itself is read three times in all.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns [N, H, W, C] normalised, scaled and shifted."""
        x = tf.cast(x, self.compute_dtype)
        # [N, C], in float32 also where the layer computes in bfloat16
        means, variances = tf.nn.moments(tf.cast(x, tf.float32), [1, 2])
        channels = means.shape[-1]
        grouped = [-1, self.groups, channels // self.groups]
        means, variances = (
            tf.reshape(means, grouped),
            tf.reshape(variances, grouped),
        )
        mean = tf.reduce_mean(means, -1, keepdims=True)
        # Variance within the channels and between them.
        spread = variances + tf.math.squared_difference(means, mean)
        variance = tf.reduce_mean(spread, -1, keepdims=True)
        inverse = tf.math.rsqrt(variance + self.epsilon)
        gamma = tf.reshape(tf.cast(self.gamma, tf.float32), grouped)
        beta = tf.reshape(tf.cast(self.beta, tf.float32), grouped)
        scale = inverse * gamma
        shift = beta - mean * scale
        per_channel = [-1, 1, 1, channels]
        scale = tf.cast(tf.reshape(scale, per_channel), x.dtype)
        return x * scale + tf.cast(tf.reshape(shift, per_channel), x.dtype)


class LayerFactory:
    """Makes named layers that share a dtype and draw from one seed.

    Networks name their layers as the published code does ("layer3.0.conv1"), so
    that published weights find their place by name.
    """

    def __init__(
        self,
        seed: int,
        dtype: str,
        *,
        initializer: Callable[[int], keras.initializers.Initializer]
        | None = None,
        epsilon: float = 1e-5,
        momentum: float = 0.9,
    ):
        """Sets what the layers have in common.

        Args:
            seed: of the initial weights.
            dtype: a Keras dtype policy, "float32" or "mixed_bfloat16".
            initializer: seed -> initializer of kernels without one of their
                own.
            epsilon: of batch normalisation.
            momentum: of its moving averages.
        """
        self._seeds = np.random.default_rng(seed)
        self.dtype = dtype
        self._initializer = initializer or keras.initializers.HeNormal
        self._epsilon, self._momentum = epsilon, momentum

    def next_seed(self) -> int:
        """Returns the seed of the next layer."""
        return int(self._seeds.integers(2**31))

    def convolve(
        self,
        x: tf.Tensor,
        filters: int,
        size: int,
        name: str | None = None,
        *,
        strides: int = 1,
        dilation: int = 1,
        use_bias: bool = False,
        initializer: keras.initializers.Initializer | None = None,
    ) -> tf.Tensor:
        """Convolution with the same padding on all sides.

        TensorFlow's own "same" pads even images of stride 2 on the right only,
        which is one pixel off what published weights were trained with.
        """
        x, padding = self._pad(x, size, strides, dilation)
        return keras.layers.Conv2D(
            filters,
            size,
            strides,
            padding,
            dilation_rate=dilation,
            use_bias=use_bias,
            kernel_initializer=initializer
            or self._initializer(self.next_seed()),
            dtype=self.dtype,
            name=name,
        )(x)

    def convolve_depthwise(
        self,
        x: tf.Tensor,
        size: int,
        name: str | None = None,
        *,
        strides: int = 1,
        dilation: int = 1,
        initializer: keras.initializers.Initializer | None = None,
    ) -> tf.Tensor:
        """Convolution of each channel by itself, padded like `convolve`."""
        x, padding = self._pad(x, size, strides, dilation)
        return keras.layers.DepthwiseConv2D(
            size,
            strides,
            padding,
            dilation_rate=dilation,
            use_bias=False,
            depthwise_initializer=initializer
            or self._initializer(self.next_seed()),
            dtype=self.dtype,
            name=name,
        )(x)

    def normalize(self, x: tf.Tensor, name: str | None = None) -> tf.Tensor:
        """Batch normalisation over the global batch.

        Synchronised: on any number of devices it computes what one device
        does.
        """
        return keras.layers.BatchNormalization(
            epsilon=self._epsilon,
            momentum=self._momentum,
            synchronized=True,
            dtype=self.dtype,
            name=name,
        )(x)

    def relu(self, x: tf.Tensor, name: str | None = None) -> tf.Tensor:
        """max(x, 0)."""
        return keras.layers.ReLU(dtype=self.dtype, name=name)(x)

    def add(self, *tensors: tf.Tensor) -> tf.Tensor:
        """The sum of tensors of one shape."""
        return keras.layers.Add(dtype=self.dtype)(list(tensors))

    def concatenate(self, *tensors: tf.Tensor) -> tf.Tensor:
        """The channels of all tensors."""
        return keras.layers.Concatenate(dtype=self.dtype)(list(tensors))

    def resize(self, x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
        """Brings x to the height and width of another tensor."""
        return Resize(dtype=self.dtype)([x, like])

    def _pad(
        self, x: tf.Tensor, size: int, strides: int, dilation: int
    ) -> tuple[tf.Tensor, str]:
        if strides == 1 or size == 1:
            return x, "same"
        padding = dilation * (size - 1) // 2
        return keras.layers.ZeroPadding2D(padding, dtype=self.dtype)(x), "valid"


def to_imagenet_scale(image: tf.Tensor, dtype: str) -> tf.Tensor:
    """Maps -1..1 to what torchvision's weights were trained on.

    Values 0..1, less ImageNet's mean of each channel, over its deviation.
    """
    mean = np.array([0.485, 0.456, 0.406])
    deviation = np.array([0.229, 0.224, 0.225])
    return keras.layers.Rescaling(
        scale=(0.5 / deviation).tolist(),
        offset=((0.5 - mean) / deviation).tolist(),
        dtype=dtype,
    )(image)


def logits_of_size(logits: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
    """Brings logits to the size of the image, in float32 whatever came in."""
    return Resize(dtype="float32")([logits, image])
