"""What a set of importance weights does, in figures."""

from typing import Any

import numpy as np
import scipy.stats

from kliep_tf.data import weightings
from kliep_tf.errors import UserError


def effective_sample_size(weights: Any) -> float:
    """Returns (sum w)^2 / (N sum w^2), from 1/N to 1.

    Kish, "Survey Sampling", 1965: the fraction of N equally weighted points
    that would estimate a mean as well.

    Args:
        weights: [N], not negative, not all 0.

    Raises:
        UserError: they are something else.
    """
    weights = _as_weights(weights)
    # Scaled, so that no square leaves the range of float64.
    return weightings.effective_sample_size(weights / weights.max())


def matched_shares(shares: Any, weights: Any) -> np.ndarray:
    """Returns float64 [C], the weighted mean of class shares.

    Args:
        shares: [N, C], the share of each class in each image.
        weights: [N], not negative, not all 0; their scale does not matter.

    Raises:
        UserError: the shapes do not fit, or the weights are something else.
    """
    weights = _as_weights(weights)
    shares = np.asarray(shares, np.float64)
    if shares.ndim != 2 or len(shares) != len(weights):
        raise UserError(
            f"shares: expected shape [{len(weights)}, C], one row a weight, "
            f"found {list(shares.shape)}"
        )
    return weights @ shares / weights.sum()


def rank_correlation(estimated: Any, true: Any) -> float:
    """Returns Spearman's rank correlation, equal values sharing a rank.

    Args:
        estimated: [N] ratios.
        true: [N] ratios.

    Returns:
        from -1 to 1; NaN where one side is constant, as no order exists.

    Raises:
        UserError: the shapes differ or are not [N].
    """
    estimated, true = _as_pair(estimated, true)
    if np.ptp(estimated) == 0 or np.ptp(true) == 0:
        return float("nan")
    return float(scipy.stats.spearmanr(estimated, true).statistic)


def normalised_error(estimated: Any, true: Any) -> float:
    """Returns the normalised mean squared error of a density ratio.

    mean (w / sum w - w* / sum w*)^2, as in Sugiyama et al. (NIPS 2007, eq. 14),
    times N^2: so the mean square of the difference of ratios of mean 1.

    Args:
        estimated: [N] ratios, not negative, not all 0.
        true: [N] ratios, not negative, not all 0.

    Raises:
        UserError: the shapes differ, or they are something else.
    """
    estimated, true = _as_pair(_as_weights(estimated), _as_weights(true))
    difference = estimated / estimated.mean() - true / true.mean()
    return float(np.mean(difference**2))


def _as_weights(values: Any) -> np.ndarray:
    weights = np.asarray(values, np.float64)
    if weights.ndim != 1 or weights.size == 0:
        raise UserError(
            f"weights: expected shape [N] with N > 0, found "
            f"{list(weights.shape)}"
        )
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise UserError(
            f"weights: expected finite numbers of at least 0, found "
            f"{weights[row]} in row {row}"
        )
    if not weights.any():
        raise UserError("weights: expected one above 0, found all 0")
    return weights


def _as_pair(first: Any, second: Any) -> tuple[np.ndarray, np.ndarray]:
    first = np.asarray(first, np.float64)
    second = np.asarray(second, np.float64)
    if first.ndim != 1 or first.shape != second.shape or first.size == 0:
        raise UserError(
            f"ratios: expected two arrays of one shape [N], found "
            f"{list(first.shape)} and {list(second.shape)}"
        )
    return first, second
