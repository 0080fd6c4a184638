"""The interior point method's linear systems, under XLA."""

from typing import NamedTuple

import tensorflow as tf

# Of the products P'DP, relative to their diagonal: what rounding leaves, so
# that nearly equal columns do not make the system indefinite.
_RIDGES = {tf.float32: 2e-7, tf.float64: 1e-13}
_BLOCK = 8
_POINTS = 4096  # of a block of products in float64; as large as a cache


class NewtonSystem(NamedTuple):
    """A system P' diag(curvature) P + diag(barrier), scaled and inverted.

    Attributes:
        scale: [b].
        system: [b, b], of unit diagonal.
        inverse: [b, b].
    """

    scale: tf.Tensor
    system: tf.Tensor
    inverse: tf.Tensor

    @classmethod
    def of(
        cls,
        kernels: tf.Tensor,
        curvature: tf.Tensor,
        barrier: tf.Tensor,
        dtype: tf.DType = tf.float32,
    ) -> "NewtonSystem":
        """Forms and inverts the system of kernels P' [b, n].

        The product is taken in `dtype`. Float32 changes the direction of a step
        a little but not the solution, whose residuals are float64. Where P a
        is the small difference of large terms, it changes the direction so
        much that steps stop short.
        """
        root = tf.cast(tf.sqrt(curvature), dtype)
        products = _products if dtype == tf.float32 else _products_by_blocks
        gram = tf.cast(products(kernels, root), tf.float64)
        diagonal = tf.linalg.diag_part(gram)
        system = gram + tf.linalg.diag(_RIDGES[dtype] * diagonal + barrier)
        scale = tf.math.rsqrt(diagonal + barrier)
        system *= scale[:, None] * scale[None, :]
        return cls(scale, system, inverse_of_positive(system))

    def solve(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the system's solution [b], refined once."""
        x = x * self.scale
        solution = tf.linalg.matvec(self.inverse, x)
        rest = x - tf.linalg.matvec(self.system, solution)
        solution += tf.linalg.matvec(self.inverse, rest)
        return solution * self.scale


def _products(kernels: tf.Tensor, root: tf.Tensor) -> tf.Tensor:
    """Returns P' diag(root^2) P [b, b] of kernels P' [b, n], in root's type."""
    rows = tf.cast(kernels, root.dtype) * root
    return tf.linalg.matmul(rows, rows, transpose_b=True)


def _products_by_blocks(kernels: tf.Tensor, root: tf.Tensor) -> tf.Tensor:
    """Returns the same without a copy of all kernels in root's type."""
    size, number = kernels.shape
    whole = number // _POINTS

    def add(i: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        first = i * _POINTS
        part = tf.slice(kernels, [0, first], [size, _POINTS])
        return i + 1, total + _products(
            part, tf.slice(root, [first], [_POINTS])
        )

    if not whole:
        return _products(kernels, root)
    rest = _products(kernels[:, whole * _POINTS :], root[whole * _POINTS :])
    return tf.while_loop(lambda i, _: i < whole, add, (0, rest))[1]


def inverse_of_positive(matrix: tf.Tensor) -> tf.Tensor:
    """Returns the inverse of a positive definite [b, b], b a multiple of 8.

    Gauss-Jordan elimination in blocks. On CPU, XLA's own Cholesky factor of
    128 columns takes twenty times as long as this inverse.
    """
    size = matrix.shape[0]
    blocks = tf.reshape(tf.range(size), [-1, _BLOCK])
    identity = tf.eye(size, dtype=matrix.dtype)

    def eliminate(
        i: tf.Tensor, matrix: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        place = tf.gather(identity, blocks[i])  # [block, size]
        rows = tf.gather(matrix, blocks[i])
        columns = tf.gather(matrix, blocks[i], axis=1)
        pivot = _small_inverse(tf.gather(rows, blocks[i], axis=1))
        outside = 1.0 - tf.reduce_sum(place, axis=0)
        rows = pivot @ (rows * outside + place)
        columns = tf.transpose(place) - columns * outside[:, None]
        matrix *= outside[:, None] * outside[None, :]
        return i + 1, matrix + columns @ rows

    num_blocks = size // _BLOCK
    return tf.while_loop(lambda i, _: i < num_blocks, eliminate, (0, matrix))[1]


def _small_inverse(block: tf.Tensor) -> tf.Tensor:
    """Returns the inverse of a positive definite [8, 8], row by row."""
    identity = tf.eye(_BLOCK, dtype=block.dtype)

    def eliminate(
        i: tf.Tensor, block: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        place = tf.gather(identity, i)
        outside = 1.0 - place
        row = tf.gather(block, i)
        column = place - tf.gather(block, i, axis=1) * outside
        row = (row * outside + place) / tf.gather(row, i)
        block *= outside[:, None] * outside[None, :]
        return i + 1, block + column[:, None] * row[None, :]

    return tf.while_loop(lambda i, _: i < _BLOCK, eliminate, (0, block))[1]
