import numpy as np
import pytest
import scipy.stats

from kliep_tf.data.weights import ImportanceWeights
from kliep_tf.errors import UserError
from kliep_tf.experiments.demo_run.numbers import (
    share_distances,
    weight_numbers,
)


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
