import numpy as np
import pytest

from kliep_tf.density_ratio import tfp_kernels
from kliep_tf.density_ratio.kliep import (
    density_ratio,
    fit_kliep,
    from_arrays,
    to_arrays,
)
from kliep_tf.errors import UserError

psd_kernels = tfp_kernels.tfp.math.psd_kernels
pytestmark = pytest.mark.filterwarnings("ignore:bandwidth")


def two_samples(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(90, 3)), 0.7 * rng.normal(size=(60, 3)) + 0.4


def gaussian(width):
    return psd_kernels.ExponentiatedQuadratic(length_scale=np.float64(width))


def test_the_gaussian_of_both_agree():
    source, target = two_samples()
    ours = fit_kliep(source, target, bandwidth=0.8)
    theirs = fit_kliep(source, target, kernel=gaussian(0.8))
    np.testing.assert_allclose(
        density_ratio(source, theirs), density_ratio(source, ours), atol=1e-3
    )
    assert theirs.log_likelihood == pytest.approx(ours.log_likelihood, abs=1e-6)
    selected = fit_kliep(source, target, num_centers=20, bandwidths=[0.5, 1.0])
    again = fit_kliep(
        source, target, 20, kernel=gaussian, bandwidths=[0.5, 1.0]
    )
    assert again.bandwidth == selected.bandwidth
    np.testing.assert_allclose(
        again.selection.scores, selected.selection.scores, atol=1e-4
    )


FORMULAS = {
    "rational_quadratic": lambda d, h: 1 / (1 + d**2 / (2 * h**2)),
    "matern": lambda d, h: (1 + 3**0.5 * d / h) * np.exp(-(3**0.5) * d / h),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_certificate_and_ratio_by_the_kernels_formula(
    name, tmp_path, monkeypatch
):
    # Small blocks: several of them, the last one padded.
    monkeypatch.setattr(tfp_kernels, "_BLOCK_ENTRIES", 1)
    source, target = two_samples(1)
    source = np.concatenate([source] * 4)
    result = fit_kliep(source, target, bandwidth=0.7, kernel=name)
    assert result.converged and result.duality_gap <= 1e-6

    def kernel(x, centers):
        distances = np.linalg.norm(x[:, None] - centers[None], axis=2)
        return FORMULAS[name](distances, 0.7)

    by_hand = result.constant + kernel(source, result.centers) @ result.alpha
    np.testing.assert_allclose(density_ratio(source, result), by_hand, 1e-4)
    assert by_hand.mean() == pytest.approx(1.0, abs=1e-5)
    columns = kernel(target, target) / kernel(source, target).mean(axis=0)
    prices = (columns / density_ratio(target, result)[:, None]).mean(axis=0)
    assert np.log(prices.max()) <= 1e-5
    loaded = from_arrays(to_arrays(result))
    np.testing.assert_array_equal(
        density_ratio(target, loaded), density_ratio(target, result)
    )


def test_kernels_that_cannot_be_are_one_line():
    source, target = two_samples()
    for kernel, message in (
        ("cosine", "kernel: expected one of gaussian, rational_quadratic, mat"),
        (3.0, r"kernel: expected a name, .* found 3\.0"),
        (psd_kernels.Linear(), "kernel: expected .* to be 0 or more"),
    ):
        with pytest.raises(UserError, match=message):
            fit_kliep(source, target, kernel=kernel)
    with pytest.raises(UserError, match="bandwidth: expected None beside"):
        fit_kliep(source, target, kernel=gaussian(1.0), bandwidth=1.0)
    result = fit_kliep(source, target, kernel=gaussian(1.0))
    with pytest.raises(UserError, match="kernel: expected one with a name"):
        to_arrays(result)
