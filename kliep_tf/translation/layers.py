"""Layers that Keras lacks or has slower."""

from typing import Any

import keras
import tensorflow as tf

from kliep_tf.training.keras_compat import all_layers

# The fused kernel treats one example's channels as a batch of one. Measured on
# CPU it halves the time of a single 128x128x64 example, forward and backward;
# from some four examples on, the slicing costs what the kernel saves.
_MAX_FUSED_EXAMPLES = 4
# The smallest epsilon that the fused kernel accepts.
_MIN_FUSED_EPSILON = 1.001e-5
# Beside the norm of a vector that is divided by it, and the least variance of
# which a root is taken.
_EPSILON = 1e-12


@keras.saving.register_keras_serializable("kliep_tf")
class InstanceNormalization(keras.layers.Layer):
    """Normalises every channel of every image to mean 0 and variance 1.

    Without scale and offset, as in CycleGAN (Ulyanov et al. 2016, eq. 4).
    Equal to `keras.layers.GroupNormalization(groups=-1, scale=False,
    center=False)` and to TensorFlow Addons' InstanceNormalization.
    """

    def __init__(self, epsilon: float = _MIN_FUSED_EPSILON, **kwargs: Any):
        """Takes the constant that is added to the variance."""
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalises [N, H, W, C] over H and W, in float32."""
        batch = inputs.shape[0]
        if batch is not None and batch <= _MAX_FUSED_EXAMPLES:
            examples = tf.split(inputs, batch) if batch > 1 else [inputs]
            normalized = [self._fused(example) for example in examples]
            return tf.concat(normalized, 0) if batch > 1 else normalized[0]
        values = tf.cast(inputs, tf.float32)
        mean, variance = tf.nn.moments(values, [1, 2], keepdims=True)
        values = (values - mean) * tf.math.rsqrt(variance + self.epsilon)
        return tf.cast(values, inputs.dtype)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "epsilon": self.epsilon}

    def _fused(self, example: tf.Tensor) -> tf.Tensor:
        channels = example.shape[-1]
        normalized, _, _ = tf.compat.v1.nn.fused_batch_norm(
            example,
            scale=tf.ones([channels]),
            offset=tf.zeros([channels]),
            epsilon=self.epsilon,
            is_training=True,
        )
        return normalized


@keras.saving.register_keras_serializable("kliep_tf")
class ImageNormalization(keras.layers.Layer):
    """Normalises every image to mean 0 and deviation 1 over all its channels.

    With a scale and an offset for each channel, as the decoders of MUNIT and
    the later UNIT have it under the name of layer normalisation (Huang et al.
    2018): (x - mean) / (deviation + epsilon), the deviation that of a sample.
    Keras's LayerNormalization would want a scale for each pixel.
    """

    def __init__(
        self,
        scale_initializer: keras.initializers.Initializer,
        epsilon: float = 1e-5,
        **kwargs: Any,
    ):
        """Takes the initializer of the scales, and what is added."""
        super().__init__(**kwargs)
        self.scale_initializer = scale_initializer
        self.epsilon = epsilon

    def build(self, input_shape: tuple) -> None:
        """Makes scale and offset for inputs [N, H, W, C]."""
        self.scale = self.add_weight(
            name="scale",
            shape=(input_shape[-1],),
            initializer=self.scale_initializer,
        )
        self.offset = self.add_weight(
            name="offset", shape=(input_shape[-1],), initializer="zeros"
        )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalises [N, H, W, C] over H, W and C, in float32."""
        values = tf.cast(inputs, tf.float32)
        mean, variance = tf.nn.moments(values, [1, 2, 3], keepdims=True)
        size = tf.cast(tf.reduce_prod(tf.shape(values)[1:]), tf.float32)
        variance = tf.maximum(variance * size / (size - 1.0), _EPSILON)
        values = (values - mean) / (tf.sqrt(variance) + self.epsilon)
        return tf.cast(values, inputs.dtype) * self.scale + self.offset

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "scale_initializer": keras.initializers.serialize(
                self.scale_initializer
            ),
            "epsilon": self.epsilon,
        }


@keras.saving.register_keras_serializable("kliep_tf")
class ReflectionPadding(keras.layers.Layer):
    """Pads height and width by mirroring the image at its border."""

    def __init__(self, padding: int, **kwargs: Any):
        """Takes the number of pixels on each side."""
        super().__init__(**kwargs)
        self.padding = padding

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Pads [N, H, W, C] to [N, H + 2p, W + 2p, C]."""
        both = [self.padding, self.padding]
        return tf.pad(inputs, [[0, 0], both, both, [0, 0]], "REFLECT")

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the padded shape."""
        batch, height, width, channels = input_shape
        grow = 2 * self.padding
        return (
            batch,
            None if height is None else height + grow,
            None if width is None else width + grow,
            channels,
        )

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "padding": self.padding}


@keras.saving.register_keras_serializable("kliep_tf")
class SpectralConv2D(keras.layers.Layer):
    """An unpadded convolution by W / sigma(W), of Miyato et al. 2018, eq. 8.

    sigma(W), the largest singular value of the kernel as a matrix of
    [kh * kw * channels in, channels out], comes from power iteration: each
    `iterate` brings the vector `u` nearer to the singular vector. Gradients
    flow through sigma. A call changes no variable: Keras's
    SpectralNormalization overwrites its kernel at every call, which breaks
    replicas and recomputed activations.
    """

    def __init__(
        self,
        filters: int,
        size: int,
        strides: int,
        kernel_initializer: keras.initializers.Initializer,
        **kwargs: Any,
    ):
        """Takes the channels out, the kernel's side and the stride."""
        super().__init__(**kwargs)
        self.filters = filters
        self.size = size
        self.strides = strides
        self.kernel_initializer = kernel_initializer

    def build(self, input_shape: tuple) -> None:
        """Makes kernel, bias and u for inputs [N, H, W, C]."""
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.size, self.size, input_shape[-1], self.filters),
            initializer=self.kernel_initializer,
            # Singular values want more digits than bfloat16 has.
            autocast=False,
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.filters,), initializer="zeros"
        )
        self.u = self.add_weight(
            name="u",
            shape=(self.filters,),
            # Only its direction counts. A random one is almost surely not
            # orthogonal to the singular vector.
            initializer=self.kernel_initializer,
            trainable=False,
            autocast=False,
            # Every replica has the same kernel and makes the same change.
            aggregation="only_first_replica",
        )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Convolves [N, H, W, C]."""
        kernel = self.kernel / self.sigma()
        outputs = tf.nn.conv2d(
            inputs, tf.cast(kernel, inputs.dtype), self.strides, "VALID"
        )
        return outputs + self.bias

    def sigma(self) -> tf.Tensor:
        """Returns |W u|, which reaches sigma(W) from below, as float32 [].

        Its gradient is the outer product of the two singular vectors, as in
        Miyato et al. 2018, eq. 10.
        """
        return tf.norm(tf.linalg.matvec(self._matrix(), _unit(self.u)))

    def iterate(self) -> None:
        """Makes one power iteration: u = W'W u, normalised."""
        matrix = self._matrix()
        v = _unit(tf.linalg.matvec(matrix, _unit(self.u)))
        self.u.assign(_unit(tf.linalg.matvec(matrix, v, transpose_a=True)))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of the convolution's output."""
        batch, height, width, _ = input_shape
        height, width = (
            None if side is None else (side - self.size) // self.strides + 1
            for side in (height, width)
        )
        return (batch, height, width, self.filters)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "size": self.size,
            "strides": self.strides,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
        }

    def _matrix(self) -> tf.Tensor:
        return tf.reshape(self.kernel, [-1, self.filters])


def iterate_spectral_norms(network: keras.Model) -> None:
    """Makes one power iteration in every spectrally normalised layer.

    Call it once a training step, outside of any gradient.
    """
    for layer in all_layers(network):
        if isinstance(layer, SpectralConv2D):
            layer.iterate()


def _unit(vector: tf.Tensor) -> tf.Tensor:
    return vector / (tf.norm(vector) + _EPSILON)
