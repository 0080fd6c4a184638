import numpy as np
import pytest

from kliep_tf.density_ratio.estimator import KliepEstimator
from kliep_tf.density_ratio.kliep import density_ratio, fit_kliep
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
