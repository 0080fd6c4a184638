import numpy as np
import pytest
import scipy.stats

from kliep_tf.data.datasets import CLASS_NAMES
from kliep_tf.data.weights import ImportanceWeights
from kliep_tf.errors import UserError
from kliep_tf.experiments import report_numbers
from kliep_tf.experiments.report_numbers import consistency_numbers

ROAD, VEGETATION, SKY = (
    CLASS_NAMES.index(name) for name in ("road", "vegetation", "sky")
)


def confusion(sky_kept: int, to_vegetation: int, to_road: int = 0):
    """100 pixels of road, all seen as road, and some of sky."""
    matrix = np.zeros((19, 19), np.int64)
    matrix[ROAD, ROAD] = 100
    matrix[SKY, [SKY, VEGETATION, ROAD]] = sky_kept, to_vegetation, to_road
    return matrix


def test_numbers_of_a_matrix_by_hand():
    numbers = consistency_numbers(confusion(60, 30, 10))
    assert numbers["sky_kept"] == pytest.approx(0.6)
    assert numbers["sky_to_vegetation"] == pytest.approx(0.3)
    assert numbers["sky_to_other"] == pytest.approx(0.1)
    assert numbers["pixel_accuracy"] == pytest.approx(160 / 200)
    # road: 100 of 100 labelled or 110 predicted; vegetation: none of 30; sky:
    # 60 of 100.
    iou = (100 / 110 + 0 / 30 + 60 / 100) / 3
    assert numbers["mean_iou"] == pytest.approx(iou)
    assert numbers["per_class"]["sky"] == {
        "iou": pytest.approx(0.6),
        "kept": pytest.approx(0.6),
        "labelled_share": pytest.approx(0.5),
    }
    assert numbers["per_class"]["vegetation"]["kept"] is None
    assert numbers["per_class"]["car"]["iou"] is None


def test_without_sky_its_shares_are_undefined():
    numbers = consistency_numbers(confusion(0, 0))
    assert numbers["sky_kept"] is None
    assert numbers["sky_to_vegetation"] is None
    assert numbers["sky_to_other"] is None


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
    distances = report_numbers.share_distances(shares)
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
    numbers = report_numbers.weight_numbers(weights, truth)
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
        report_numbers.weight_numbers(weights, {"b": 1.0})


def test_scenes_of_the_wrong_kind_are_refused(tmp_path):
    path = tmp_path / "scenes.csv"
    path.write_text("filename,openness\na,0.5\n")
    with pytest.raises(UserError, match="density_ratio"):
        report_numbers.read_true_ratios(path, "density_ratio")
