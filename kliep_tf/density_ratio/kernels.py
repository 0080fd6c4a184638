"""Gaussian kernels in the log domain, by blocks.

K(x, c) = exp(-|x - c|^2 / (2 bandwidth^2)). Squared distances come from one
matrix product after centring on the target's mean, and serve every bandwidth.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

_BLOCK_ENTRIES = 1 << 21  # of the distance blocks computed at once
_KEPT_ENTRIES = 1 << 26  # of the distances kept for further passes
# Largest rounding error allowed in a log kernel before float64 is used.
_LOG_ERROR = 1e-5
_FLOAT32_ROUNDING = 2.0**-24


@dataclasses.dataclass(frozen=True)
class Frame:
    """Where features are moved before distances are taken.

    Distances do not change with the origin; rounding errors do.

    Attributes:
        origin: [d] float64, near the target's mean.
        scale: the largest distance from there; distances are in this unit.
    """

    origin: np.ndarray
    scale: float

    def place(
        self,
        points: np.ndarray,
        dtype: type,
        rows: int | None = None,
        padding: float = 0.0,
    ) -> np.ndarray:
        """Returns (points - origin) / scale as [N, d] of `dtype`.

        With `rows`, rows of `padding` are added up to that number.
        """
        size, dim = points.shape
        placed = np.empty((size if rows is None else rows, dim), points.dtype)
        # The origin is representable in float32, so float32 features stay
        # float32 and lose nothing that they had.
        np.subtract(points, self.origin.astype(points.dtype), placed[:size])
        placed[:size] *= points.dtype.type(1.0 / self.scale)
        placed[size:] = padding
        return placed.astype(dtype, copy=False)

    def inverse_width(self, bandwidth: float) -> float:
        """Returns 1 / (2 bandwidth^2) in units of this frame."""
        return 0.5 * (self.scale / bandwidth) ** 2

    def dtype_for(
        self, bandwidth: float, log_error: float = _LOG_ERROR
    ) -> type:
        """Returns the precision that log kernels of this width need."""
        # No squared distance is above 4 (both points within one scale).
        error = 4.0 * self.inverse_width(bandwidth) * _FLOAT32_ROUNDING
        return np.float32 if error <= log_error else np.float64


def make_frame(source: np.ndarray, target: np.ndarray) -> Frame:
    """Returns the frame of two samples, [N_s, d] and [N_t, d]."""
    origin = np.mean(target, axis=0, dtype=np.float64)
    origin = origin.astype(np.float32).astype(np.float64)
    largest = max(_largest_norm(points, origin) for points in (source, target))
    return Frame(origin, largest if largest > 0 else 1.0)


def _largest_norm(points: np.ndarray, origin: np.ndarray) -> float:
    rows = max(1, _BLOCK_ENTRIES // points.shape[1])
    largest = 0.0
    for first in range(0, len(points), rows):
        moved = points[first : first + rows] - origin.astype(points.dtype)
        extent = float(np.abs(moved).max())
        if extent > 0:
            moved /= moved.dtype.type(extent)
            norms = np.einsum("nd,nd->n", moved, moved)
            largest = max(largest, extent * float(np.sqrt(norms.max())))
    return largest


def padded_size(size: int, least: int = 256) -> int:
    """Returns a size >= `size` out of a sparse set (at most 1/8 more).

    Arrays are padded to these sizes, because XLA compiles for each shape.
    """
    if size <= least:
        return least
    step = max(least, 1 << ((size - 1).bit_length() - 4))
    return -(-size // step) * step


class SquaredDistances:
    """The squared distances of points to centers, in blocks of rows.

    Attributes:
        num_points: rows without padding.
        width: columns with padding (a multiple of 128, at least one column of
            zeros: the constant function seen as a center).
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
        self._centers = frame.place(centers, dtype, self.width, np.nan)
        limit = max(256, _BLOCK_ENTRIES // self.width)
        self._rows = _even_blocks(self.num_points, limit)
        keep &= self.num_points * self.width <= _KEPT_ENTRIES
        self._kept = list(self._compute()) if keep else None

    def blocks(self) -> Iterator[tuple[int, int, tf.Tensor]]:
        """Yields (first row, last row + 1, [rows padded, width] distances)."""
        yield from self._compute() if self._kept is None else self._kept

    def whole(self) -> tf.Tensor:
        """Returns all rows as one tensor [padded_size(N), width]."""
        blocks = list(self.blocks())
        if len(blocks) == 1:
            return blocks[0][2]
        whole = tf.concat([block[: b - a] for a, b, block in blocks], axis=0)
        rows = padded_size(self.num_points)
        return tf.pad(whole, [[0, rows - self.num_points], [0, 0]])

    def column_sums(
        self, log_weights: np.ndarray, inverse_width: float
    ) -> np.ndarray:
        """Returns float64 [width], log sum_i exp(log_weights_i) K(x_i, c_l).

        `log_weights` is float64 [N]; -inf leaves a point out.
        """
        total = np.full(self.width, -np.inf)
        inverse_width = tf.constant(inverse_width, tf.float64)
        for first, last, block in self.blocks():
            weights = _pad_rows(log_weights[first:last], len(block), -np.inf)
            sums = _column_sums(block, weights, inverse_width)
            total = np.logaddexp(total, sums.numpy())
        return total

    def row_sums(
        self, log_weights: np.ndarray, inverse_width: float
    ) -> np.ndarray:
        """Returns float64 [N], log sum_l exp(log_weights_l) K(x_i, c_l).

        `log_weights` is float64 [width]; -inf leaves a center out.
        """
        sums = np.empty(self.num_points)
        inverse_width = tf.constant(inverse_width, tf.float64)
        for first, last, block in self.blocks():
            part = _row_sums(block, log_weights, inverse_width)
            sums[first:last] = part.numpy()[: last - first]
        return sums

    def _compute(self) -> Iterator[tuple[int, int, tf.Tensor]]:
        for first in range(0, self.num_points, self._rows):
            last = min(first + self._rows, self.num_points)
            points = self._frame.place(
                self._points[first:last], self._dtype, padded_size(self._rows)
            )
            yield first, last, squared_distances(points, self._centers)


def padded_width(num_centers: int) -> int:
    """Returns a number of columns for centers and the constant."""
    return padded_size(num_centers + 1, least=128)


@tf.function(jit_compile=True, autograph=False)
def squared_distances(points: tf.Tensor, centers: tf.Tensor) -> tf.Tensor:
    """Returns [N, b] squared distances; 0 to a center that is NaN (padding)."""
    padding = tf.math.is_nan(centers[:, :1])
    centers = tf.where(padding, tf.zeros_like(centers), centers)
    products = tf.linalg.matmul(points, centers, transpose_b=True)
    squares = tf.reduce_sum(points**2, axis=1)[:, None] + tf.reduce_sum(
        centers**2, axis=1
    )
    distances = tf.maximum(squares - 2.0 * products, 0.0)
    return tf.where(padding[:, 0], tf.zeros_like(distances), distances)


@tf.function(jit_compile=True, autograph=False)
def scaled_kernels(
    distances: tf.Tensor, log_means: tf.Tensor, inverse_width: tf.Tensor
) -> tf.Tensor:
    """Returns float32 [N, b], K / exp(log_means), each row's maximum made 1.

    Scaled so, no width underflows. A column whose log mean is +inf is 0.
    """
    dtype = distances.dtype
    logs = -distances * tf.cast(inverse_width, dtype)
    logs -= tf.cast(log_means, dtype)
    logs -= tf.reduce_max(logs, axis=1, keepdims=True)
    return tf.cast(tf.exp(logs), tf.float32)


@tf.function(jit_compile=True, autograph=False)
def _column_sums(distances, log_weights, inverse_width):
    return _log_sum_exp(distances, log_weights[:, None], inverse_width, axis=0)


@tf.function(jit_compile=True, autograph=False)
def _row_sums(distances, log_weights, inverse_width):
    return _log_sum_exp(distances, log_weights[None, :], inverse_width, axis=1)


def _log_sum_exp(distances, log_weights, inverse_width, axis):
    """Returns the float64 log sum of exp(log_weights) K along an axis."""
    dtype = distances.dtype
    logs = tf.cast(log_weights, dtype) - distances * tf.cast(
        inverse_width, dtype
    )
    largest = tf.reduce_max(logs, axis=axis, keepdims=True)
    largest = tf.maximum(largest, dtype.min)  # where all are -inf
    terms = tf.cast(tf.exp(logs - largest), tf.float64)
    largest = tf.cast(tf.squeeze(largest, axis), tf.float64)
    return largest + tf.math.log(tf.reduce_sum(terms, axis=axis))


def median_distance(
    source: np.ndarray, target: np.ndarray, frame: Frame, seed: int = 0
) -> float:
    """Returns the median distance between target points, in their own unit.

    Taken over at most 1,000 points drawn with `seed` and over distances above
    0. Where all target points coincide, the median distance to the source
    stands in; where everything coincides, 1.
    """
    rng = np.random.default_rng(seed)
    some_target = frame.place(_sample(target, 1000, rng), np.float64)
    for other in (some_target, None):
        if other is None:
            other = frame.place(_sample(source, 1000, rng), np.float64)
        squares = np.sum(some_target**2, 1)[:, None] + np.sum(other**2, 1)
        distances = squares - 2.0 * some_target @ other.T
        # What rounding leaves of a distance between equal points is not one.
        positive = distances[distances > 1e-13 * squares]
        if other is some_target:
            positive = distances[
                (distances > 1e-13 * squares)
                & ~np.eye(len(distances), dtype=bool)
            ]
        if positive.size:
            return float(np.sqrt(np.median(positive)) * frame.scale)
    return 1.0


def _sample(points: np.ndarray, size: int, rng) -> np.ndarray:
    if len(points) <= size:
        return np.asarray(points)
    rows = np.sort(rng.choice(len(points), size, replace=False))
    return np.asarray(points[rows])


def _even_blocks(size: int, limit: int) -> int:
    """Returns the rows of each block so that blocks are about equal."""
    count = -(-size // limit)
    return -(-size // count)


def _pad_rows(array: np.ndarray, rows: int, value: float) -> np.ndarray:
    if len(array) == rows:
        return array
    padding = [(0, rows - len(array))] + [(0, 0)] * (array.ndim - 1)
    return np.pad(array, padding, constant_values=value)
