"""What few seeds can say: intervals and paired differences."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.95
_ROUNDING = 1e-12


class Interval(NamedTuple):
    """A mean and the half width of its confidence interval.

    Attributes:
        mean: NaN without values.
        half_width: of the 95 % interval by Student's t; NaN below two values.
        count: of values.
    """

    mean: float
    half_width: float
    count: int  # type: ignore[assignment]  # hides tuple.count


class Comparison(NamedTuple):
    """Paired differences, seed by seed.

    Attributes:
        difference: their mean and interval.
        p_value: of Student's paired t-test, two-sided; NaN below two pairs or
            where all differences are equal.
    """

    difference: Interval
    p_value: float


def interval(values: Sequence[float]) -> Interval:
    """Returns the mean of `values` and its 95 % interval."""
    array = np.asarray(values, np.float64)
    count = len(array)
    if count < 2:
        return Interval(float(array.mean()) if count else np.nan, np.nan, count)
    quantile = stats.t.ppf(0.5 + LEVEL / 2, count - 1)
    half_width = quantile * stats.sem(array)
    return Interval(float(array.mean()), float(half_width), count)


def compare(values: Sequence[float], others: Sequence[float]) -> Comparison:
    """Returns how much `values` exceed `others`, pair by pair.

    A single value on either side is compared with every one of the other.

    Raises:
        ValueError: they are not of one length, nor one of them single.
    """
    first, second = np.broadcast_arrays(
        np.asarray(values, np.float64), np.asarray(others, np.float64)
    )
    differences = first - second
    p_value = float("nan")
    if len(differences) > 1 and _are_spread(differences, first, second):
        p_value = float(stats.ttest_rel(first, second).pvalue)
    return Comparison(interval(differences.tolist()), p_value)


def _are_spread(
    differences: np.ndarray, first: np.ndarray, second: np.ndarray
) -> bool:
    """Whether more than rounding tells the differences apart."""
    largest = max(np.abs(first).max(), np.abs(second).max())
    return bool(differences.std(ddof=1) > _ROUNDING * largest)
