import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.translation.tiling.strips import (
    Rows,
    measure,
    overwrite,
    pooled,
    rows_of,
    store,
)

STRIP_HEIGHTS = (1, 2, 3, 100)


def numbers(height=7, width=2, channels=3):
    """Returns float32 [1, H, W, C], all values different."""
    count = height * width * channels
    return np.arange(count, dtype=np.float32).reshape(
        1, height, width, channels
    )


def with_neighbours(rows):
    """Row r becomes r - 1, 10 r and r + 1 together; beyond an edge is 0."""

    def read(stored, start, stop):
        first = tf.maximum(start - 1, 0)
        last = tf.minimum(stop + 1, rows.height)
        values = rows.read(stored, first, last)
        above, below = start - first < 1, last - stop < 1
        edges = [tf.cast(above, tf.int32), tf.cast(below, tf.int32)]
        values = tf.pad(values, [[0, 0], edges, [0, 0], [0, 0]])
        return values[:, :-2] + 10 * values[:, 1:-1] + values[:, 2:]

    return Rows(rows.height, rows.channels, rows.stored, read)


def traced(function):
    return tf.function(function, autograph=False)


@pytest.mark.parametrize("strip_height", STRIP_HEIGHTS)
@pytest.mark.parametrize("compile", [lambda f: f, traced])
def test_rows_are_replaced_while_neighbours_are_read(strip_height, compile):
    values = numbers()

    def replace(values, strip_height):
        rows, _ = store(rows_of(values), strip_height, slot=1)
        rows, moments = overwrite(with_neighbours(rows), strip_height, slot=0)
        return rows.take(0, rows.height), moments

    found, moments = compile(replace)(
        tf.constant(values), tf.constant(strip_height)
    )
    padded = np.pad(values, [(0, 0), (1, 1), (0, 0), (0, 0)])
    expected = padded[:, :-2] + 10 * values + padded[:, 2:]
    np.testing.assert_array_equal(found, expected)
    flat = expected.reshape(-1, 3)
    np.testing.assert_allclose(moments.mean, flat.mean(0), rtol=1e-6)
    np.testing.assert_allclose(moments.variance, flat.var(0), rtol=1e-5)


def test_without_a_free_slot_a_neighbour_would_be_lost():
    """What the slot is for: strip 2 finds row 0 replaced."""
    rows, _ = store(rows_of(tf.constant(numbers())), tf.constant(1))
    rows, _ = overwrite(with_neighbours(rows), tf.constant(1))
    values = numbers()
    right = values[:, 0] + 10 * values[:, 1] + values[:, 2]
    assert not np.array_equal(rows.take(1, 2)[:, 0], right)


@pytest.mark.parametrize("strip_height", STRIP_HEIGHTS)
def test_sum_takes_the_place_of_its_first_part(strip_height):
    first = rows_of(tf.constant(numbers()))
    first, _ = store(first, tf.constant(strip_height), slot=1)
    second = rows_of(tf.constant(numbers() ** 2))
    rows, _ = overwrite(first.add(second), tf.constant(strip_height), slot=1)
    expected = numbers() + numbers() ** 2
    np.testing.assert_array_equal(rows.take(0, 7), expected)


@pytest.mark.parametrize("strip_height", STRIP_HEIGHTS)
def test_statistics_are_the_whole_images(strip_height):
    rows = rows_of(tf.constant(numbers())).map(lambda values: values + 1)
    moments = measure(rows, tf.constant(strip_height))
    flat = 1 + numbers().reshape(-1, 3)
    np.testing.assert_allclose(moments.mean, flat.mean(0), rtol=1e-6)
    np.testing.assert_allclose(moments.variance, flat.var(0), rtol=1e-5)


def test_moments_of_strips_make_those_of_the_whole():
    # 1 2 3 has mean 2 and variance 2/3; 10 has mean 10 and variance 0.
    found = pooled(
        tf.constant([3.0, 1.0]),
        tf.constant([[2.0], [10.0]]),
        tf.constant([[2 / 3], [0.0]]),
    )
    values = np.array([1, 2, 3, 10])
    assert found.mean.numpy() == pytest.approx([values.mean()])
    assert found.variance.numpy() == pytest.approx([values.var()])
