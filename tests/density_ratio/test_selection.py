import numpy as np
import pytest

from kliep_tf.density_ratio import simplex
from kliep_tf.density_ratio.kliep import density_ratio, fit_kliep
from kliep_tf.errors import UserError


def two_samples(seed=0, size=200, dim=2):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(size, dim)), 0.8 * rng.normal(
        size=(size, dim)
    ) + 0.5


def test_the_best_score_is_chosen():
    source, target = two_samples()
    result = fit_kliep(source, target, bandwidths=[0.05, 0.8, 30.0], min_ess=0)
    table = result.selection
    assert result.decided_by == "score"
    np.testing.assert_array_equal(table.bandwidths, [0.05, 0.8, 30.0])
    assert result.bandwidth == table.bandwidths[np.argmax(table.scores)]
    assert result.bandwidth == 0.8


def test_fits_over_the_likely_columns_score_as_those_over_all(monkeypatch):
    # Screening is for many points; here, for few.
    monkeypatch.setattr(simplex, "_SOME_POINTS", 128)
    source, target = two_samples(size=400, dim=5)

    def scores(screened_points):
        monkeypatch.setattr(simplex, "_SCREENED_POINTS", screened_points)
        # Narrower ones have wild scores.
        result = fit_kliep(
            source, target, bandwidths=[1.0, 2.0, 4.0], min_ess=0
        )
        return result.selection.scores

    screened, plain = scores(200), scores(10**6)
    assert (screened != plain).any()
    # The fits are good to 2e-3 nats.
    np.testing.assert_allclose(screened, plain, atol=4e-3)


def test_a_given_bandwidth_is_kept():
    source, target = two_samples()
    result = fit_kliep(source, target, bandwidth=0.7)
    assert result.bandwidth == 0.7
    assert result.decided_by == "given"
    assert result.selection.ess == pytest.approx([result.ess])


def test_the_floor_decides_with_a_warning():
    source, target = two_samples(dim=10)
    target += 1.0
    with pytest.warns(UserWarning, match=r"min_ess=0.5 decided"):
        result = fit_kliep(source, target, min_ess=0.5)
    assert result.decided_by == "ess_floor"
    weights = density_ratio(source, result)
    assert weights.sum() ** 2 / (weights**2).sum() >= 0.5 * len(source)


def test_the_floor_that_no_candidate_keeps_is_said():
    source, target = two_samples()
    with pytest.warns(UserWarning, match="decided"):
        result = fit_kliep(
            source, target + 20, bandwidths=[0.1, 0.2], min_ess=0.5
        )
    assert result.decided_by == "ess_floor"


def test_likelihood_cross_validation_runs_to_narrower_widths():
    # Why it is not the default.
    source, target = two_samples(dim=6)
    options = {"bandwidths": [0.5, 1.0, 2.0, 4.0], "min_ess": 0}
    split = fit_kliep(source, target, **options)
    whole = fit_kliep(source, target, selection="lcv", **options)
    assert whole.bandwidth < split.bandwidth


def test_duplicates_do_not_pull_the_width_down():
    # A held-out point's twin among the training centers would.
    source, target = two_samples(size=120)
    once = fit_kliep(source, target)
    twice = fit_kliep(np.repeat(source, 2, 0), np.repeat(target, 2, 0))
    assert twice.bandwidth >= 0.5 * once.bandwidth


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"selection": "best"}, "selection: expected one of nwj, lcv"),
        ({"num_folds": 1}, "num_folds: expected a whole number"),
        ({"num_folds": float("nan")}, "num_folds: expected a whole number"),
        ({"seed": -1}, "seed: expected a whole number of at least 0, found -1"),
        ({"seed": 1.5}, "seed: expected a whole number"),
        ({"min_ess": "half"}, "min_ess: expected a fraction"),
        ({"min_ess": 1.5}, "min_ess: expected a fraction"),
        ({"bandwidths": []}, "bandwidths: expected at least one"),
        ({"bandwidths": 1.0}, "bandwidths: expected a list of numbers"),
        ({"bandwidths": [1.0, -1.0]}, "bandwidths: expected a number above 0"),
        ({"solver": "newton"}, "solver: expected one of interior_point"),
    ],
)
def test_wrong_options_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        fit_kliep(*two_samples(size=20), **arguments)
