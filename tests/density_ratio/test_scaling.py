import io

import numpy as np
import pytest

from kliep_tf.density_ratio.scaling import FeatureScaling, fit_scaling
from kliep_tf.errors import UserError


def _normal(rows, columns, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, columns))


def test_raw_changes_nothing():
    values = _normal(5, 3)
    scaling = fit_scaling(values, values + 1, "raw")
    np.testing.assert_array_equal(scaling.apply(values), np.float32(values))


def test_standardize_pools_both_domains():
    source, target = np.array([[0.0], [2.0]]), np.array([[4.0], [6.0]])
    scaling = fit_scaling(source, target, "standardize")
    # pooled 0, 2, 4, 6: mean 3, variance (9 + 1 + 1 + 9) / 4 = 5
    expected = np.array([[-3], [-1]]) / np.sqrt(5)
    np.testing.assert_allclose(scaling.apply(source), expected, rtol=1e-6)
    # The difference between the domains is still there.
    assert scaling.apply(target).mean() > scaling.apply(source).mean()


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6 + 0.1])
def test_constant_feature_gets_deviation_one(constant):
    values = np.full((7, 1), constant)
    scaling = fit_scaling(values, values, "standardize")
    assert scaling.divisor[0] == 1.0
    np.testing.assert_allclose(scaling.apply(values), 0.0, atol=1e-6)
    # An image unlike all that were seen is not blown up.
    np.testing.assert_allclose(scaling.apply(values + 2), 2.0, rtol=1e-6)


def test_pca_of_features_on_a_line_is_one_component():
    steps = np.arange(6.0)[:, None]
    values = steps * np.array([3.0, 4.0, 0.0]) + 7
    scaling = fit_scaling(values[:3], values[3:], "pca")
    assert scaling.components.shape == (3, 1)
    np.testing.assert_allclose(scaling.components[:, 0], [0.6, 0.8, 0])
    # Along the line points lie 5 apart, around the mean of 0..5, 2.5.
    np.testing.assert_allclose(
        scaling.apply(values)[:, 0], 5 * (steps[:, 0] - 2.5), rtol=1e-5
    )


def test_pca_keeps_fifty_components_and_does_not_whiten():
    deviations = np.linspace(10, 1, 80)
    source = _normal(300, 80, 1) * deviations
    target = _normal(200, 80, 2) * deviations
    scaling = fit_scaling(source, target, "pca")
    both = scaling.apply(np.concatenate([source, target]))
    assert both.shape == (500, 50)
    # Uncorrelated, of falling variance.
    covariance = both.T @ both / 500
    variances = np.diag(covariance)
    np.testing.assert_allclose(
        covariance, np.diag(variances), atol=1e-3 * variances[0]
    )
    assert (np.diff(variances) < 0).all() and variances[0] > 50


def test_pca_of_few_columns_keeps_all_distances():
    source, target = _normal(20, 4, 1), _normal(20, 4, 2)
    scaled = fit_scaling(source, target, "pca").apply(source)
    before = np.linalg.norm(source[0] - source[1])
    assert np.linalg.norm(scaled[0] - scaled[1]) == pytest.approx(before)


def test_pca_of_constant_features_is_zero():
    values = np.full((4, 3), 0.25)
    scaled = fit_scaling(values, values, "pca").apply(values)
    np.testing.assert_array_equal(scaled, np.zeros((4, 1)))


@pytest.mark.parametrize("kind", ["raw", "standardize", "pca"])
def test_scaling_survives_a_weights_file(kind):
    source, target = _normal(9, 5, 1), _normal(8, 5, 2)
    scaling = fit_scaling(source, target, kind)
    buffer = io.BytesIO()
    np.savez(buffer, other=np.zeros(2), **scaling.to_arrays())
    buffer.seek(0)
    restored = FeatureScaling.from_arrays(dict(np.load(buffer)))
    assert restored.kind == kind
    new = _normal(3, 5, 3)
    np.testing.assert_array_equal(restored.apply(new), scaling.apply(new))
    assert scaling.apply(new).dtype == np.float32


def test_bad_values_are_named():
    good, bad = np.ones((2, 3)), np.ones((2, 3))
    bad[1, 2] = np.nan
    with pytest.raises(UserError, match=r"target features: .* row 1, column 2"):
        fit_scaling(good, bad, "raw")
    with pytest.raises(UserError, match=r"3 \(source\) and 2 \(target\)"):
        fit_scaling(good, good[:, :2], "raw")
    with pytest.raises(UserError, match="expected raw, standardize, pca"):
        fit_scaling(good, good, "whiten")
    with pytest.raises(UserError, match="expected 3 columns"):
        fit_scaling(good, good, "raw").apply(good[:, :2])
    with pytest.raises(UserError, match="scaling_kind"):
        FeatureScaling.from_arrays({"alpha": good})
