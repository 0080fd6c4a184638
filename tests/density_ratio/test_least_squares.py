import importlib

import numpy as np
import pytest

from kliep_tf.density_ratio.kernel_moments import (
    KernelSums,
    LeftOut,
    Moments,
)
from kliep_tf.density_ratio.least_squares import (
    fit_least_squares,
    least_squares_ratio,
)
from kliep_tf.errors import UserError
from tests.density_ratio.small_samples import gaussian_kernel, two_samples


def test_sums_of_blocks_are_those_of_all_points():
    kernels = np.random.default_rng(0).random((7, 3))
    rows = np.array([6, 0, 3])
    sums = KernelSums.of([kernels[:3], kernels[3:6], kernels[6:]], rows)
    assert sums.size == 7
    np.testing.assert_allclose(sums.gram, kernels.T @ kernels)
    np.testing.assert_allclose(sums.total, kernels.sum(axis=0))
    np.testing.assert_array_equal(sums.some, kernels[rows])


def test_one_center_by_hand():
    # Target {0}, source {0, 2}, center 0, width 1: K is 1 and e^-2, so H is
    # (1 + e^-4) / 2 and h is 1.
    result = fit_least_squares(
        [[0.0], [2.0]], [[0.0], [0.0]], 1, bandwidth=1, ridge=0.5
    )
    theta = 1 / ((1 + np.exp(-4)) / 2 + 0.5)
    np.testing.assert_allclose(
        least_squares_ratio([[0.0], [2.0]], result),
        theta * np.exp([0.0, -2.0]),
        rtol=1e-6,
    )


@pytest.mark.parametrize("a", [0.0, 0.5])
def test_another_program_finds_the_same_ratio(a):
    pytest.importorskip("densratio")
    solver = importlib.import_module("densratio.RuLSIF")
    source, target = two_samples(0)
    # All 40 target points are centers, so that nothing is drawn.
    theirs = solver.RuLSIF(
        target,
        source,
        alpha=a,
        sigma_range=[0.8],
        lambda_range=[0.1],
        kernel_num=40,
        verbose=False,
    )
    ours = fit_least_squares(
        source, target, bandwidth=0.8, ridge=0.1, mixture=a
    )
    np.testing.assert_allclose(
        least_squares_ratio(source, ours),
        np.ravel(theirs.compute_density_ratio(source)),
        rtol=1e-5,
    )


@pytest.mark.parametrize("a", [0.0, 0.5])
@pytest.mark.parametrize("ridge", [0.01, 1.0])
def test_leave_one_out_is_that_of_fits_without_each_pair(a, ridge):
    source, target = two_samples(1, 12, 9)
    own, other = (gaussian_kernel(x, target[:5], 0.9) for x in (target, source))
    number = len(own)
    errors = []
    for i in range(number):
        kept, kept_other = np.delete(own, i, 0), np.delete(other, i, 0)
        system = a * kept.T @ kept / len(kept)
        system += (1 - a) * kept_other.T @ kept_other / len(kept_other)
        theta = np.linalg.solve(system + ridge * np.eye(5), kept.mean(0))
        theta = np.maximum(theta, 0)
        here, there = own[i] @ theta, other[i] @ theta
        errors.append(a / 2 * here**2 + (1 - a) / 2 * there**2 - here)
    sums = [
        KernelSums.of([matrix[:4], matrix[4:]], np.arange(number))
        for matrix in (own, other)
    ]
    left_out = LeftOut(Moments.of(*sums, a), *(part.some for part in sums))
    assert left_out.error(ridge) == pytest.approx(np.mean(errors), rel=1e-9)


@pytest.mark.parametrize("a", [0.0, 0.5])
def test_known_ratio_of_gaussians(a):
    # N(1, 1/2) over N(0, 1), by the densities' formulas.
    rng = np.random.default_rng(0)
    source = rng.normal(size=(400, 1))
    target = 1.0 + 0.5 * rng.normal(size=(400, 1))
    result = fit_least_squares(source, target, 50, mixture=a)
    x = source[:, 0]
    plain = np.exp(x**2 / 2 - (x - 1) ** 2 / 0.5) / 0.5
    true = plain / (a * plain + 1 - a)
    found = least_squares_ratio(source, result)
    assert found.min() >= 0
    assert np.corrcoef(found, true)[0, 1] > 0.95
    assert np.mean((found - true) ** 2) < 0.1 * np.mean(true**2)


def test_the_best_score_is_chosen():
    result = fit_least_squares(*two_samples(2))
    best = np.nanargmax(result.selection.scores)
    assert result.bandwidth == result.selection.bandwidths[best]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"ridge": 0}, "ridge: expected a number above 0"),
        ({"bandwidth": "wide"}, "bandwidth: expected a number above 0"),
        ({"num_centers": -2}, "num_centers: expected a whole number"),
        ({"num_centers": 501}, "num_centers: expected at most 500"),
        ({"mixture": -0.5}, "mixture: expected a share from 0 to below 1"),
        ({"mixture": 1.0}, "mixture: expected a share from 0 to below 1"),
        ({"mixture": np.nan}, "mixture: expected a share from 0 to below 1"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        fit_least_squares(*two_samples(0), **arguments)


def test_one_point_is_too_few_at_any_bandwidth():
    source, target = two_samples(0)
    with pytest.raises(UserError, match="expected two points of each"):
        fit_least_squares(source, target[:1], bandwidth=1.0)
