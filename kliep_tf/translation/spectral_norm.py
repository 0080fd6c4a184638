"""Convolutions whose largest singular value is held at 1."""

import keras
import tensorflow as tf

_EPSILON = 1e-12


@keras.saving.register_keras_serializable("kliep_tf")
class SpectralConv2D(keras.layers.Layer):
    """An unpadded convolution by W / sigma(W), of Miyato et al. 2018, eq. 8.

    sigma(W), the largest singular value of the kernel as a matrix of
    [kh * kw * channels in, channels out], comes from power iteration: each
    `iterate` brings the vector `u` nearer to the singular vector. Gradients
    flow through sigma. Keras's own SpectralNormalization overwrites the kernel
    while it is called, which neither replicas nor recomputed activations bear:
    here a call changes nothing.
    """

    def __init__(
        self,
        filters: int,
        size: int,
        strides: int,
        kernel_initializer: keras.initializers.Initializer,
        **kwargs,
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
            # Not zero and, but for an accident, not orthogonal to what is
            # sought; only its direction counts.
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

    To be called once a training step, outside of any gradient.
    """
    for layer in network._flatten_layers():
        if isinstance(layer, SpectralConv2D):
            layer.iterate()


def _unit(vector: tf.Tensor) -> tf.Tensor:
    return vector / (tf.norm(vector) + _EPSILON)
