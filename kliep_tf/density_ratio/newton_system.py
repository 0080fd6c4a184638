"""The interior point method's linear systems, under XLA."""

from typing import NamedTuple

import tensorflow as tf

# Of the float32 products P'DP, relative to their diagonal: what rounding
# leaves, so that nearly equal columns do not make the system indefinite.
_RIDGE = 2e-7
_BLOCK = 8


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
        cls, kernels: tf.Tensor, curvature: tf.Tensor, barrier: tf.Tensor
    ) -> "NewtonSystem":
        """Forms and inverts the system of kernels P' [b, n].

        The product is taken in float32. That changes the direction of a step a
        little but not the solution, whose residuals are float64.
        """
        root = tf.cast(tf.sqrt(curvature), tf.float32)
        rows = kernels * root
        gram = tf.linalg.matmul(rows, rows, transpose_b=True)
        gram = tf.cast(gram, tf.float64)
        diagonal = tf.linalg.diag_part(gram)
        system = gram + tf.linalg.diag(_RIDGE * diagonal + barrier)
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
