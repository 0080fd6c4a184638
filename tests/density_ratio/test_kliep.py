import dataclasses
import warnings

import numpy as np
import pytest
import scipy.optimize

from kliep_tf.density_ratio import column_generation
from kliep_tf.density_ratio.kliep import (
    density_ratio,
    fit_kliep,
    from_arrays,
    to_arrays,
)
from kliep_tf.density_ratio.kliep import (
    log_density_ratio as log_ratio,
)
from tests.density_ratio.small_samples import gaussian_kernel

pytestmark = pytest.mark.filterwarnings("ignore:bandwidth")


def two_samples(seed, num_source=120, num_target=80, dim=3):
    rng = np.random.default_rng(seed)
    source = rng.normal(size=(num_source, dim))
    target = 0.7 * rng.normal(size=(num_target, dim)) + 0.4
    return source, target


def columns_by_hand(source, target, centers, bandwidth, constant=True):
    """Returns P of the simplex form, the constant's column last."""
    means = gaussian_kernel(source, centers, bandwidth).mean(axis=0)
    columns = gaussian_kernel(target, centers, bandwidth) / means
    if not constant:
        return columns
    return np.column_stack([columns, np.ones(len(target))])


def test_two_points_by_hand():
    # source {0, 2}, target {0}, center 0, bandwidth 1, no constant:
    # w = alpha K, mean over the source (alpha + alpha e^-2) / 2 = 1.
    result = fit_kliep([[0.0], [2.0]], [[0.0]], bandwidth=1, constant_basis=0)
    alpha = 2 / (1 + np.exp(-2))
    np.testing.assert_allclose(result.alpha, [alpha], rtol=1e-6)
    np.testing.assert_allclose(result.log_likelihood, np.log(alpha), atol=1e-6)
    np.testing.assert_allclose(
        density_ratio([[0.0], [2.0], [1.0]], result),
        alpha * np.exp([0.0, -2.0, -0.5]),
        rtol=1e-6,
    )


def test_symmetric_points_share_the_weight():
    # source {-1, 1}, target {-1, 1}: w = 1 by symmetry and Jensen.
    result = fit_kliep([[-1.0], [1.0]], [[-1.0], [1.0]], bandwidth=0.5)
    np.testing.assert_allclose(
        density_ratio([[-1.0], [1.0]], result), [1, 1], atol=1e-5
    )
    assert abs(result.log_likelihood) < 1e-6


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("bandwidth", [0.3, 1.0, 5.0])
def test_scipy_finds_no_better_optimum(bandwidth, constant):
    source, target = two_samples(0, 60, 40, 2)
    centers = target[:12]
    result = fit_kliep(
        source,
        target,
        bandwidth=bandwidth,
        centers=centers,
        constant_basis=constant,
    )
    columns = columns_by_hand(source, target, centers, bandwidth, constant)
    size = columns.shape[1]
    found = scipy.optimize.minimize(
        lambda a: -np.mean(np.log(columns @ a + 1e-300)),
        np.full(size, 1 / size),
        jac=lambda a: -(columns / (columns @ a)[:, None]).mean(axis=0),
        bounds=[(0, 1)] * size,
        constraints={"type": "eq", "fun": lambda a: a.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 1000},
    )
    assert result.log_likelihood == pytest.approx(-found.fun, abs=1e-6)


@pytest.mark.parametrize("bandwidth", [0.05, 0.3, 1.0, 5.0])
@pytest.mark.parametrize("num_centers", [None, 20])
def test_certificate_holds_by_hand(bandwidth, num_centers):
    source, target = two_samples(1, 200, 150)
    result = fit_kliep(
        source, target, bandwidth=bandwidth, num_centers=num_centers
    )
    columns = columns_by_hand(source, target, result.centers, bandwidth)
    ratio = density_ratio(target, result)
    gap = np.log((columns / ratio[:, None]).mean(axis=0).max())
    assert result.converged and result.duality_gap <= 1e-6
    assert gap <= 2e-6
    assert result.log_likelihood == pytest.approx(
        np.log(ratio).mean(), abs=1e-6
    )


def test_documented_formula_evaluates_the_ratio():
    source, target = two_samples(2)
    result = fit_kliep(source, target, bandwidth=1.0)
    kernel = gaussian_kernel(source, result.centers, result.bandwidth)
    by_hand = np.exp(result.offset) * (result.constant + kernel @ result.alpha)
    np.testing.assert_allclose(
        density_ratio(source, result), by_hand, rtol=1e-5
    )


@pytest.mark.parametrize("seed", range(3))
def test_weights_are_a_ratio(seed):
    source, target = two_samples(seed)
    result = fit_kliep(source, target, bandwidth=0.5 + seed)
    weights = density_ratio(source, result)
    assert weights.shape == (120,)
    assert weights.mean() == pytest.approx(1.0, abs=1e-6)
    assert weights.min() >= 0 and result.alpha.min() >= 0
    assert result.log_likelihood >= 0
    # ESS by its formula.
    ess = weights.sum() ** 2 / (weights**2).sum() / len(weights)
    assert result.ess == pytest.approx(ess, rel=1e-5)


def test_all_centers_are_never_worse_than_some():
    source, target = two_samples(3, 250, 250)
    some = fit_kliep(source, target, num_centers=30, bandwidth=1.0)
    every = fit_kliep(source, target, bandwidth=1.0)
    assert every.centers.shape == (250, 3)
    assert every.log_likelihood >= some.log_likelihood - 1e-6


def test_only_a_long_fit_shows_how_far_it_is(monkeypatch, capsys):
    source, target = two_samples(3, 250, 250)
    fit_kliep(source, target, bandwidth=1.0)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(column_generation, "_LONG_PASS", 0)
    fit_kliep(source, target, bandwidth=1.0)
    assert "KLIEP: source: 1/1 parts" in capsys.readouterr().err


def test_eager_and_compiled_agree():
    source, target = two_samples(4, 40, 30, 2)
    arguments = {"bandwidth": 1.0, "num_centers": 10}
    compiled = fit_kliep(source, target, **arguments)
    eager = fit_kliep(source, target, **arguments, compiled=False)
    np.testing.assert_allclose(
        density_ratio(source, eager), density_ratio(source, compiled), atol=1e-4
    )
    assert eager.log_likelihood == pytest.approx(
        compiled.log_likelihood, abs=1e-6
    )
    assert eager.duality_gap <= 1e-6


def test_a_call_repeats_exactly():
    source, target = two_samples(5)
    first = fit_kliep(source, target, num_centers=40)
    second = fit_kliep(source, target, num_centers=40)
    np.testing.assert_array_equal(first.alpha, second.alpha)
    assert first.bandwidth == second.bandwidth


@pytest.mark.parametrize("scale", [1e-6, 3.0, 1e6])
@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_shift_and_scale_of_features_change_nothing(scale, shift):
    source, target = two_samples(6)
    plain = fit_kliep(source, target, bandwidth=0.8)
    moved = fit_kliep(
        scale * (source + shift),
        scale * (target + shift),
        bandwidth=0.8 * scale,
    )
    assert moved.log_likelihood == pytest.approx(plain.log_likelihood, abs=2e-6)
    np.testing.assert_allclose(
        density_ratio(scale * (source + shift), moved),
        density_ratio(source, plain),
        atol=5e-3,
    )


def test_permuted_samples_permute_the_weights():
    source, target = two_samples(7)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(source))
    plain = fit_kliep(source, target, bandwidth=0.8)
    permuted = fit_kliep(source[order], rng.permutation(target), bandwidth=0.8)
    np.testing.assert_allclose(
        density_ratio(source[order], permuted),
        density_ratio(source, plain)[order],
        atol=5e-3,
    )


def test_one_dimensional_ratio_is_recovered():
    # N(1, 0.5) over N(0, 1), by the densities' formulas.
    rng = np.random.default_rng(0)
    source = rng.normal(size=(1000, 1))
    target = 1.0 + 0.5 * rng.normal(size=(1000, 1))
    result = fit_kliep(source, target)
    x = source[:, 0]
    true = np.exp(x**2 / 2 - (x - 1) ** 2 / 0.5) / 0.5
    weights = density_ratio(source, result)
    assert np.corrcoef(weights, true)[0, 1] > 0.97
    assert np.mean((weights - true / true.mean()) ** 2) < 0.1
    # Weighted moments of the source are the target's.
    assert np.mean(weights * x) == pytest.approx(1.0, abs=0.1)
    variance = np.mean(weights * x**2) - np.mean(weights * x) ** 2
    assert np.sqrt(variance) == pytest.approx(0.5, abs=0.1)


def test_five_dimensional_ratio_is_recovered():
    # N(mu, I) over N(0, I): log ratio = mu'x - |mu|^2 / 2.
    rng = np.random.default_rng(1)
    mu = np.full(5, 0.4)
    source = rng.normal(size=(500, 5))
    target = rng.normal(size=(500, 5)) + mu
    result = fit_kliep(source, target)
    log_true = source @ mu - mu @ mu / 2
    correlation = np.corrcoef(log_ratio(source, result), log_true)[0, 1]
    assert correlation > 0.85
    # KL(target || source) = |mu|^2 / 2 = 0.4.
    assert result.log_likelihood == pytest.approx(0.4, abs=0.15)


def test_constant_saves_the_reverse_direction():
    # Target points where there is no source: psi falls back to a constant.
    rng = np.random.default_rng(0)
    wide = rng.uniform(-5, 5, size=(250, 1))
    narrow = rng.normal(size=(250, 1))
    result = fit_kliep(wide, narrow, bandwidth=0.5)
    assert density_ratio([[0.0]], result) > 1
    assert result.log_likelihood >= 0


def test_gradient_ascent_is_feasible_and_not_better():
    source, target = two_samples(8)
    arguments = {"bandwidth": 1.0, "num_centers": 30}
    best = fit_kliep(source, target, **arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ascent = fit_kliep(
            source, target, **arguments, solver="gradient_ascent"
        )
    weights = density_ratio(source, ascent)
    assert weights.mean() == pytest.approx(1.0, abs=1e-6)
    assert weights.min() >= 0
    assert ascent.log_likelihood <= best.log_likelihood + 1e-6
    # Its certificate bounds what it lacks.
    shortfall = best.log_likelihood - ascent.log_likelihood
    assert shortfall <= ascent.duality_gap + 1e-6


def test_arrays_and_back(tmp_path):
    source, target = two_samples(9)
    result = fit_kliep(source, target, num_centers=20)
    np.savez(tmp_path / "result.npz", **to_arrays(result))
    with np.load(tmp_path / "result.npz") as arrays:
        loaded = from_arrays(arrays)
    for field in dataclasses.fields(result):
        if field.name != "selection":
            np.testing.assert_array_equal(
                getattr(loaded, field.name), getattr(result, field.name)
            )
    np.testing.assert_array_equal(
        loaded.selection.scores, result.selection.scores
    )
    np.testing.assert_array_equal(
        density_ratio(target, loaded), density_ratio(target, result)
    )


@pytest.mark.parametrize("num_rounds", [1, 2])
def test_a_fit_out_of_rounds_is_still_its_own_solution(monkeypatch, num_rounds):
    # So many centers that the optimum takes more rounds than these.
    monkeypatch.setattr(column_generation, "_MAX_ROUNDS", num_rounds)
    source, target = two_samples(3, 600, 600)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it stopped early
        result = fit_kliep(source, target, bandwidth=0.3)
    assert result.duality_gap > 1e-3
    mean = log_ratio(target, result).mean()
    assert mean == pytest.approx(result.log_likelihood, abs=1e-5)
