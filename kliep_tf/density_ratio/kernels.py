"""Gaussian kernels in the log domain, by blocks.

K(x, c) = exp(-|x - c|^2 / (2 bandwidth^2)). Squared distances come from one
matrix product after centring near the target's mean, and serve every
bandwidth. Centers are rows and points are columns: sums over points then run
along memory, which is what there is most of.

TensorFlow Probability's psd_kernels take the same product and about as long
(10,000 points, 100 centers, d = 300, under XLA on a busy machine: 15 CPU ms;
squared_distances and an exponential after it 24), but give the kernel itself:
it underflows at small widths, and each width would take the product anew.
"""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from kliep_tf.density_ratio.frame import Frame

_BLOCK_ENTRIES = 1 << 21  # of the blocks, of features or distances, at once
_KEPT_ENTRIES = 1 << 26  # of the distances kept for further passes


def padded_size(size: int, least: int = 256) -> int:
    """Returns a size >= `size` out of a sparse set (at most 1/8 more).

    Arrays are padded to these sizes, because XLA compiles for each shape.
    """
    if size <= least:
        return least
    step = max(least, 1 << ((size - 1).bit_length() - 4))
    return -(-size // step) * step


class SquaredDistances:
    """The squared distances of centers to points, in blocks of points.

    Attributes:
        num_points: without padding.
        width: number of centers with padding (a multiple of 128, at least one
            row of zeros: the constant function seen as a center).
    """

    def __init__(
        self,
        points: np.ndarray,
        centers: np.ndarray,
        frame: Frame,
        dtype: type,
        *,
        width: int | None = None,
        keep: bool = True,
    ):
        self.num_points = len(points)
        self.width = width or padded_width(len(centers))
        self._points = points
        self._frame = frame
        self._dtype = dtype
        self._centers = tf.constant(
            frame.place(centers, dtype, self.width, np.nan)
        )
        limit = max(256, _BLOCK_ENTRIES // max(self.width, points.shape[1]))
        self._rows = _even_blocks(self.num_points, limit)
        keep &= self.num_points * self.width <= _KEPT_ENTRIES
        self._kept = list(self._compute()) if keep else None

    def blocks(self) -> Iterator[tuple[int, int, tf.Tensor]]:
        """Yields (first, last + 1, [width, points padded] distances)."""
        yield from self._compute() if self._kept is None else self._kept

    def whole(self) -> tf.Tensor:
        """Returns all as one tensor [width, padded_size(N)]."""
        blocks = list(self.blocks())
        if len(blocks) == 1:
            return blocks[0][2]
        whole = tf.concat([block[:, : b - a] for a, b, block in blocks], axis=1)
        size = padded_size(self.num_points)
        return tf.pad(whole, [[0, 0], [0, size - self.num_points]])

    def log_sums_over_points(
        self, log_weights: np.ndarray, inverse_width: float
    ) -> np.ndarray:
        """Returns float64 [width], log sum_i exp(log_weights_i) K(x_i, c_l).

        `log_weights` is float64 [N]; -inf leaves a point out.
        """
        total = np.full(self.width, -np.inf)
        inverse_width = tf.constant(inverse_width, tf.float64)
        for first, last, block in self.blocks():
            weights = _padded(log_weights[first:last], block.shape[1], -np.inf)
            sums = _log_sums_over_points(block, weights, inverse_width)
            total = np.logaddexp(total, sums.numpy())
        return total

    def prices(
        self,
        log_weights: np.ndarray,
        log_means: np.ndarray,
        inverse_width: float,
    ) -> np.ndarray:
        """Returns float64 [width]: sum_i exp(log_weights_i - log_means_l) K.

        `log_means` is [b], of the centers without padding. Terms below e^-87
        count as 0 and above e^80 as e^80: at an optimum none is above 1.
        """
        total = np.zeros(self.width)
        log_means = _padded(log_means, self.width, np.inf)
        inverse_width = tf.constant(inverse_width, tf.float64)
        for first, last, block in self.blocks():
            weights = _padded(log_weights[first:last], block.shape[1], -np.inf)
            total += _prices(block, weights, log_means, inverse_width).numpy()
        return total

    def log_sums_over_centers(
        self, log_weights: np.ndarray, inverse_width: float
    ) -> np.ndarray:
        """Returns float64 [N], log sum_l exp(log_weights_l) K(x_i, c_l).

        `log_weights` is float64 [width]; -inf leaves a center out.
        """
        sums = np.empty(self.num_points)
        log_weights = tf.constant(log_weights, tf.float64)
        inverse_width = tf.constant(inverse_width, tf.float64)
        for first, last, block in self.blocks():
            part = _log_sums_over_centers(block, log_weights, inverse_width)
            sums[first:last] = part.numpy()[: last - first]
        return sums

    def _compute(self) -> Iterator[tuple[int, int, tf.Tensor]]:
        for first in range(0, self.num_points, self._rows):
            last = min(first + self._rows, self.num_points)
            points = self._frame.place(
                self._points[first:last], self._dtype, padded_size(self._rows)
            )
            yield first, last, squared_distances(self._centers, points)


def padded_width(num_centers: int) -> int:
    """Returns a number of rows for centers and the constant."""
    return padded_size(num_centers + 1, least=128)


@tf.function(jit_compile=True, autograph=False)
def squared_distances(centers: tf.Tensor, points: tf.Tensor) -> tf.Tensor:
    """Returns [b, N] squared distances; 0 to a center that is NaN (padding)."""
    padding = tf.math.is_nan(centers[:, :1])
    centers = tf.where(padding, tf.zeros_like(centers), centers)
    products = tf.linalg.matmul(centers, points, transpose_b=True)
    squares = tf.reduce_sum(centers**2, axis=1)[:, None] + tf.reduce_sum(
        points**2, axis=1
    )
    distances = tf.maximum(squares - 2.0 * products, 0.0)
    return tf.where(padding, tf.zeros_like(distances), distances)


@tf.function(jit_compile=True, autograph=False)
def scaled_kernels(
    distances: tf.Tensor, log_means: tf.Tensor, inverse_width: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns K / exp(log_means), each point's largest made 1, and its log.

    Scaled so, no width underflows. A center whose log mean is +inf has 0.

    Returns:
        float32 [b, N] and float64 [N], log of what each point was divided by.
    """
    logs = _log_kernels(distances, -log_means[:, None], inverse_width)
    largest = tf.reduce_max(logs, axis=0)
    kernels = tf.cast(tf.exp(logs - largest), tf.float32)
    return kernels, tf.cast(largest, tf.float64)


@tf.function(jit_compile=True, autograph=False)
def _log_sums_over_points(distances, log_weights, inverse_width):
    logs = _log_kernels(distances, log_weights, inverse_width)
    largest = tf.reduce_max(logs, axis=1)
    largest = tf.maximum(largest, logs.dtype.min)  # where all are -inf
    terms = _sum_over_points(tf.exp(logs - largest[:, None]))
    return tf.cast(largest, tf.float64) + tf.math.log(terms)


@tf.function(jit_compile=True, autograph=False)
def _prices(distances, log_weights, log_means, inverse_width):
    logs = _log_kernels(distances, log_weights, inverse_width)
    logs -= tf.cast(log_means, logs.dtype)[:, None]
    return _sum_over_points(tf.exp(tf.minimum(logs, 80.0)))


@tf.function(jit_compile=True, autograph=False)
def _log_sums_over_centers(distances, log_weights, inverse_width):
    logs = _log_kernels(distances, log_weights[:, None], inverse_width)
    largest = tf.maximum(tf.reduce_max(logs, axis=0), logs.dtype.min)
    terms = tf.cast(tf.exp(logs - largest), tf.float64)
    total = tf.math.log(tf.reduce_sum(terms, axis=0))
    return tf.cast(largest, tf.float64) + total


def _log_kernels(distances, log_weights, inverse_width):
    """Returns log_weights + log K, in the precision of the distances."""
    dtype = distances.dtype
    inverse_width = tf.cast(inverse_width, dtype)
    return tf.cast(log_weights, dtype) - distances * inverse_width


def _sum_over_points(terms):
    """Returns float64 [b]; as a product, it takes XLA half the time."""
    ones = tf.ones([terms.shape[1]], tf.float64)
    return tf.linalg.matvec(tf.cast(terms, tf.float64), ones)


def _even_blocks(size: int, limit: int) -> int:
    """Returns the rows of each block so that blocks are about equal."""
    count = -(-size // limit)
    return -(-size // count)


def _padded(values: np.ndarray, size: int, value: float) -> tf.Tensor:
    padding = (0, size - len(values))
    return tf.constant(np.pad(values, padding, constant_values=value))
