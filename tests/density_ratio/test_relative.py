import itertools
import warnings

import numpy as np
import pytest
import scipy.optimize

from kliep_tf.density_ratio.relative import (
    fit_relative_kliep,
    relative_from_arrays,
    relative_ratio,
    reverse_ratio,
)
from kliep_tf.density_ratio.relative_selection import widest_of_the_best
from kliep_tf.density_ratio.result import to_arrays
from kliep_tf.errors import UserError
from tests.density_ratio.small_samples import gaussian_kernel, two_samples


def rows_by_hand(source, target, centers, of_target, bandwidth, a):
    """Returns r and r' of each basis function at target and source points."""
    at = {"target": target, "source": source}
    values = {
        name: gaussian_kernel(x, centers, bandwidth) for name, x in at.items()
    }
    means = a * values["target"].mean(0) + (1 - a) * values["source"].mean(0)
    found = {}
    for name, value in values.items():
        share = value / means
        own = np.where(of_target, share, (1 - (1 - a) * share) / a)
        reverse = np.where(of_target, (1 - a * share) / (1 - a), share)
        ones = np.ones((len(value), 1))
        found[name] = np.hstack([own, ones]), np.hstack([reverse, ones])
    return found


def weights_by_hand(number, share):
    """Returns how much each point counts as its own domain and as the other."""
    wrong = 1 / (number + 2)
    return share * (1 - wrong) / number, share * wrong / number


def objective_by_hand(target_ratios, source_ratios, a):
    (own_t, reverse_t), (own_s, reverse_s) = target_ratios, source_ratios
    right_t, wrong_t = weights_by_hand(len(own_t), a)
    right_s, wrong_s = weights_by_hand(len(own_s), 1 - a)
    return (
        right_t * np.log(own_t).sum()
        + wrong_t * np.log(reverse_t).sum()
        + right_s * np.log(reverse_s).sum()
        + wrong_s * np.log(own_s).sum()
    )


def test_two_points_by_hand():
    # Half of the target lies at 0 and half at 9, of the source a quarter and
    # three quarters: with p_t = (1/2, 1/2) and p_s = (1/4, 3/4), 2 p_t / (p_t +
    # p_s) is 4/3 at 0 and 4/5 at 9. Kernels of width 1 tell 0 from 9.
    target = np.repeat([[0.0], [9.0]], [100, 100], axis=0)
    source = np.repeat([[0.0], [9.0]], [50, 150], axis=0)
    result = fit_relative_kliep(source, target, bandwidth=1.0, num_centers=20)
    # Smoothed labels move it by one in N + 2, here half of a percent.
    np.testing.assert_allclose(
        relative_ratio([[0.0], [9.0]], result), [4 / 3, 4 / 5], atol=4e-3
    )
    np.testing.assert_allclose(
        reverse_ratio([[0.0], [9.0]], result), [2 / 3, 6 / 5], atol=4e-3
    )


def test_disjoint_domains_are_told_apart_and_keep_the_bound():
    target, source = np.zeros((20, 1)), np.full((30, 1), 9.0)
    result = fit_relative_kliep(source, target, bandwidth=1.0)
    ratios = relative_ratio([[0.0], [9.0]], result)
    # The optimum of the smoothed labels: r / 2 = 21/22 and 1 - 31/32, together
    # with the mean of 1.
    assert 1.9 < ratios[0] < 2 and 0 < ratios[1] < 0.1
    assert ratios.mean() == pytest.approx(1.0, abs=1e-5)
    assert result.log_likelihood < np.log(2)


@pytest.mark.parametrize("bandwidth, a", [(0.4, 0.5), (2.0, 0.5), (1.0, 0.2)])
def test_certificate_and_optimum_by_hand(bandwidth, a):
    source, target = two_samples(0)
    result = fit_relative_kliep(
        source, target, bandwidth=bandwidth, mixture=a, num_centers=15
    )
    assert result.converged and 0 <= result.duality_gap <= 1e-6
    # The drawn centers: those that carry weight are some of them.
    rng = [np.random.default_rng(0) for _ in range(2)]
    centers = np.concatenate(
        [
            target[np.sort(rng[0].choice(40, 15, replace=False))],
            source[np.sort(rng[1].choice(60, 15, replace=False))],
        ]
    )
    of_target = np.arange(30) < 15
    rows = rows_by_hand(source, target, centers, of_target, bandwidth, a)
    ratios = {
        name: (relative_ratio(x, result), reverse_ratio(x, result))
        for name, x in (("target", target), ("source", source))
    }
    value = objective_by_hand(ratios["target"], ratios["source"], a)
    assert result.log_likelihood == pytest.approx(value, abs=2e-5)
    # The certificate: no basis function has a price above 1.
    prices = 0.0
    for name, share, right_first in (
        ("target", a, True),
        ("source", 1 - a, False),
    ):
        counts = weights_by_hand(len(rows[name][0]), share)
        counts = counts if right_first else counts[::-1]
        for count, basis, ratio in zip(
            counts, rows[name], ratios[name], strict=True
        ):
            prices = prices + count * (basis / ratio[:, None]).sum(axis=0)
    assert np.log(prices.max()) <= 1e-4
    # SciPy finds no better one.
    found = scipy.optimize.minimize(
        lambda theta: (
            -objective_by_hand(
                [np.maximum(part @ theta, 1e-300) for part in rows["target"]],
                [np.maximum(part @ theta, 1e-300) for part in rows["source"]],
                a,
            )
        ),
        np.append(np.full(30, 0.01), 0.7),
        bounds=[(0, 1)] * 31,
        constraints={"type": "eq", "fun": lambda theta: theta.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 300},
    )
    assert result.log_likelihood >= -found.fun - 1e-5


@pytest.mark.parametrize("bandwidth", [0.05, 0.5, 1.5, 5.0])
@pytest.mark.parametrize("num_centers", [10, None])
def test_it_converges_on_many_samples(bandwidth, num_centers):
    # Where a single image bounds the ratio, long steps would end in a corner:
    # of these samples, steps of 0.995 to the boundary do so for six fits.
    for seed, a in itertools.product((1, 3), (0.5, 0.2)):
        source, target = two_samples(seed)
        result = fit_relative_kliep(
            source, target, num_centers, bandwidth, mixture=a
        )
        assert result.duality_gap <= 1e-6, (seed, a)


def test_certificate_fails_where_the_solver_stops_early(monkeypatch):
    from kliep_tf.density_ratio import interior_point

    monkeypatch.setattr(interior_point, "MAX_ITERATIONS", 1)
    source, target = two_samples(1)
    with pytest.warns(UserWarning, match="relative KLIEP stopped up to"):
        result = fit_relative_kliep(
            source, target, bandwidth=0.5, num_centers=10, compiled=False
        )
    assert not result.converged and result.duality_gap > 1e-4
    monkeypatch.undo()
    best = fit_relative_kliep(source, target, bandwidth=0.5, num_centers=10)
    assert best.converged
    shortfall = best.log_likelihood - result.log_likelihood
    assert 0 < shortfall <= result.duality_gap


@pytest.mark.parametrize("sizes", [(150, 150), (150, 30)])
def test_known_ratio_of_gaussians(sizes):
    # N(1, 1/2) over N(0, 1) by the densities' formulas, whatever the numbers.
    rng = np.random.default_rng(0)
    source = rng.normal(size=(sizes[0], 1))
    target = 1.0 + 0.5 * rng.normal(size=(sizes[1], 1))
    result = fit_relative_kliep(source, target, num_centers=40)
    x = np.concatenate([source, target])
    plain = np.exp(x**2 / 2 - (x - 1) ** 2 / 0.5)[:, 0] / 0.5
    true = 2 * plain / (1 + plain)
    found = relative_ratio(x, result)
    assert np.sqrt(np.mean((found - true) ** 2)) < 0.25
    assert np.corrcoef(found, true)[0, 1] > 0.9
    # Mean 1 over the mixture, each domain counting equally.
    means = [relative_ratio(part, result).mean() for part in (source, target)]
    assert np.mean(means) == pytest.approx(1.0, abs=1e-5)
    # The same, in the reverse direction's words.
    assert reverse_ratio(target, result).mean() == pytest.approx(
        means[0], abs=1e-5
    )


def test_bounds_hold_everywhere_and_at_all_images_strictly():
    source, target = two_samples(2)
    for a, bandwidth in itertools.product((0.3, 0.5), (0.05, 1.0)):
        result = fit_relative_kliep(
            source, target, bandwidth=bandwidth, mixture=a
        )
        known = relative_ratio(np.concatenate([source, target]), result)
        assert known.min() > 0 and known.max() < 1 / a
        anywhere = 3 * np.random.default_rng(0).normal(size=(500, 2))
        found = relative_ratio(anywhere, result)
        reverse = reverse_ratio(anywhere, result)
        assert found.min() >= 0 and found.max() <= 1 / a
        np.testing.assert_allclose(a * found + (1 - a) * reverse, 1.0)


def test_exchanged_domains_exchange_the_ratios():
    source, target = two_samples(3)
    there = fit_relative_kliep(source, target, bandwidth=0.8)
    back = fit_relative_kliep(target, source, bandwidth=0.8)
    assert there.log_likelihood == pytest.approx(back.log_likelihood, abs=3e-6)
    np.testing.assert_allclose(
        relative_ratio(source, there), reverse_ratio(source, back), atol=2e-3
    )


def test_all_centers_are_never_worse_than_some():
    source, target = two_samples(4, 150, 130)
    some = fit_relative_kliep(source, target, bandwidth=0.7, num_centers=40)
    every = fit_relative_kliep(source, target, bandwidth=0.7)
    assert every.duality_gap <= 1e-6
    assert every.log_likelihood >= some.log_likelihood - 1e-6


def test_arrays_and_back(tmp_path):
    source, target = two_samples(5)
    result = fit_relative_kliep(source, target, bandwidth=0.7, num_centers=10)
    np.savez(tmp_path / "result.npz", **to_arrays(result))
    with np.load(tmp_path / "result.npz") as arrays:
        loaded = relative_from_arrays(arrays)
    np.testing.assert_array_equal(
        relative_ratio(source, loaded), relative_ratio(source, result)
    )
    assert loaded.duality_gap == result.duality_gap


def test_what_memory_cannot_hold_is_refused(monkeypatch):
    # 200 points and 96 columns, by 90 bytes: 1.7 MB of 1 MiB.
    monkeypatch.setattr(
        "os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 256}.__getitem__
    )
    with pytest.raises(UserError, match=r"relative_kliep: .*found 200 with 96"):
        fit_relative_kliep(*two_samples(0, 120, 80), 5, bandwidth=1.0)


def test_identical_domains_have_ratios_of_one():
    points, _ = two_samples(6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = fit_relative_kliep(points, points, num_centers=20)
    np.testing.assert_allclose(relative_ratio(points, result), 1, atol=0.1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"mixture": 1.0}, "mixture: expected a number above 0 and below 1"),
        ({"mixture": "half"}, "mixture: expected a number"),
        ({"num_centers": 0}, "num_centers: expected a whole number"),
        ({"bandwidth": -1}, "bandwidth: expected a number above 0"),
        ({"num_folds": 1}, "num_folds: expected a whole number"),
        ({"kernel": "linear"}, "kernel: expected one of gaussian, rational"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        fit_relative_kliep(*two_samples(0), **arguments)


def test_of_widths_that_may_be_equally_good_the_widest_is_taken():
    # Rows are widths and columns are folds. The second is best; the third
    # is lower by .1 in the mean, and that by chance; the last by .5 each time.
    scores = np.array(
        [[0.0, 0.0, 0.1], [0.5, 0.6, 0.4], [0.6, 0.2, 0.4], [0.0, 0.1, -0.1]]
    )
    assert widest_of_the_best(scores) == 2
