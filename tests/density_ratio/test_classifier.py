import numpy as np
import pytest

from kliep_tf.density_ratio.classifier import fit_class_shares, fit_classifier
from kliep_tf.errors import UserError


@pytest.mark.parametrize("num_target", [400, 60])
def test_odds_are_the_ratio_of_gaussians_whatever_the_numbers(num_target):
    # N(m, I) over N(0, I): log ratio = m'x - |m|^2 / 2, which is linear. The
    # columns have very different units.
    rng = np.random.default_rng(0)
    mean, units = np.array([0.8, -0.4]), np.array([1.0, 100.0])
    source = rng.normal(size=(400, 2))
    target = rng.normal(size=(num_target, 2)) + mean
    found = fit_classifier(source * units, target * units)
    log_true = source @ mean - mean @ mean / 2
    log_found = np.log(found.ratio(source * units))
    assert np.corrcoef(log_found, log_true)[0, 1] > 0.95
    assert np.abs(log_found - log_true).mean() < 0.5


def test_classifier_of_identical_domains_says_one():
    points = np.random.default_rng(0).normal(size=(200, 3))
    np.testing.assert_allclose(
        fit_classifier(points, points[::-1]).ratio(points), 1, atol=0.1
    )


def test_class_shares_by_hand():
    # Mean shares: (1/2, 1/2, 0) in the source, (1/4, 1/2, 1/4) in the target.
    source = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    target = np.array([[0.5, 0.5, 0], [0, 0.5, 0.5]])
    found = fit_class_shares(source, target)
    # Half as much of the first class, as much of the second.
    np.testing.assert_allclose(found.ratio(source), [0.5, 1.0])
    np.testing.assert_allclose(
        found.ratio([[0.5, 0.25, 0.25]]), 0.5 * 0.5 + 0.25
    )


def test_class_shares_of_the_source_have_mean_one():
    rng = np.random.default_rng(0)
    source, target = rng.dirichlet([1, 2, 3], 30), rng.dirichlet([3, 1, 1], 20)
    found = fit_class_shares(source, target)
    assert found.ratio(source).mean() == pytest.approx(1.0)


def test_features_that_are_no_shares_are_refused():
    with pytest.raises(UserError, match="class shares that sum to 1"):
        fit_class_shares([[0.5, 0.2]], [[0.5, 0.5]])
    with pytest.raises(UserError, match="at least 5 rows"):
        fit_classifier(np.zeros((3, 1)), np.ones((9, 1)))


def test_a_classifier_never_turns_the_ratio_round():
    # Of a shift so small its scores may fit the domains the wrong way.
    for seed in range(4):
        rng = np.random.default_rng(seed)
        source = rng.normal(0, 1, [100, 3])
        target = rng.normal(0.15, 1, [100, 3])
        found = fit_classifier(source, target)
        log_target = np.log(found.ratio(target)).mean()
        assert log_target >= np.log(found.ratio(source)).mean() - 1e-9
