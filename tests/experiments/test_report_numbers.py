import numpy as np
import pytest
import scipy.stats

from kliep_tf.data.datasets import CLASS_NAMES
from kliep_tf.data.weights import ImportanceWeights
from kliep_tf.errors import UserError
from kliep_tf.experiments import report_numbers
from kliep_tf.experiments.report_numbers import (
    comparison_sentences,
    consistency_numbers,
    verdict,
)

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


@pytest.mark.parametrize(
    ("without", "with_weights", "more_is_better", "expected"),
    [
        (0.60, 0.80, True, "better"),
        (0.80, 0.60, True, "worse"),
        (0.30, 0.10, False, "better"),
        (0.10, 0.30, False, "worse"),
        (0.600, 0.609, True, "no different"),
        (0.609, 0.600, False, "no different"),
        (None, 0.5, True, None),
    ],
)
def test_verdict(without, with_weights, more_is_better, expected):
    assert verdict(without, with_weights, more_is_better) == expected


def sentences(without, with_weights):
    return comparison_sentences(
        consistency_numbers(without), consistency_numbers(with_weights)
    )


def test_sentences_say_better_with_the_difference():
    summary, kept, vegetation, *_ = sentences(
        confusion(60, 40), confusion(80, 20)
    )
    assert "better in sky still seen as sky, sky turned into" in summary
    assert "worse" not in summary
    assert "no different" not in summary
    assert "80.0 % with weights, 60.0 % without; 20.0 points more" in kept
    assert kept.endswith("better.")
    assert "20.0 points fewer with weights: better." in vegetation


def test_sentences_say_worse():
    summary, kept, vegetation, *_ = sentences(
        confusion(80, 20), confusion(60, 40)
    )
    assert "worse in sky still seen as sky" in summary
    assert "better" not in summary
    assert "20.0 points fewer with weights: worse." in kept
    assert "20.0 points more with weights: worse." in vegetation


def test_sentences_say_when_there_is_no_difference():
    summary, kept, *_ = sentences(confusion(600, 400), confusion(604, 396))
    assert "no different in sky still seen as sky" in summary
    assert "better" not in summary and "worse" not in summary
    assert "0.4 points apart, which counts as no difference" in kept


def test_sentences_can_be_mixed():
    # Sky is kept as often, but what is lost goes to road, not to trees.
    summary, *_ = sentences(confusion(60, 40), confusion(60, 10, 30))
    assert "better in sky turned into vegetation" in summary
    assert "no different in sky still seen as sky" in summary


def test_sentences_without_any_sky():
    _, kept, *_ = sentences(confusion(0, 0), confusion(0, 0))
    assert "undefined" in kept


def test_translation_is_held_against_doing_nothing():
    rows = {
        "source": consistency_numbers(confusion(50, 50)),
        "without": consistency_numbers(confusion(51, 49)),
        "with": consistency_numbers(confusion(90, 10)),
    }
    # mean IoU of road (1), vegetation (0) and sky, in turn .5, .51 and .9.
    assert report_numbers.translation_sentence(rows) == (
        "Against the untranslated frames' 50.0 %, the judge's mean IoU stayed "
        "as it was without weights and rose by 13.3 points with weights. "
        "Translation is meant to raise it."
    )
    rows["with"] = consistency_numbers(confusion(0, 100))
    assert "fell by 16.7 points with weights" in (
        report_numbers.translation_sentence(rows)
    )


def test_what_became_of_the_sky_is_said_first():
    rows = {
        "without": consistency_numbers(confusion(60, 40)),
        "with": consistency_numbers(confusion(80, 15, 5)),
    }
    sentence = report_numbers.sky_sentence(rows)
    assert "60.0 % as sky when the translation was trained without" in sentence
    assert "80.0 % when trained with them" in sentence
    assert "40.0 % and 15.0 % became vegetation" in sentence
    rows["with"] = consistency_numbers(confusion(0, 0))
    assert "No pixel" in report_numbers.sky_sentence(rows)


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
