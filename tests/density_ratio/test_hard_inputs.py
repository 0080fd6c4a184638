import numpy as np
import pytest

from kliep_tf.density_ratio.kliep import density_ratio, fit_kliep
from kliep_tf.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore:bandwidth")


def two_samples(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(100, 3)), 0.7 * rng.normal(size=(70, 3)) + 0.4


def check(source, target, **arguments):
    """Fits, and checks all that must hold whatever the samples are."""
    result = fit_kliep(source, target, **arguments)
    weights = density_ratio(source, result)
    assert np.isfinite(weights).all() and weights.min() >= 0
    assert weights.mean() == pytest.approx(1.0, abs=1e-5)
    assert np.isfinite(density_ratio(target, result)).all()
    assert np.isfinite(result.alpha).all() and result.alpha.min() >= 0
    assert result.converged and 0 <= result.duality_gap <= 1e-6
    assert result.log_likelihood >= 0
    return result, weights


@pytest.mark.parametrize("factor", [1e-4, 1e-3, 1e-2, 0.1, 10, 1e3, 1e6])
def test_any_width(factor):
    source, target = two_samples()
    _, weights = check(source, target, bandwidth=2.0 * factor)
    if factor >= 1e3:
        np.testing.assert_allclose(weights, 1, atol=1e-2)


def test_narrow_kernels_share_the_weight_among_neighbours_by_hand():
    # Each kernel reaches one source point, so w = 2 (share of the targets).
    source = [[0.0], [10.0]]
    target = [[1.0], [1.0], [1.0], [9.0]]
    _, weights = check(source, target, bandwidth=0.01)
    np.testing.assert_allclose(weights, [1.5, 0.5], atol=1e-5)


@pytest.mark.parametrize("constant", [True, False])
def test_domains_fifty_widths_apart(constant):
    source, target = two_samples()
    far = target + 50
    _, weights = check(source, far, bandwidth=1.0, constant_basis=constant)
    # All the weight is with the source points that are nearest.
    distances = np.sqrt(((source - far.mean(axis=0)) ** 2).sum(axis=1))
    assert weights[np.argsort(distances)[10:]].max() < 1e-3


def test_domains_far_apart_with_selection():
    source, target = two_samples()
    result, _ = check(source, target + 50)
    assert result.ess >= 0.05


def test_duplicate_points():
    source, target = two_samples()
    _, once = check(source, target, bandwidth=1.0)
    _, twice = check(
        np.repeat(source, 2, axis=0),
        np.repeat(target, 3, axis=0),
        bandwidth=1.0,
    )
    np.testing.assert_allclose(twice[::2], once, atol=5e-3)


def test_everything_equal_gives_weights_of_one():
    _, weights = check(np.ones((30, 2)), np.ones((20, 2)))
    np.testing.assert_allclose(weights, 1, atol=1e-6)


def test_a_constant_target():
    check(two_samples()[0], np.zeros((20, 3)))


def test_a_constant_feature_changes_nothing():
    source, target = two_samples()
    _, weights = check(source, target, bandwidth=1.0)
    _, same = check(
        np.pad(source, [(0, 0), (0, 2)], constant_values=7.0),
        np.pad(target, [(0, 0), (0, 2)], constant_values=7.0),
        bandwidth=1.0,
    )
    np.testing.assert_allclose(same, weights, atol=5e-3)


def test_few_points():
    source, target = two_samples()
    check(source, target[:5])
    check(source, target[:1], bandwidth=1.0)
    _, weights = check(source[:1], target, bandwidth=1.0)
    np.testing.assert_allclose(weights, [1.0], atol=1e-6)
    for few in ((source[:1], target), (source, target[:1])):
        with pytest.raises(UserError, match="at least 2 rows to select"):
            fit_kliep(*few)


def test_identical_domains_have_weights_of_one():
    source, _ = two_samples()
    for arguments in ({}, {"bandwidth": 0.5}):
        _, weights = check(source, source, **arguments)
        np.testing.assert_allclose(weights, 1, atol=1e-2)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int32, bool])
def test_other_dtypes(dtype):
    source, target = two_samples()
    values = [(4 * x).astype(dtype) for x in (source, target)]
    check(*values, bandwidth=4.0)
    _, weights = check(*values, bandwidth=4.0)
    _, exact = check(*(x.astype(np.float64) for x in values), bandwidth=4.0)
    np.testing.assert_allclose(weights, exact, atol=5e-3)


def test_an_offset_of_a_million():
    source, target = two_samples()
    _, plain = check(source, target, bandwidth=1.0)
    _, moved = check(source + 1e6, target + 1e6, bandwidth=1.0)
    np.testing.assert_allclose(moved, plain, atol=5e-3)


def test_an_offset_of_a_million_in_float32():
    # Multiples of 1/8 keep all their digits there: 1e6 * 8 < 2**24.
    source, target = (np.round(8 * x) / 8 for x in two_samples())
    _, plain = check(source, target, bandwidth=1.0)
    moved = [(x + 1e6).astype(np.float32) for x in (source, target)]
    _, weights = check(*moved, bandwidth=1.0)
    np.testing.assert_allclose(weights, plain, atol=5e-3)


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30])
def test_extreme_units(scale):
    source, target = two_samples()
    check(source * scale, target * scale, bandwidth=scale)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_subnormal_numbers(dtype):
    """Their inverse is infinite."""
    small = np.nextafter(dtype(0), dtype(1))
    _, weights = check(
        np.array([[small]]), np.array([[dtype(0)]]), bandwidth=1.0
    )
    np.testing.assert_allclose(weights, 1, atol=1e-7)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_entries_that_are_not_finite_are_named(bad):
    source, target = two_samples()
    source[7, 2] = bad
    with pytest.raises(UserError, match=r"source: .* in row 7, column 2"):
        fit_kliep(source, target)
    with pytest.raises(UserError, match=r"target: .* in row 7, column 2"):
        fit_kliep(target, source)


def test_masked_entries_are_refused():
    source, target = two_samples()
    masked = np.ma.masked_array(source, np.zeros(source.shape, bool))
    expected = fit_kliep(source, target, bandwidth=1.0)
    unmasked = fit_kliep(masked, target, bandwidth=1.0)
    np.testing.assert_array_equal(unmasked.log_alpha, expected.log_alpha)
    masked[7, 2] = np.ma.masked
    with pytest.raises(UserError, match=r"source: .* found 1 masked ones"):
        fit_kliep(masked, target)


@pytest.mark.parametrize("bandwidth", [0, -1.0, np.nan, np.inf, "wide"])
def test_widths_that_are_none(bandwidth):
    with pytest.raises(UserError, match="bandwidth: expected a number above 0"):
        fit_kliep(*two_samples(), bandwidth=bandwidth)


@pytest.mark.parametrize("num_centers", [0, -3, 71, 2.5, True])
def test_numbers_of_centers_that_cannot_be(num_centers):
    with pytest.raises(UserError, match="whole number from 1 to 70"):
        fit_kliep(*two_samples(), num_centers=num_centers)


@pytest.mark.parametrize(
    "source, target, message",
    [
        (
            np.zeros((0, 2)),
            np.zeros((3, 2)),
            r"source: .* found shape \[0, 2\]",
        ),
        (
            np.zeros((3, 2)),
            np.zeros((0, 2)),
            r"target: .* found shape \[0, 2\]",
        ),
        (np.zeros((3, 2)), np.zeros((3, 4)), "target: expected 2 columns"),
        (np.zeros(3), np.zeros((3, 1)), r"source: .* \[N, d\], found shape"),
        ([[1], [1, 2]], np.zeros((3, 1)), "source: expected rows of equal"),
        ([["a"]], [["b"]], "source: expected an array of real numbers"),
        (np.full((3, 1), 1j), np.zeros((3, 1)), "source: .*complex128"),
        (np.full((3, 1), 1e200), np.zeros((3, 1)), "source: .*below 1e"),
    ],
)
def test_arrays_that_are_no_features(source, target, message):
    with pytest.raises(UserError, match=message):
        fit_kliep(source, target)


def test_an_outlier_beyond_float64_is_named():
    source, target = two_samples()
    target[3] = 1e8
    with pytest.raises(UserError, match="found center 3 about"):
        fit_kliep(source, target, bandwidth=1.0)


def test_new_points_are_checked_too():
    source, target = two_samples()
    result = fit_kliep(source, target, bandwidth=1.0, num_centers=5)
    with pytest.raises(UserError, match="x: expected 3 columns"):
        density_ratio(np.zeros((2, 4)), result)
    with pytest.raises(UserError, match="x: expected finite"):
        density_ratio(np.full((2, 3), np.nan), result)
