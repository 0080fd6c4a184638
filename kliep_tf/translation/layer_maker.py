"""Makes the layers of which networks of translation methods consist."""

import keras
import tensorflow as tf

from kliep_tf.translation.layers import (
    ImageNormalization,
    InstanceNormalization,
    ReflectionPadding,
    SpectralConv2D,
)
from kliep_tf.translation.winograd import WinogradConv2D


class LayerMaker:
    """Makes layers of one dtype, initialised from one seed."""

    def __init__(self, dtype: str, seed: int, initializer: str = "normal"):
        """Says what the layers have in common.

        Args:
            dtype: a Keras dtype policy.
            seed: of the initial weights.
            initializer: "normal", N(0, 0.02), or "he_normal", N(0, 2/n) for
                kernels of n inputs.
        """
        self.dtype = dtype
        self._seeds = keras.random.SeedGenerator(seed)
        self._initializer = (
            keras.initializers.RandomNormal(stddev=0.02, seed=self._seeds)
            if initializer == "normal"
            else keras.initializers.VarianceScaling(
                2.0, distribution="untruncated_normal", seed=self._seeds
            )
        )

    def conv(
        self, filters: int, size: int, strides: int = 1, padding: str = "valid"
    ) -> keras.layers.Layer:
        """Returns a convolution by kernels of size x size."""
        return keras.layers.Conv2D(
            filters,
            size,
            strides,
            padding,
            kernel_initializer=self._initializer,
            dtype=self.dtype,
        )

    def mirrored_conv(self, x: tf.Tensor, filters: int) -> tf.Tensor:
        """Convolves by 3x3, the image mirrored at its border."""
        return self.conv(filters, 3)(self.pad(1)(x))

    def winograd_conv(self, x: tf.Tensor, filters: int) -> tf.Tensor:
        """Does what `mirrored_conv` does, by Winograd's filtering."""
        conv = WinogradConv2D(
            filters, kernel_initializer=self._initializer, dtype=self.dtype
        )
        # Checkpoints count layers: the padding that `conv` does itself keeps
        # its place.
        return conv(self.pad(0)(x))

    def transposed_conv(self, filters: int, size: int) -> keras.layers.Layer:
        """Returns a transposed convolution that doubles the size."""
        return keras.layers.Conv2DTranspose(
            filters,
            size,
            2,
            "same",
            kernel_initializer=self._initializer,
            dtype=self.dtype,
        )

    def patch_conv(
        self, filters: int, strides: int, spectral: bool
    ) -> keras.layers.Layer:
        """Returns a 4x4 convolution of the PatchGAN."""
        # One pixel of padding on every side, as in the authors' code; "same"
        # would pad unevenly and make other patches.
        conv = self.spectral_conv if spectral else self.conv
        return keras.Sequential(
            [
                keras.layers.ZeroPadding2D(1, dtype=self.dtype),
                conv(filters, 4, strides),
            ]
        )

    def spectral_conv(
        self, filters: int, size: int, strides: int
    ) -> keras.layers.Layer:
        """Returns a convolution whose kernel has spectral norm 1."""
        return SpectralConv2D(
            filters,
            size,
            strides,
            kernel_initializer=self._initializer,
            dtype=self.dtype,
        )

    def pad(self, padding: int) -> keras.layers.Layer:
        """Returns padding by reflection."""
        return ReflectionPadding(padding, dtype=self.dtype)

    def norm(self) -> keras.layers.Layer:
        """Returns instance normalisation."""
        return InstanceNormalization(dtype=self.dtype)

    def image_norm(self) -> keras.layers.Layer:
        """Returns normalisation over all channels of an image."""
        # Initial scales as in the authors' code of UNIT and MUNIT.
        scales = keras.initializers.RandomUniform(0.0, 1.0, self._seeds)
        return ImageNormalization(scales, dtype=self.dtype)

    def norm_relu(self, x: tf.Tensor) -> tf.Tensor:
        """Normalises by instance and cuts below 0."""
        return keras.layers.ReLU(dtype=self.dtype)(self.norm()(x))

    def leaky_relu(self, x: tf.Tensor, slope: float = 0.2) -> tf.Tensor:
        """Multiplies what is below 0 by a slope."""
        return keras.layers.LeakyReLU(slope, dtype=self.dtype)(x)
