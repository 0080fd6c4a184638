"""The distances of Table II against closed forms and SciPy on all values."""

import numpy as np
import pytest
from scipy import optimize, stats

from kliep_tf.experiments.toy_study import distances


def test_source_row_is_that_of_the_paper():
    exact = distances.exact_source_measures()
    assert exact.wasserstein == pytest.approx(2.55, abs=0.011)
    assert exact.energy == pytest.approx(1.39, abs=0.011)


def test_source_row_in_closed_form():
    exact = distances.exact_source_measures()
    assert exact.mean == 5.0
    assert exact.std == pytest.approx(10 / np.sqrt(12))
    # The distribution functions x/10 and Phi(2 (x - 7)) cross once, near 7.3,
    # and their signed areas differ by 7 - 5: W = 2 A - 2, A the area below.
    normal = stats.norm(7, 0.5)
    cross = optimize.brentq(lambda x: x / 10 - normal.cdf(x), 7, 8)
    below_normal = (cross - 7) * normal.cdf(cross) + 0.25 * normal.pdf(cross)
    area = cross**2 / 20 - below_normal
    assert exact.wasserstein == pytest.approx(2 * area - 2, abs=1e-6)
    # energy^2 = 2 E|X - Y| - E|X - X'| - E|Y - Y'|, and for y in [0, 10]
    # E|X - y| = (y^2 + (10 - y)^2) / 20, with E y^2 = 49.25.
    square = 2 * (49.25 + 9.25) / 20 - 10 / 3 - 2 * 0.5 / np.sqrt(np.pi)
    assert exact.energy == pytest.approx(np.sqrt(square), abs=1e-6)


def test_merged_neighbours_change_no_distance():
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 10, 200_000).astype(np.float32)
    target = rng.normal(7, 0.5, 200_000).astype(np.float32)
    found = distances.measure(values, distances.distribution(target))
    assert len(distances.distribution(values).values) < 40_000
    assert found.wasserstein == pytest.approx(
        stats.wasserstein_distance(values, target), abs=1e-4
    )
    assert found.energy == pytest.approx(
        stats.energy_distance(values, target), abs=1e-4
    )


def test_weights_count_values():
    target = distances.distribution(np.array([0.0, 4.0]))
    values = np.array([3.0, 1.0])
    found = distances.measure(values, target, np.array([1.0, 3.0]))
    repeated = distances.measure(np.array([1.0, 1.0, 1.0, 3.0]), target)
    assert found == pytest.approx(repeated)
    # 1, 1 from 0 and 1, 3 from 4: (1 + 1 + 3 + 1) / 4.
    assert found.wasserstein == pytest.approx(1.5)
    assert found.mean == pytest.approx(1.5)


def test_a_value_of_weight_zero_is_not_there():
    target = distances.distribution(np.array([1.0, 2.0]))
    found = distances.measure(
        np.array([1.0, 2.0, 1000.0]), target, np.array([1.0, 1.0, 0.0])
    )
    assert found.wasserstein == 0.0
