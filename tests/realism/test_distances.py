"""Kernel and Frechet distances against closed forms and other programs."""

import numpy as np
import pytest
import scipy.linalg
from sklearn.metrics.pairwise import polynomial_kernel

from kliep_tf.errors import UserError
from kliep_tf.realism.distances import (
    frechet_distance,
    kernel_distance,
    squared_mmd,
)


def test_squared_mmd_of_four_numbers_by_hand():
    # d = 1, k(x, y) = (xy + 1)^3: k(0, 1) = 1, k(2, 3) = 343, and across
    # k(0, 2) = k(0, 3) = 1, k(1, 2) = 27, k(1, 3) = 64, of mean 93 / 4.
    found = squared_mmd(np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]]))
    assert found == pytest.approx(1 + 343 - 2 * 93 / 4)


def test_squared_mmd_has_the_kernel_of_scikit_learn():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(7, 5)), rng.normal(1, size=(9, 5))

    def kernel(x, y):
        return polynomial_kernel(x, y, degree=3, gamma=None, coef0=1)

    def pairs(x):
        return kernel(x, x)[~np.eye(len(x), dtype=bool)].mean()

    expected = pairs(first) + pairs(second) - 2 * kernel(first, second).mean()
    assert squared_mmd(first, second) == pytest.approx(expected)


def _features(number: int, shift: float) -> np.ndarray:
    grid = np.arange(number * 6.0).reshape(number, 6)
    return np.sin(grid**2 + shift) + shift * np.cos(grid)


def test_both_distances_are_those_of_torch_fidelity():
    # As torch-fidelity 0.4.0 computed them of these two samples of features:
    # kid_features_to_metric with one subset of all, fid_statistics_to_metric.
    first, second = _features(50, 0.0), _features(50, 0.7)
    assert squared_mmd(first, second) == pytest.approx(0.0773774840369974)
    assert frechet_distance(first, second) == pytest.approx(0.8194530297560929)


def test_kernel_distance_is_unbiased_and_a_thousand_times_mmd():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(40, 3)), rng.normal(0.5, size=(60, 3))
    found = kernel_distance(first, second, num_subsets=4000, subset_size=15)
    # The mean over subsets of a U-statistic is the one of the whole samples.
    standard_error = found.deviation / np.sqrt(4000)
    whole = 1000 * squared_mmd(first, second)
    assert abs(found.mean - whole) < 4 * standard_error
    assert (found.subset_size, found.num_subsets) == (15, 4000)


def test_small_samples_are_halved_so_that_subsets_differ():
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(10, 3)), rng.normal(size=(30, 3))
    found = kernel_distance(first, second, num_subsets=5)
    assert found.subset_size == 5
    assert found.deviation > 0


def test_too_few_examples_are_refused():
    with pytest.raises(UserError, match=r"at least 4 .* found 3 and 9"):
        kernel_distance(np.zeros((3, 2)), np.zeros((9, 2)))
    with pytest.raises(UserError, match=r"at least 2 .* found 1 and 9"):
        frechet_distance(np.zeros((1, 2)), np.zeros((9, 2)))


def test_frechet_distance_of_numbers_by_hand():
    # Variances (n - 1 below) 2 and 8, means 1 and 5:
    # 16 + 2 + 8 - 2 * sqrt(16) = 18.
    found = frechet_distance(np.array([[0], [2]]), np.array([[3], [7]]))
    assert found == pytest.approx(18)


def test_frechet_distance_is_that_of_scipys_matrix_root():
    rng = np.random.default_rng(3)
    first = rng.normal(size=(50, 4)) @ rng.normal(size=(4, 4))
    second = rng.normal(1, size=(60, 4)) @ rng.normal(size=(4, 4))
    c1, c2 = np.cov(first.T), np.cov(second.T)
    difference = first.mean(0) - second.mean(0)
    expected = difference @ difference + np.trace(
        c1 + c2 - 2 * scipy.linalg.sqrtm(c1 @ c2).real
    )
    assert frechet_distance(first, second) == pytest.approx(expected)


def test_frechet_distance_of_fewer_examples_than_features_is_a_number():
    rng = np.random.default_rng(4)
    sample = rng.normal(size=(5, 12))
    assert frechet_distance(sample, sample) == pytest.approx(0, abs=1e-6)
