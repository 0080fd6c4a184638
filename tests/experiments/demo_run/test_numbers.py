import numpy as np
import pytest
import scipy.stats

from kliep_tf.data.class_sets import CITYSCAPES_CLASSES as CLASSES
from kliep_tf.data.weights import ImportanceWeights
from kliep_tf.errors import UserError
from kliep_tf.experiments.demo_run.numbers import (
    class_shares,
    share_distances,
    weight_numbers,
)


def test_shares_as_trained_are_of_tempered_and_clipped_weights():
    sky = CLASSES.index("sky")
    shares = np.zeros((2, len(CLASSES)))
    shares[0, sky] = shares[1, 0] = 1.0
    weights = np.array([1.6, 0.4])
    plain = class_shares(shares, weights, 1.0, 0.0, CLASSES)
    assert plain["unweighted"]["sky"] == pytest.approx(0.5)
    assert plain["weighted"]["sky"] == pytest.approx(0.8)
    assert plain["as_trained"]["sky"] == pytest.approx(0.8)
    # Roots of 1.6 and 0.4 are as 2 to 1; and 1.6 clipped to 1.2 leaves 0.8.
    half = class_shares(shares, weights, 0.5, 0.0, CLASSES)
    assert half["as_trained"]["sky"] == pytest.approx(2 / 3)
    clipped = class_shares(shares, weights, 1.0, 1.2, CLASSES)
    assert clipped["weighted"]["sky"] == pytest.approx(0.8)
    assert clipped["as_trained"]["sky"] == pytest.approx(0.6)


def test_distances_between_the_domains_shares():
    shares = {
        "source": {
            "unweighted": {"sky": 0.6, "road": 0.4},
            "weighted": {"sky": 0.2, "road": 0.8},
            "as_trained": {"sky": 0.4, "road": 0.6},
        },
        "target": {
            "unweighted": {"sky": 0.2, "road": 0.8},
            "weighted": {"sky": 0.6, "road": 0.4},
            "as_trained": {"sky": 0.35, "road": 0.65},
        },
    }
    distances = share_distances(shares)
    assert distances["unweighted"] == pytest.approx(0.4)
    assert distances["source_weighted"] == pytest.approx(0.0)
    assert distances["as_trained"] == pytest.approx(0.05)


def test_weights_are_held_against_the_truth_by_filename():
    weights = ImportanceWeights(
        "source",
        np.array(["a", "b", "c", "d"]),
        np.array([0.5, 1.0, 2.0, 0.5], np.float32),
    )
    truth = {"d": 0.4, "c": 3.0, "b": 0.3, "a": 0.3, "unused": 9.0}
    numbers = weight_numbers(weights, truth)
    assert numbers["true"] == [0.3, 0.3, 3.0, 0.4]
    expected = scipy.stats.spearmanr(
        numbers["estimated"], numbers["true"]
    ).statistic
    assert numbers["rank_correlation"] == pytest.approx(expected)
    # (0.5 + 1 + 2 + 0.5)^2 / (4 * (0.25 + 1 + 4 + 0.25))
    assert numbers["effective_sample_size"] == pytest.approx(16 / 22)


def test_frame_without_true_ratio_is_named():
    weights = ImportanceWeights("target", np.array(["a"]), np.array([1.0]))
    with pytest.raises(UserError, match="target image, found none for 'a'"):
        weight_numbers(weights, {"b": 1.0})
