import numpy as np
import pytest
import scipy.stats

from kliep_tf.density_ratio.diagnostics import (
    effective_sample_size,
    matched_shares,
    normalised_error,
    rank_correlation,
)
from kliep_tf.errors import UserError


def test_effective_sample_size_by_hand():
    assert effective_sample_size([1, 1, 1, 1]) == 1
    assert effective_sample_size([0, 0, 5, 0]) == 1 / 4
    # (1 + 3)^2 / (2 (1 + 9)) = 16 / 20
    assert effective_sample_size([1, 3]) == pytest.approx(0.8)
    assert effective_sample_size([1e300, 3e300]) == pytest.approx(0.8)


def test_matched_shares_by_hand():
    shares = [[1.0, 0.0], [0.0, 1.0]]
    np.testing.assert_allclose(matched_shares(shares, [3, 1]), [0.75, 0.25])


def test_rank_correlation_is_spearmans():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 10, 50)
    second = first + rng.integers(0, 10, 50)
    assert rank_correlation(first, second) == pytest.approx(
        scipy.stats.spearmanr(first, second).statistic
    )
    assert rank_correlation([1, 2, 3], [10, 200, 3000]) == pytest.approx(1)
    assert np.isnan(rank_correlation([1, 1], [1, 2]))


def test_normalised_error_by_hand():
    # [1, 3] / 2 and [1, 1]: mean of (-.5)^2 and .5^2.
    assert normalised_error([1, 3], [1, 1]) == pytest.approx(0.25)
    assert normalised_error([2, 6], [1, 3]) == pytest.approx(0)


@pytest.mark.parametrize("weights", [[], [0, 0], [1, -1], [np.nan], [[1.0]]])
def test_weights_that_are_none(weights):
    with pytest.raises(UserError, match="weights: expected"):
        effective_sample_size(weights)


def test_shapes_must_fit():
    with pytest.raises(UserError, match="shares: expected shape"):
        matched_shares([[1.0]], [1, 2])
    with pytest.raises(UserError, match="ratios: expected two arrays"):
        rank_correlation([1, 2], [1, 2, 3])
