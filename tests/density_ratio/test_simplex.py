import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.density_ratio import simplex
from kliep_tf.density_ratio.interior_point import InteriorPoint
from kliep_tf.density_ratio.simplex import Problem


@pytest.fixture
def widths(monkeypatch):
    """Screens small problems; returns how many columns each solve had."""
    monkeypatch.setattr(simplex, "_SCREENED_POINTS", 64)
    monkeypatch.setattr(simplex, "_SOME_POINTS", 8)
    monkeypatch.setattr(simplex, "_SOME_COLUMNS", 16)
    monkeypatch.setattr(simplex, "_MOST_ACTIVE", 12)
    return []


def groups(number, widths):
    """Returns a problem of 32 columns and 128 points, in groups.

    Each group has a column of its own, which is 1 there and .1 elsewhere, so
    that each of these columns gets an equal share.
    """

    class Recorder(InteriorPoint):
        def solve(self, columns, *arguments):
            widths.append(columns.shape[0])
            return super().solve(columns, *arguments)

    group = np.arange(128) * number // 128
    columns = np.full((32, 128), 0.01, np.float32)
    columns[:number] = np.where(group == np.arange(number)[:, None], 1, 0.1)
    return Problem(
        tf.constant(columns),
        np.ones(32, bool),
        np.full(128, 1 / 128),
        # Each number of columns would be compiled anew.
        Recorder(compiled=False),
    )


def test_all_points_are_solved_over_the_few_columns_that_matter(widths):
    found = groups(4, widths).solve_screened(1e-7, 1e-6)
    assert widths == [32, 16]
    assert found.gap <= 1e-6
    np.testing.assert_allclose(found.a[:4], 0.25, atol=1e-5)


def test_a_column_that_was_missed_is_noticed(widths):
    # Eight points know of 8 of the 32 groups at most.
    found = groups(32, widths).solve_screened(1e-7, 1e-6)
    assert widths == [32, 16, 32]
    assert found.gap <= 1e-6
    np.testing.assert_allclose(found.a, 1 / 32, atol=1e-5)


def test_many_columns_are_solved_at_once(widths, monkeypatch):
    monkeypatch.setattr(simplex, "_MOST_ACTIVE", 3)
    found = groups(4, widths).solve_screened(1e-7, 1e-6)
    assert widths == [32, 32]
    np.testing.assert_allclose(found.a[:4], 0.25, atol=1e-5)


def test_points_that_the_few_columns_leave_out_are_noticed(widths):
    problem = groups(32, widths)
    columns = np.where(problem.columns.numpy() == 1, np.float32(1), 0)
    alone = Problem(
        tf.constant(columns), problem.present, problem.q, problem.solver
    )
    found = alone.solve_screened(1e-7, 1e-6)
    assert widths[-1] == 32
    np.testing.assert_allclose(found.a, 1 / 32, atol=1e-5)
