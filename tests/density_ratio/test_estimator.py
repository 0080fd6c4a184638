import numpy as np
import pytest

from kliep_tf.density_ratio.estimator import KliepEstimator
from kliep_tf.density_ratio.kliep import (
    density_ratio,
    fit_kliep,
    from_arrays,
    to_arrays,
)
from kliep_tf.errors import UserError


def test_the_object_and_the_function_agree():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(50, 2)), rng.normal(size=(40, 2)) + 0.5
    estimator = KliepEstimator(bandwidth=1.0, num_centers=10)
    assert estimator.fit(source, target) is estimator
    result = fit_kliep(source, target, num_centers=10, bandwidth=1.0)
    np.testing.assert_array_equal(
        estimator.weights_, density_ratio(source, result)
    )
    np.testing.assert_array_equal(
        estimator.predict(target), density_ratio(target, result)
    )


def test_new_points_need_no_refitting_in_either_direction(tmp_path):
    rng = np.random.default_rng(1)
    source, target = rng.normal(size=(50, 2)), rng.normal(size=(40, 2)) + 0.5
    new = rng.normal(size=(7, 2))
    for one, other in ((source, target), (target, source)):
        estimator = KliepEstimator(bandwidth=1.0).fit(one, other)
        # w(x) = constant + sum_l alpha_l exp(-|x - c_l|^2 / 2)
        result = estimator.result_
        squares = ((new[:, None] - other[None]) ** 2).sum(axis=2)
        by_hand = result.constant + np.exp(-squares / 2) @ result.alpha
        np.testing.assert_allclose(estimator.predict(new), by_hand, rtol=1e-5)
        # One at a time, among others, or from a file: the same weights.
        both = np.concatenate([one, new])
        np.testing.assert_allclose(
            estimator.predict(both),
            np.append(estimator.weights_, estimator.predict(new)),
            rtol=1e-6,
        )
        np.savez(tmp_path / "fit.npz", **to_arrays(result))
        with np.load(tmp_path / "fit.npz") as arrays:
            loaded = from_arrays(arrays)
        np.testing.assert_array_equal(
            density_ratio(new, loaded), estimator.predict(new)
        )


def test_parameters_are_kept():
    estimator = KliepEstimator(bandwidth=1.0, min_ess=0.1)
    assert estimator.set_params(seed=3) is estimator
    assert estimator.get_params() == {
        "num_centers": None,
        "bandwidth": 1.0,
        "seed": 3,
        "min_ess": 0.1,
    }


def test_predict_needs_a_fit():
    with pytest.raises(UserError, match="expected a call of fit"):
        KliepEstimator().predict([[1.0]])
