"""Activations of a whole image that are computed strip by strip.

A strip is some rows of an image across its whole width. Rows are stored one by
one in a TensorArray, not as one tensor: those that nothing needs any longer are
freed at once, and a row can be replaced while its neighbours are still read.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Rows:
    """An activation [1, H, W, C], computed where it is taken.

    Attributes:
        height: int32 [], H.
        channels: C.
        stored: rows [W, C] that it is computed from, if any are stored.
        read: takes `stored`, `start` and `stop`, the latter two int32 [], and
            returns the rows between them, float32 [1, stop - start, W, C].
    """

    height: tf.Tensor
    channels: int
    stored: tf.TensorArray | None
    read: Callable[[Any, tf.Tensor, tf.Tensor], tf.Tensor]

    def take(self, start: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
        """Returns rows `start` to `stop`, [1, stop - start, W, C]."""
        return self.read(self.stored, start, stop)

    def map(self, function: Callable[[tf.Tensor], tf.Tensor]) -> "Rows":
        """Applies a function of values, whatever their rows."""
        return dataclasses.replace(
            self,
            read=lambda stored, start, stop: function(
                self.read(stored, start, stop)
            ),
        )

    def add(self, other: "Rows") -> "Rows":
        """Adds another activation of the same shape."""
        return dataclasses.replace(
            self,
            read=lambda stored, start, stop: (
                self.read(stored, start, stop) + other.take(start, stop)
            ),
        )


class Moments(NamedTuple):
    """Statistics of every channel of an image."""

    mean: tf.Tensor  # float32 [C]
    variance: tf.Tensor  # float32 [C]


def rows_of(image: tf.Tensor) -> Rows:
    """Returns the rows of [1, H, W, C], which must have a static C."""
    return Rows(
        height=tf.shape(image)[1],
        channels=image.shape[-1],
        stored=None,
        read=lambda _, start, stop: image[:, start:stop],
    )


def measure(rows: Rows, strip_height: tf.Tensor) -> Moments:
    """Computes all rows, keeps none, and returns their statistics."""
    _, moments = _sweep(
        rows, strip_height, (), lambda _, *strip: (rows.take(*strip), ())
    )
    return moments


def store(
    rows: Rows, strip_height: tf.Tensor, slot: int = 0
) -> tuple[Rows, Moments]:
    """Computes all rows and keeps them.

    Args:
        rows: what to compute.
        strip_height: int32 [], rows computed at a time.
        slot: where row 0 goes. As many rows can be put before it later.
    """
    stored = tf.TensorArray(
        tf.float32,
        rows.height + slot,
        element_shape=[None, rows.channels],
        clear_after_read=False,
    )

    def compute(
        stored: tf.TensorArray, start: tf.Tensor, stop: tf.Tensor
    ) -> tuple[tf.Tensor, tf.TensorArray]:
        values = rows.take(start, stop)
        return values, _put(stored, start + slot, values)

    stored, moments = _sweep(rows, strip_height, stored, compute)
    return _stored_rows(rows, stored, slot), moments


def overwrite(
    rows: Rows, strip_height: tf.Tensor, slot: int = 0
) -> tuple[Rows, Moments]:
    """Computes all rows and keeps them instead of those they come from.

    A strip is written before the next one is read. Where a row is computed from
    neighbours, its own slot must therefore stand as many before theirs.

    Args:
        rows: what to compute, from stored rows that are lost.
        strip_height: int32 [], rows computed at a time.
        slot: where row 0 goes.
    """

    def compute(
        stored: tf.TensorArray, start: tf.Tensor, stop: tf.Tensor
    ) -> tuple[tf.Tensor, tf.TensorArray]:
        # Of the loop's own array: one from outside would keep all old rows.
        values = rows.read(stored, start, stop)
        return values, _put(stored, start + slot, values)

    stored, moments = _sweep(rows, strip_height, rows.stored, compute)
    return _stored_rows(rows, stored, slot), moments


def pooled(sizes: tf.Tensor, means: tf.Tensor, variances: tf.Tensor) -> Moments:
    """Returns the moments of the union of strips from those of each.

    Args:
        sizes: float32 [T], in any unit.
        means: float32 [T, C].
        variances: float32 [T, C].
    """
    shares = (sizes / tf.reduce_sum(sizes))[:, None]
    mean = tf.reduce_sum(shares * means, 0)
    spread = variances + tf.square(means - mean)
    return Moments(mean, tf.reduce_sum(shares * spread, 0))


def _sweep(
    rows: Rows,
    strip_height: tf.Tensor,
    stored: Any,
    compute: Callable[[Any, tf.Tensor, tf.Tensor], tuple[tf.Tensor, Any]],
) -> tuple[Any, Moments]:
    """Visits every strip, one at a time, from top to bottom.

    Args:
        rows: tells how many.
        strip_height: int32 [].
        stored: what the first visit is given, the others what the one before
            returned.
        compute: of stored, start and stop; returns values, float32
            [1, stop - start, W, C], and what is stored then.
    """
    number = -(-rows.height // strip_height)

    def visit(
        strip: tf.Tensor, stored: Any, arrays: list[tf.TensorArray]
    ) -> tuple[tf.Tensor, Any, list[tf.TensorArray]]:
        start = strip * strip_height
        stop = tf.minimum(start + strip_height, rows.height)
        values, stored = compute(stored, start, stop)
        arrays = [
            array.write(strip, value)
            for array, value in zip(arrays, _moments(values), strict=True)
        ]
        return strip + 1, stored, arrays

    arrays = [
        tf.TensorArray(tf.float32, number, element_shape=shape)
        for shape in ([], [rows.channels], [rows.channels])
    ]
    _, stored, arrays = tf.while_loop(
        lambda strip, *_: strip < number,
        visit,
        (0, stored, arrays),
        parallel_iterations=1,
    )
    return stored, pooled(*(array.stack() for array in arrays))


def _moments(values: tf.Tensor) -> list[tf.Tensor]:
    mean, variance = tf.nn.moments(values, [0, 1, 2])
    return [tf.cast(tf.size(values), tf.float32), mean, variance]


def _put(
    stored: tf.TensorArray, slot: tf.Tensor, values: tf.Tensor
) -> tf.TensorArray:
    """Puts rows, [1, h, W, C], from `slot` on."""
    return stored.scatter(slot + tf.range(tf.shape(values)[1]), values[0])


def _stored_rows(rows: Rows, stored: tf.TensorArray, slot: int) -> Rows:
    def read(
        array: tf.TensorArray, start: tf.Tensor, stop: tf.Tensor
    ) -> tf.Tensor:
        return array.gather(slot + tf.range(start, stop))[None]

    return Rows(rows.height, rows.channels, stored, read)
