"""Beside the published solvers, at their centers and width."""

import importlib
import warnings

import numpy as np
import pytest

from kliep_tf.density_ratio.kliep import density_ratio, fit_kliep

pytestmark = pytest.mark.filterwarnings("ignore:bandwidth")

WIDTH = 1.0
PROBLEMS = {
    "shifted": lambda normal: (normal(300, 3), normal(200, 3) + 0.5),
    "narrower": lambda normal: (normal(300, 3), 0.5 * normal(200, 3)),
    "one dimension": lambda normal: (normal(300, 1), normal(200, 1) - 1),
    "identical": lambda normal: (normal(200, 2), normal(200, 2)),
}
problems = pytest.mark.parametrize("name", PROBLEMS)


def samples(name):
    rng = np.random.default_rng(0)
    return PROBLEMS[name](lambda *shape: rng.normal(size=shape))


def objective(on_source, on_target):
    """Returns J of any positive function, scaled to mean 1 on the source."""
    return np.mean(np.log(on_target)) - np.log(np.mean(on_source))


def ours(source, target, centers):
    # The others have no constant beside the kernels.
    result = fit_kliep(
        source, target, centers=centers, bandwidth=WIDTH, constant_basis=False
    )
    value = objective(
        density_ratio(source, result), density_ratio(target, result)
    )
    assert result.log_likelihood == pytest.approx(value, abs=1e-6)
    return value


@problems
def test_densratio_finds_no_better_objective(name):
    # The package has a function of the same name as this module.
    pytest.importorskip("densratio")
    solver = importlib.import_module("densratio.KLIEP")
    from densratio.RuLSIF import compute_kernel_Gaussian

    source, target = samples(name)
    centers = target[:100]
    on_source, on_target = (
        np.asarray(compute_kernel_Gaussian(points, centers, WIDTH))
        for points in (source, target)
    )
    alpha = np.ravel(solver.KLIEP_optimize_alpha(on_target, on_source))
    theirs = objective(on_source @ alpha, on_target @ alpha)
    assert ours(source, target, centers) >= theirs - 1e-6
    assert theirs > -1  # It did solve something.


@problems
def test_adapt_finds_no_better_objective(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapt = pytest.importorskip("adapt.instance_based")
    source, target = samples(name)
    model = adapt.KLIEP(
        kernel="rbf",
        gamma=1 / (2 * WIDTH**2),
        max_centers=100,
        random_state=0,
        verbose=0,
    )
    on_source = model.fit_weights(source, target)
    on_target = np.ravel(model.predict_weights(target))
    theirs = objective(on_source, on_target)
    assert ours(source, target, model.centers_) >= theirs - 1e-6
    assert theirs > -1


def test_the_same_ratio_by_densratio_where_it_converges():
    # Few centers, one dimension: gradient ascent gets to the optimum too.
    pytest.importorskip("densratio")
    solver = importlib.import_module("densratio.KLIEP")
    from densratio.RuLSIF import compute_kernel_Gaussian

    source, target = samples("one dimension")
    centers = np.array([[-2.0], [0.0]])
    on_source, on_target = (
        np.asarray(compute_kernel_Gaussian(points, centers, WIDTH))
        for points in (source, target)
    )
    alpha = np.ravel(solver.KLIEP_optimize_alpha(on_target, on_source))
    theirs = on_source @ alpha
    result = fit_kliep(
        source, target, centers=centers, bandwidth=WIDTH, constant_basis=False
    )
    np.testing.assert_allclose(
        density_ratio(source, result), theirs / theirs.mean(), atol=0.02
    )
