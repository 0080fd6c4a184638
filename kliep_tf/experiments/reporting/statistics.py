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
    count: int


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
    error = array.std(ddof=1) / np.sqrt(count)
    return Interval(float(array.mean()), float(quantile * error), count)


def compare(values: Sequence[float], others: Sequence[float]) -> Comparison:
    """Returns how much `values` exceed `others`, pair by pair.

    A single value on either side is compared with every one of the other.

    Raises:
        ValueError: they are not of one length, nor one of them single.
    """
    values, others = (np.asarray(v, np.float64) for v in (values, others))
    differences = values - others
    found = interval(differences)
    error = differences.std(ddof=1) if len(differences) > 1 else 0.0
    # What rounding leaves of equal differences is no spread.
    largest = max(np.abs(each).max(initial=0.0) for each in (values, others))
    if not error > _ROUNDING * largest:
        return Comparison(found, float("nan"))
    t = found.mean / (error / np.sqrt(len(differences)))
    p_value = 2.0 * stats.t.sf(abs(t), len(differences) - 1)
    return Comparison(found, float(p_value))
