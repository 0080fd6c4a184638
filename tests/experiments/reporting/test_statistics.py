import math

import pytest
from scipy import stats

from kliep_tf.experiments.reporting.statistics import compare, interval


def test_interval_of_one_two_three():
    # Mean 2, standard error 1 / sqrt(3); Student's t for 2 degrees of freedom
    # has .975 below 4.3027.
    found = interval([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.half_width == pytest.approx(4.3027 / math.sqrt(3), abs=1e-4)
    assert found.count == 3


def test_one_value_has_no_interval():
    assert interval([0.5]).mean == 0.5
    assert math.isnan(interval([0.5]).half_width)


def test_pairs_are_compared_as_scipy_does():
    first, second = [0.3, 0.5, 0.9, 0.4], [0.1, 0.4, 0.5, 0.45]
    found = compare(first, second)
    expected = stats.ttest_rel(first, second)
    assert found.p_value == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval()
    assert found.difference.mean == pytest.approx((low + high) / 2)
    assert found.difference.half_width == pytest.approx((high - low) / 2)


def test_a_single_value_stands_against_every_other():
    found = compare([0.3, 0.5, 0.9], [0.2])
    expected = stats.ttest_1samp([0.3, 0.5, 0.9], 0.2)
    assert found.p_value == pytest.approx(expected.pvalue)


def test_equal_differences_have_no_p_value():
    assert math.isnan(compare([1.0, 2.0], [0.0, 1.0]).p_value)


def test_differences_that_rounding_alone_tells_apart_have_no_p_value():
    # 0.3 - 0.2 and 0.4 - 0.3 differ by 3e-17.
    assert math.isnan(compare([0.3, 0.4, 0.5], [0.2, 0.3, 0.4]).p_value)
