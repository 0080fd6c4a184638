"""What holds for any two samples at all, tried on many."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kliep_tf.density_ratio.kliep import (
    density_ratio,
    fit_kliep,
    log_density_ratio,
)

pytestmark = pytest.mark.filterwarnings("ignore:bandwidth")

any_samples = hypothesis.settings(
    max_examples=15, deadline=None, derandomize=True
)

# On a grid, so that points often coincide.
coordinates = st.integers(-24, 24).map(lambda step: step / 8)


def samples(most):
    shapes = st.tuples(st.integers(1, most), st.just(2))
    return arrays.arrays(np.float64, shapes, elements=coordinates)


bandwidths = st.floats(-2, 2).map(lambda power: 10.0**power)
problems = hypothesis.given(samples(60), samples(40), bandwidths)


@any_samples
@problems
def test_weights_are_a_certified_ratio(source, target, bandwidth):
    result = fit_kliep(source, target, bandwidth=bandwidth)
    weights = density_ratio(source, result)
    assert np.isfinite(weights).all() and weights.min() >= 0
    assert result.alpha.min() >= 0 and result.constant >= 0
    assert weights.mean() == pytest.approx(1.0, abs=1e-5)
    assert 0 <= result.duality_gap <= 1e-6 and result.converged
    # The constant function alone is w = 1, where J = 0.
    assert result.log_likelihood >= 0
    on_target = log_density_ratio(target, result).mean()
    assert result.log_likelihood == pytest.approx(on_target, abs=1e-5)


@any_samples
@problems
def test_no_mixture_of_kernels_is_better(source, target, bandwidth):
    # The certificate by hand: at any feasible w, J* - J <= log max_l g_l.
    result = fit_kliep(source, target, bandwidth=bandwidth)

    def log_kernels(points):
        squares = ((points[:, None] - target[None]) ** 2).sum(axis=2)
        return -squares / (2 * bandwidth**2)

    log_means = np.logaddexp.reduce(log_kernels(source), axis=0)
    log_means -= np.log(len(source))
    log_ratio = log_density_ratio(target, result)
    terms = log_kernels(target) - log_means - log_ratio[:, None]
    prices = np.logaddexp.reduce(terms, axis=0) - np.log(len(target))
    assert prices.max() <= 2e-5
    assert np.mean(np.exp(-log_ratio)) <= 1 + 2e-5


@any_samples
@problems
def test_permuted_samples_permute_the_weights(source, target, bandwidth):
    rng = np.random.default_rng(0)
    order = rng.permutation(len(source))
    plain = fit_kliep(source, target, bandwidth=bandwidth)
    permuted = fit_kliep(
        source[order], rng.permutation(target), bandwidth=bandwidth
    )
    assert permuted.log_likelihood == pytest.approx(
        plain.log_likelihood, abs=3e-6
    )
    np.testing.assert_allclose(
        density_ratio(source[order], permuted),
        density_ratio(source, plain)[order],
        rtol=2e-2,
        atol=2e-2,
    )


@any_samples
@hypothesis.given(
    samples(60),
    samples(40),
    bandwidths,
    st.floats(-3, 3).map(lambda power: 10.0**power),
    st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)),
)
def test_the_unit_and_the_origin_change_nothing(
    source, target, bandwidth, unit, origin
):
    def moved(points):
        return unit * (points + origin)

    plain = fit_kliep(source, target, bandwidth=bandwidth)
    other = fit_kliep(moved(source), moved(target), bandwidth=unit * bandwidth)
    assert other.log_likelihood == pytest.approx(plain.log_likelihood, abs=2e-5)
    # Where there are target points the optimal ratio is unique.
    np.testing.assert_allclose(
        log_density_ratio(moved(target), other),
        log_density_ratio(target, plain),
        atol=2e-2,
    )
