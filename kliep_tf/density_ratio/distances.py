"""Squared distances of centers to points, by blocks of points."""

import numpy as np
import tensorflow as tf

from kliep_tf.density_ratio import blocks, exponents, kernel_sums
from kliep_tf.density_ratio.coordinates import Coordinates
from kliep_tf.density_ratio.exponents import Exponents
from kliep_tf.density_ratio.samples import Sample


class SquaredDistances(Exponents):
    """The squared distances of centers to points: the Gaussian's exponents."""

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
        """Takes distances of `centers` [b, d] in units of the coordinates."""
        width = width or exponents.padded_width(len(centers))
        self._sample = sample
        self._coordinates = coordinates
        self._in_place = coordinates.keeps_in_place(sample.points, dtype)
        # What is not copied takes no memory, and each block costs calls.
        copied = not (self._in_place and blocks.can_share(sample.points))
        columns = centers.shape[1] if copied else 0
        limit = exponents.BLOCK_ENTRIES // max(width, columns)
        super().__init__(len(sample), width, dtype, limit, keep)
        self._centers = self._placed_centers(centers)
        self._present = tf.constant(np.arange(width) < len(centers))

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


def _with_squares(points: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns points [N, d] and their squared norms [N].

    NumPy's sums along the rows are several times as fast as XLA's.
    """
    squares = np.vecdot(points, points)
    return tf.constant(points), tf.constant(squares)
