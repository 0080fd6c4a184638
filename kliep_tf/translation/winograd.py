"""Convolutions of 3x3 pixels by a quarter of the multiplications.

Winograd's minimal filtering F(4x4, 3x3) of Lavin & Gray 2016, "Fast Algorithms
for Convolutional Neural Networks", eq. 8: 4x4 pixels of output come from a
tile of 6x6 pixels d and the kernel g as

    Y = A' [(G g G') * (B' d B)] A,

36 products for 144, which over all tiles and channels are 36 matrix products;
for F(2x2, 3x3) 16 for 36. All else is linear and cheap where there are many
channels, and gradients follow by the same rule. GPU libraries do so by
themselves, oneDNN does not.
"""

import contextlib
import functools
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_KERNEL = 3
# Pixels of output along a side of a tile, and the points at which the
# polynomials of Lavin & Gray's appendix are evaluated, infinity left out.
# Numbers and their inverses halve the rounding errors of the usual 0, 1, -1, 2,
# -2 (Alam et al. 2022, "Winograd Convolution for Deep Neural Networks:
# Efficient Point Selection"). In bfloat16, tiles of 4 would have five times the
# errors of a convolution, tiles of 2 have twice.
_ROOTS = {
    4: (0.0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5)),
    2: (0.0, 1.0, -1.0),
}


@keras.saving.register_keras_serializable("kliep_tf")
class WinogradConv2D(keras.layers.Conv2D):
    """A 3x3 convolution of an image that is mirrored at its border.

    Computes the same as ReflectionPadding(1) and Conv2D, up to rounding, from
    the same variables.
    """

    def __init__(self, filters: int, **kwargs: Any):
        """Takes the channels out."""
        super().__init__(filters, _KERNEL, **kwargs)
        self.transformed_kernel: tf.Tensor | None = None

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Convolves [N, H, W, C] to [N, H, W, filters]."""
        if None in inputs.shape[1:3]:
            ring = [[0, 0], [1, 1], [1, 1], [0, 0]]
            return super().call(tf.pad(inputs, ring, "REFLECT"))
        kernel = self.transformed_kernel
        if kernel is None:
            kernel = self.transform_kernel()
        return tf.nn.bias_add(convolve(inputs, kernel), self.bias)

    def transform_kernel(self) -> tf.Tensor:
        """Returns what `convolve` takes as kernel, in the compute dtype."""
        tile = 4 if self.compute_dtype == "float32" else 2
        return tf.cast(transform_kernel(self.kernel, tile), self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of the convolution's output."""
        return (*input_shape[:3], self.filters)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        config = super().get_config()
        del config["kernel_size"]
        return config


@contextlib.contextmanager
def kernels_transformed_once(*networks: keras.Model) -> Iterator[None]:
    """Within, several calls of a network transform its kernels only once."""
    layers = [
        layer
        for network in networks
        for layer in network.layers
        if isinstance(layer, WinogradConv2D)
    ]
    try:
        for layer in layers:
            layer.transformed_kernel = layer.transform_kernel()
        yield
    finally:
        for layer in layers:
            layer.transformed_kernel = None


def transform_kernel(kernel: tf.Tensor, tile: int) -> tf.Tensor:
    """Returns G g G' of a kernel [3, 3, C, D] as float32 [points^2, C, D].

    Args:
        kernel: of any dtype.
        tile: 4 or 2 pixels of output along a side; `points` is 6 or 4.
    """
    _, to_products, _ = _matrices(tile)
    both_sides = np.kron(to_products, to_products).astype(np.float32)
    flat = tf.reshape(tf.cast(kernel, tf.float32), [_KERNEL**2, -1])
    return tf.reshape(both_sides @ flat, [-1, *kernel.shape[2:]])


def convolve(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolves images that are mirrored at their border.

    Args:
        images: [N, H, W, C], H and W static and at least 2.
        kernel: [points^2, C, D] of `transform_kernel`, of the same dtype.

    Returns:
        [N, H, W, D], of the same dtype.
    """
    _, height, width, channels = images.shape
    filters = kernel.shape[-1]
    points = math.isqrt(kernel.shape[0])
    tile = points - _KERNEL + 1
    rows, columns = -(-height // tile), -(-width // tile)  # of tiles
    # One side after the other: [N, points x rows, points x columns, C].
    tiles = tf.reshape(images, [-1, height, width * channels])
    tiles = _to_tiles(height, tile, images.dtype) @ tiles
    tiles = tf.reshape(tiles, [-1, width, channels])
    tiles = _to_tiles(width, tile, images.dtype) @ tiles
    tiles = tf.reshape(tiles, [-1, points, rows, points, columns, channels])
    tiles = tf.transpose(tiles, [1, 3, 0, 2, 4, 5])
    products = tf.reshape(tiles, [points**2, -1, channels]) @ kernel
    # And back the same way.
    products = tf.reshape(
        products, [points, points, -1, rows, columns, filters]
    )
    products = tf.transpose(products, [2, 0, 3, 1, 4, 5])
    products = tf.reshape(
        products, [-1, points * rows, points * columns * filters]
    )
    outputs = _from_tiles(height, tile, images.dtype) @ products
    outputs = tf.reshape(outputs, [-1, points * columns, filters])
    outputs = _from_tiles(width, tile, images.dtype) @ outputs
    return tf.reshape(outputs, [-1, height, width, filters])


def _to_tiles(size: int, tile: int, dtype: tf.DType) -> tf.Tensor:
    """Returns B' of every tile along a side, [points x tiles, size].

    The tiles overlap by two pixels. The first begins one pixel before the
    image, which is mirrored there and at its end; beyond that are zeros.
    """
    number = -(-size // tile)
    _, _, to_products = _matrices(tile)
    point = np.arange(len(to_products))
    pixels = point[:, None] + tile * np.arange(number) - 1
    mirrored = size - 1 - np.abs(size - 1 - np.abs(pixels))
    chosen = np.eye(size)[mirrored] * (pixels <= size)[..., None]
    tiles = np.einsum("pk,kns->pns", to_products, chosen)
    return tf.constant(tiles.reshape(-1, size), dtype)


def _from_tiles(size: int, tile: int, dtype: tf.DType) -> tf.Tensor:
    """Returns A' of every tile along a side, [size, points x tiles]."""
    number = -(-size // tile)
    from_products, _, _ = _matrices(tile)
    tiles = np.einsum("qp,nm->nqpm", from_products, np.eye(number))
    return tf.constant(tiles.reshape(number * tile, -1)[:size], dtype)


@functools.cache
def _matrices(tile: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns A' [tile, points], G [points, 3] and B' [points, points].

    Toom's and Cook's. A filter is the transpose of a product of polynomials: G
    and A evaluate them at every point, the last of which is infinity, and B
    interpolates.
    """
    roots = np.array(_ROOTS[tile])
    points = len(roots) + 1
    from_products = np.zeros([tile, points])
    kernel = np.zeros([points, _KERNEL])
    pixels = np.zeros([points, points])
    for row, root in enumerate(roots):
        others = np.delete(roots, row)
        from_products[:, row] = root ** np.arange(tile)
        kernel[row] = root ** np.arange(_KERNEL) / np.prod(root - others)
        pixels[row, :-1] = np.poly(others)[::-1]
    from_products[-1, -1] = kernel[-1, -1] = 1
    pixels[-1] = np.poly(roots)[::-1]
    return from_products, kernel, pixels
