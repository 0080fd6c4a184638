"""Squared distances of centers to points, by blocks of points.

Blocks bound the memory, however many points there are. Two are worked on at a
time; several GPUs share them.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from kliep_tf.density_ratio import blocks, kernel_sums
from kliep_tf.density_ratio.coordinates import Coordinates
from kliep_tf.density_ratio.samples import Sample

_BLOCK_ENTRIES = 1 << 21  # of a block, of features or distances
_BLOCK_ROWS = 64  # a multiple of which a block has
_LEAST_SHARE = 1e-20  # of the largest term, that float32 sums still show
_KEPT_ENTRIES = 1 << 26  # of the distances kept for further passes


class SquaredDistances:
    """The squared distances of centers to points, in blocks of points.

    Attributes:
        num_points: without padding.
        width: number of centers with padding (a multiple of 128, at least one
            row of zeros: the constant function seen as a center).
    """

    def __init__(
        self,
        sample: Sample,
        centers: np.ndarray,
        coordinates: Coordinates,
        dtype: type,
        *,
        width: int | None = None,
        keep: bool = True,
    ):
        self.num_points = len(sample)
        self.width = width or padded_width(len(centers))
        self._sample = sample
        self._coordinates = coordinates
        self._dtype = dtype
        self._in_place = coordinates.keeps_in_place(sample.points, dtype)
        self._centers = self._placed_centers(centers)
        self._present = tf.constant(np.arange(self.width) < len(centers))
        # What is not copied takes no memory, and each block costs calls.
        copied = not (self._in_place and blocks.can_share(sample.points))
        columns = centers.shape[1] if copied else 0
        limit = max(256, _BLOCK_ENTRIES // max(self.width, columns))
        self._rows = _even_blocks(self.num_points, limit)
        self._keep = keep and self.num_points * self.width <= _KEPT_ENTRIES
        self._kept: dict[int, tf.Tensor] = {}

    def blocks(self) -> Iterator[tuple[int, int, tf.Tensor]]:
        """Yields (first, last + 1, [width, points padded] distances)."""
        return self._of_blocks(lambda _, block: block)

    def whole(self) -> tf.Tensor:
        """Returns all as one tensor [width, padded_size(N)]."""
        found = list(self.blocks())
        if len(found) == 1:
            return found[0][2]
        parts = [block[:, : b - a] for a, b, block in found]
        padding = padded_size(self.num_points) - self.num_points
        return tf.concat(
            [*parts, tf.zeros([self.width, padding], self._dtype)], axis=1
        )

    def as_one_block(self) -> "SquaredDistances":
        """Computes all and keeps it in one piece, for very many passes."""
        whole = self.whole()
        self._keep, self._rows, self._kept = True, whole.shape[1], {0: whole}
        return self

    def log_sums_over_points(
        self, log_weights: np.ndarray, inverse_width: float
    ) -> np.ndarray:
        """Returns float64 [width], log sum_i exp(log_weights_i) K(x_i, c_l).

        `log_weights` is float64 [N]; -inf leaves a point out.
        """
        inverse_width = tf.constant(inverse_width, tf.float64)

        def log_sums(part: slice, block: tf.Tensor) -> np.ndarray:
            weights = _padded(log_weights[part], block.shape[1], -np.inf)
            return kernel_sums.log_sums_over_points(
                block, weights, inverse_width
            ).numpy()

        total = np.full(self.width, -np.inf)
        for _, _, sums in self._of_blocks(log_sums):
            total = np.logaddexp(total, sums)
        return total

    def log_means_of_parts(
        self, parts: np.ndarray, inverse_width: float
    ) -> np.ndarray:
        """Returns float64 [k, width], log of the mean K over each part.

        `parts` is bool [k, N], and every part has a point. Of distances in
        one block, one pass serves all parts.
        """
        _, _, block = next(self.blocks())
        weights = np.zeros((block.shape[1], len(parts)), np.float32)
        weights[: self.num_points] = parts.T
        log_sums, shares = kernel_sums.log_sums_of_parts(
            block, tf.constant(weights), tf.constant(inverse_width, tf.float64)
        )
        log_means = log_sums.numpy() - np.log(parts.sum(axis=1))[:, None]
        # A part far from the point nearest to some center, one by one.
        for i in np.flatnonzero(shares.numpy().min(axis=1) < _LEAST_SHARE):
            log_weights = np.where(parts[i], -np.log(parts[i].sum()), -np.inf)
            log_means[i] = self.log_sums_over_points(log_weights, inverse_width)
        return log_means

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
        log_means = _padded(log_means, self.width, np.inf)
        inverse_width = tf.constant(inverse_width, tf.float64)

        def prices(part: slice, block: tf.Tensor) -> np.ndarray:
            weights = _padded(log_weights[part], block.shape[1], -np.inf)
            return kernel_sums.prices(
                block, weights, log_means, inverse_width
            ).numpy()

        return sum(prices for _, _, prices in self._of_blocks(prices))

    def log_sums_over_centers(
        self, log_weights: np.ndarray, inverse_width: float
    ) -> np.ndarray:
        """Returns float64 [N], log sum_l exp(log_weights_l) K(x_i, c_l).

        `log_weights` is float64 [width]; -inf leaves a center out.
        """
        rows = _rows_with_weight(log_weights)
        log_weights = tf.constant(log_weights[rows], tf.float64)
        rows = tf.constant(rows, tf.int32)
        inverse_width = tf.constant(inverse_width, tf.float64)

        def log_sums(_: slice, block: tf.Tensor) -> np.ndarray:
            return kernel_sums.log_sums_over_centers(
                block, rows, log_weights, inverse_width
            ).numpy()

        total = np.empty(self.num_points)
        for first, last, sums in self._of_blocks(log_sums):
            total[first:last] = sums[: last - first]
        return total

    def _of_blocks(
        self, function: Callable[[slice, tf.Tensor], Any]
    ) -> Iterator[tuple[int, int, Any]]:
        """Yields (first, last + 1, function(points' slice, distances))."""
        starts = list(range(0, self.num_points, self._rows))
        # The last block begins early rather than to be padded, which would
        # be a copy; what it shares with the one before is taken from it.
        starts[-1] = max(self.num_points - self._rows, 0)
        ends = [*starts[1:], self.num_points]

        def of_block(number: int) -> tuple[int, int, Any]:
            first, last = starts[number], ends[number]
            with blocks.device(number):
                block = self._kept.get(first)
                if block is None:
                    block = self._compute(first)
                if self._keep:
                    self._kept[first] = block
                return first, last, function(slice(first, last), block)

        if len(self._kept) == len(starts):
            return map(of_block, range(len(starts)))
        return blocks.in_order(of_block, range(len(starts)))

    def _placed_centers(
        self, centers: np.ndarray
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns [width, d] and [width], what `squared_distances` takes.

        Points in place are in their own unit; the centers make up for it.
        """
        placed = self._coordinates.place(centers, self._dtype, self.width)
        squares = np.vecdot(placed, placed)
        if self._in_place:
            placed /= self._dtype(self._coordinates.scale)
        return tf.constant(placed), tf.constant(squares)

    def _compute(self, first: int) -> tf.Tensor:
        points = self._placed_points(slice(first, first + self._rows))
        return kernel_sums.squared_distances(
            *self._centers, self._present, *points
        )

    def _placed_points(self, part: slice) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns [rows, d] and [rows], what `squared_distances` takes."""
        coordinates, points = self._coordinates, self._sample.points[part]
        if not self._in_place:
            return _with_squares(
                coordinates.place(points, self._dtype, self._rows)
            )
        squares: np.ndarray = np.zeros(self._rows, self._dtype)
        squares[: len(points)] = (
            self._sample.norms[part] / coordinates.scale
        ) ** 2
        if len(points) < self._rows:
            padding = ((0, self._rows - len(points)), (0, 0))
            points = np.pad(points, padding)
        return blocks.shared(points), tf.constant(squares)


def padded_size(size: int, least: int = 256) -> int:
    """Returns `size` rounded up to one of few sizes (at most 1/8 more).

    Arrays are padded to these sizes, because XLA compiles for each shape.
    """
    if size <= least:
        return least
    step = max(least, 1 << ((size - 1).bit_length() - 4))
    return -(-size // step) * step


def padded_width(num_centers: int) -> int:
    """Returns a number of rows for centers and the constant."""
    return padded_size(num_centers + 1, least=128)


def close_width(num_centers: int) -> int:
    """Returns the same with less padding, for calls dearer than a compilation.

    From 96 in steps of 8: one shape serves all small numbers of centers.
    """
    return max(96, -(-(num_centers + 1) // 8) * 8)


def _rows_with_weight(log_weights: np.ndarray) -> np.ndarray:
    """Returns the rows that are not -inf, and some that are.

    32, 64, 128, ... rows: few sizes, because XLA compiles for each.
    """
    order = np.argsort(np.isneginf(log_weights), kind="stable")
    number = max(32, int(np.isfinite(log_weights).sum()))
    return order[: 1 << (number - 1).bit_length()]


def _with_squares(points: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns points [N, d] and their squared norms [N].

    NumPy's sums along the rows are several times as fast as XLA's.
    """
    squares = np.vecdot(points, points)
    return tf.constant(points), tf.constant(squares)


def _even_blocks(size: int, limit: int) -> int:
    """Returns the rows of each block so that blocks are about equal."""
    count = -(-size // limit)
    if count == 1:
        return padded_size(size)
    return -(-size // (count * _BLOCK_ROWS)) * _BLOCK_ROWS


def _padded(values: np.ndarray, size: int, value: float) -> tf.Tensor:
    padded = np.full(size, value)
    padded[: len(values)] = values
    return tf.constant(padded)
