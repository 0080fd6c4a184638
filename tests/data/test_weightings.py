import re

import hypothesis
import numpy as np
import pytest

from kliep_tf.data import weightings
from kliep_tf.errors import UserError


def test_temper_has_mean_1_at_every_exponent():
    values = np.array([0.0, 1.0, 3.0])
    # 0, 1, 9 have mean 10 / 3.
    np.testing.assert_allclose(
        weightings.temper(values, 2.0), [0.0, 0.3, 2.7], rtol=1e-6
    )
    np.testing.assert_array_equal(weightings.temper(values, 0.0), [1, 1, 1])


def test_clipped_weights_keep_the_limit_and_mean_1():
    # 6 is held at 3; the others, 1 and 1 and 0, share what is left of 4: 1.
    found = weightings.clip(np.array([1.0, 6.0, 0.0, 1.0]), 3.0)
    np.testing.assert_allclose(found, [0.5, 3.0, 0.0, 0.5])
    # 8 is held at 2; then 1 times 4 / 3 each stays below it.
    found = weightings.clip(np.array([1.0, 8.0, 1.0, 1.0]) * 4 / 11, 2.0)
    np.testing.assert_allclose(found, [2 / 3, 2.0, 2 / 3, 2 / 3], rtol=1e-6)


def test_what_clipping_one_weight_lifts_over_the_limit_is_held_too():
    # Of mean 1. At a limit of 1.5 the 2 is held; the others would be
    # 2.5 / 2 times 1.3, 0.5 and 0.2, and 1.625 is above: held as well. What is
    # left of 4 is 1, of which 0.5 and 0.2 get 5 / 7 and 2 / 7.
    found = weightings.clip(np.array([2.0, 1.3, 0.5, 0.2]), 1.5)
    np.testing.assert_allclose(found, [1.5, 1.5, 5 / 7, 2 / 7], rtol=1e-6)


def test_limit_above_all_weights_changes_nothing():
    values = np.array([0.5, 1.0, 1.5])
    np.testing.assert_allclose(weightings.clip(values, 1.5), values)
    np.testing.assert_allclose(weightings.clip(values, 99.0), values)


def test_limit_of_1_makes_all_weights_equal():
    found = weightings.clip(np.array([0.25, 1.0, 1.75]), 1.0)
    assert found.tolist() == [1.0, 1.0, 1.0]


def test_limit_that_so_few_weights_cannot_keep_is_refused():
    with pytest.raises(UserError, match=r"at least 1\.334.*3 of 4"):
        weightings.clip(np.array([0.0, 1.0, 1.0, 2.0]), 1.2)
    with pytest.raises(UserError, match=r"max_weight=0\.5"):
        weightings.clip(np.ones(3), 0.5)


@hypothesis.given(
    hypothesis.strategies.lists(
        hypothesis.strategies.floats(0, 1000, width=32), min_size=1, max_size=30
    ),
    hypothesis.strategies.floats(1, 20),
)
def test_clipping_holds_limit_mean_and_order(values, max_weight):
    values = np.array(values)
    hypothesis.assume(np.count_nonzero(values) * max_weight >= len(values))
    hypothesis.assume(values.max() > 1e-6)
    found = weightings.clip(values, max_weight)
    np.testing.assert_allclose(found.mean(), 1.0, rtol=1e-5)
    assert found.max() <= np.float32(max_weight)
    # Nothing that was larger is smaller now, and 0 stays 0.
    assert (np.diff(found[np.argsort(values)]) >= 0).all()
    assert not found[values == 0].any()


def test_all_zero_weights_cannot_be_normalised():
    with pytest.raises(UserError, match="positive mean"):
        weightings.temper(np.zeros(3), 1.0)


def test_effective_sample_size():
    assert weightings.effective_sample_size(np.ones(5)) == 1.0
    # (1 + 3)^2 / (2 * (1 + 9)) = 16 / 20
    assert weightings.effective_sample_size(np.array([1.0, 3.0])) == 0.8


def test_cohorts_are_equal_parts_by_importance():
    importance = np.array([3.0, 0.1, 2.0, 0.2, 1.0, 0.3])
    rows = {
        cohort: weightings.cohort_rows(importance, cohort).tolist()
        for cohort in weightings.COHORTS
    }
    assert rows == {"low": [1, 3], "medium": [4, 5], "high": [0, 2]}


def test_every_image_is_in_one_cohort_even_where_weights_are_equal():
    rows = [
        weightings.cohort_rows(np.ones(8), name) for name in weightings.COHORTS
    ]
    assert sorted(np.concatenate(rows)) == list(range(8))
    assert [len(part) for part in rows] == [3, 3, 2]


def test_many_weights_at_the_only_possible_limit_have_mean_1():
    weights = np.random.default_rng(0).uniform(0.5, 2, 120_000)
    weights[100_000:] = 0
    clipped = weightings.clip(weights, 1.2)
    assert clipped.mean() == pytest.approx(1, abs=1e-5)
    assert clipped.max() <= np.float32(1.2)


@pytest.mark.parametrize("positive", [3, 7, 11])
def test_the_limit_that_is_advised_is_taken(positive):
    weights = np.zeros(300)
    weights[:positive] = 1
    with pytest.raises(UserError) as raised:
        weightings.clip(weights, 1.1)
    advised = float(re.search(r"at least ([\d.]+)", str(raised.value))[1])
    assert weightings.clip(weights, advised).mean() == pytest.approx(1)
