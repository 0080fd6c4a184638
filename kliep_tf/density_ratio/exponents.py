"""Kernels of centers at points, as exponents, by blocks of points.

A kernel is K(x, c) = exp(-rate * exponent(x, c)): of the Gaussian kernel the
exponent is the squared distance, which serves every bandwidth. Sums of kernels
are taken in the log domain, so that no width underflows.

Blocks bound the memory, however many points there are. Two are worked on at a
time; several GPUs share them.
"""

import abc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from kliep_tf.density_ratio import blocks, kernel_sums

BLOCK_ENTRIES = 1 << 21  # of a block, of features or exponents
_BLOCK_ROWS = 64  # a multiple of which a block has
_LEAST_SHARE = 1e-20  # of the largest term, that float32 sums still show
_KEPT_ENTRIES = 1 << 26  # of the exponents kept for further passes


class Exponents(abc.ABC):
    """The exponents of centers at points, in blocks of points.

    Attributes:
        num_points: without padding.
        width: number of centers with padding (a multiple of 8, at least one
            row of zeros: the constant function seen as a center).
    """

    def __init__(
        self, num_points: int, width: int, dtype: type, limit: int, keep: bool
    ):
        """Sets the blocks up; `limit` is the most points of a block."""
        self.num_points = num_points
        self.width = width
        self._dtype = dtype
        self._rows = _even_blocks(num_points, max(256, limit))
        self._keep = keep and num_points * width <= _KEPT_ENTRIES
        self._kept: dict[int, tf.Tensor] = {}

    @abc.abstractmethod
    def _compute(self, first: int) -> tf.Tensor:
        """Returns [width, rows], of the points from `first` on."""

    def blocks(self) -> Iterator[tuple[int, int, tf.Tensor]]:
        """Yields (first, last + 1, [width, points padded] exponents)."""
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

    def as_one_block(self) -> "Exponents":
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

    def sums_over_points(
        self, weights: np.ndarray, log_means: np.ndarray, inverse_width: float
    ) -> np.ndarray:
        """Returns float64 [width]: sum_i weights_i K(x_i, c_l) / mean_l.

        Args:
            weights: [N], of either sign.
            log_means: [b], log mean_l of the centers without padding.
            inverse_width: of the kernel.
        """
        means = _padded(log_means, self.width, np.inf)
        rate = tf.constant(inverse_width, tf.float64)

        def sums(part: slice, block: tf.Tensor) -> np.ndarray:
            padded = _padded(weights[part], block.shape[1], 0.0)
            return kernel_sums.sums_over_points(
                block, padded, means, rate
            ).numpy()

        return sum(sums for _, _, sums in self._of_blocks(sums))

    def sums_over_centers(
        self, weights: np.ndarray, inverse_width: float
    ) -> np.ndarray:
        """Returns float64 [N]: sum_l weights_l K(x_i, c_l).

        `weights` is [width], of either sign.
        """
        padded = tf.constant(weights, tf.float64)
        rate = tf.constant(inverse_width, tf.float64)
        total = np.empty(self.num_points)

        def sums(_: slice, block: tf.Tensor) -> np.ndarray:
            return kernel_sums.sums_over_centers(block, padded, rate).numpy()

        for first, last, found in self._of_blocks(sums):
            total[first:last] = found[: last - first]
        return total

    def _of_blocks(
        self, function: Callable[[slice, tf.Tensor], Any]
    ) -> Iterator[tuple[int, int, Any]]:
        """Yields (first, last + 1, function(points' slice, exponents))."""
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
