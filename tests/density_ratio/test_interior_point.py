import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.density_ratio.gradient_ascent import GradientAscent
from kliep_tf.density_ratio.interior_point import InteriorPoint
from kliep_tf.density_ratio.newton_system import (
    NewtonSystem,
    inverse_of_positive,
)


def arguments(columns, weights=None):
    """Pads P [n, b] and turns it to [32, 8], as the solver wants it."""
    columns = np.asarray(columns, np.float32)
    size, width = columns.shape
    if weights is None:
        weights = np.full(size, 1 / size)
    # A row of ones and weight 0 plays no part.
    padded = np.pad(columns, [(0, 8 - size), (0, 0)], constant_values=1)
    return (
        tf.constant(np.pad(padded, [(0, 0), (0, 32 - width)]).T),
        tf.constant(np.arange(32) < width),
        tf.constant(np.pad(weights, (0, 8 - size)), tf.float64),
        tf.constant(1e-8, tf.float64),
    )


@pytest.mark.parametrize("compiled", [False, True])
def test_diagonal_problem_by_hand(compiled):
    # max sum q log a over the simplex: a = q.
    q = [0.5, 0.3, 0.2]
    solution = InteriorPoint(compiled).solve(*arguments(np.eye(3), q))
    np.testing.assert_allclose(solution.a[:3], q, atol=1e-6)
    assert solution.gap <= 1e-8


def test_a_dominated_column_gets_nothing():
    columns = [[2.0, 1.0], [4.0, 1.0]]
    solution = InteriorPoint().solve(*arguments(columns))
    np.testing.assert_allclose(solution.a[:2], [1, 0], atol=1e-6)


def test_a_point_of_weight_zero_plays_no_part():
    columns = np.random.default_rng(0).random((5, 3))
    with_it = InteriorPoint().solve(
        *arguments(columns, [0.25, 0.25, 0.25, 0.25, 0])
    )
    without = InteriorPoint().solve(*arguments(columns[:4]))
    np.testing.assert_allclose(with_it.a, without.a, atol=1e-5)


def test_scaling_a_row_changes_nothing():
    columns = np.random.default_rng(1).random((6, 3))
    scaled = columns * np.array([[1e-6, 1, 3, 1, 1e5, 1]]).T
    plain = InteriorPoint().solve(*arguments(columns))
    other = InteriorPoint().solve(*arguments(scaled))
    np.testing.assert_allclose(plain.a, other.a, atol=1e-4)


@pytest.mark.parametrize("size", [32, 64, 128])
def test_inverse(size):
    rng = np.random.default_rng(size)
    root = rng.normal(size=(size, 2 * size))
    matrix = root @ root.T / size
    inverse = inverse_of_positive(tf.constant(matrix))
    np.testing.assert_allclose(inverse @ matrix, np.eye(size), atol=1e-10)


def test_gradient_ascent_goes_on_where_a_point_of_weight_zero_is_lost():
    # The first column serves the first point alone, and so falls to 0.
    columns, q = np.eye(3), [0.0, 0.9, 0.1]
    with_it = GradientAscent(compiled=False).solve(*arguments(columns, q))
    without = GradientAscent(compiled=False).solve(
        *arguments(columns[1:], q[1:])
    )
    assert with_it.a[0] == 0.0
    np.testing.assert_allclose(with_it.a, without.a, atol=1e-12)


def test_gradient_ascent_gets_near_on_an_easy_problem():
    q = [0.5, 0.3, 0.2]
    solution = GradientAscent().solve(*arguments(np.eye(3), q))
    np.testing.assert_allclose(solution.a[:3], q, atol=0.02)
    np.testing.assert_allclose(tf.reduce_sum(solution.a), 1)


def test_a_start_saves_iterations_alone():
    columns = np.random.default_rng(2).random((6, 3))
    solver = InteriorPoint(compiled=False)
    plain = solver.solve(*arguments(columns))
    again = solver.solve(*arguments(columns), plain.a)
    np.testing.assert_allclose(again.a, plain.a, atol=1e-5)
    assert again.gap <= 1e-8
    assert again.num_iterations < plain.num_iterations


def test_signed_entries_by_hand():
    # w = (2 a - b, 2 b - a) over a + b = 1 is (3 a - 1, 2 - 3 a): with weights
    # .7 and .3 the optimum is 3 a - 1 = .7. The third column is a place to
    # start; at the optimum it would be worth .4 / .7 * .7 + .4 / .3 * .3 = .8.
    columns = np.array([[2.0, -1.0, 0.4], [-1.0, 2.0, 0.4]])
    start = tf.constant(np.array([0.05, 0.05, 0.9, *[0.0] * 29]))
    solution = InteriorPoint(compiled=False, signed=True).solve(
        *arguments(columns, [0.7, 0.3]), start
    )
    np.testing.assert_allclose(
        solution.a[:3], [1.7 / 3, 1.3 / 3, 0.0], atol=1e-5
    )
    assert solution.gap <= 1e-8


@pytest.mark.parametrize("num_points", [4096, 8292])
def test_float64_products_tell_nearly_equal_columns_apart(num_points):
    """8,292 points are two blocks and a rest, 4,096 one block alone."""
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.uniform(size=[1, num_points]), 8, axis=0)
    rows = (rows + 1e-4 * rng.uniform(size=rows.shape)).astype(np.float32)
    curvature = rng.uniform(0.5, 2.0, num_points)
    wanted = rng.normal(size=8)
    exact = (rows.astype(np.float64) * curvature) @ rows.T.astype(np.float64)

    def error(dtype):
        arguments = (rows, curvature, np.zeros(8), exact @ wanted)
        found = _newton_solution(*map(tf.constant, arguments), dtype)
        return np.abs(found.numpy() - wanted).max()

    assert error(tf.float64) < 1e-3
    assert error(tf.float32) > 0.1


@tf.function(jit_compile=True, autograph=False)
def _newton_solution(kernels, curvature, barrier, right, dtype):
    return NewtonSystem.of(kernels, curvature, barrier, dtype).solve(right)
