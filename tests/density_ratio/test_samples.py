import numpy as np
import pytest

from kliep_tf.density_ratio.samples import measure
from kliep_tf.errors import UserError


def test_points_around_zero_stay_where_they_are():
    samples = measure(np.array([[0.0, 5.0]]), np.array([[3.0, 0], [-3.0, 1]]))
    assert samples.coordinates.origin.tolist() == [0, 0]
    assert samples.coordinates.scale == 5
    np.testing.assert_allclose(samples.target.norms, [3, np.sqrt(10)])


def test_points_far_from_zero_are_measured_from_their_mean():
    samples = measure(np.array([[10.0, 4.0]]), np.array([[9.0, 0], [11.0, 0]]))
    assert samples.coordinates.origin.tolist() == [10, 0]
    assert samples.coordinates.scale == 4
    assert samples.target.norms.tolist() == [1, 1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_distances_far_from_zero_are_not_lost(dtype):
    target = np.array([[2.0**20 - 1], [2.0**20 + 1]], dtype)
    samples = measure(target[:1], target)
    assert samples.target.norms.tolist() == [1, 1]


@pytest.mark.parametrize("name", ["source", "target"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e37])
def test_a_bad_entry_is_named(name, value):
    points = {
        name: np.zeros((3000, 300), np.float32) for name in ("source", "target")
    }
    points[name][2500, 7] = value
    with pytest.raises(UserError, match=f"{name}: .* in row 2500, column 7"):
        measure(points["source"], points["target"])
