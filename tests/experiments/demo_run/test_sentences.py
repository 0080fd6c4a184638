import pytest

from kliep_tf.experiments.demo_run.sentences import (
    comparison_sentences,
    distance_sentence,
    translation_sentence,
    verdict,
    watched_sentence,
)
from tests.experiments.reporting.test_consistency import (
    confusion,
    consistency_numbers,
)


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
    assert translation_sentence(rows) == (
        "Against the untranslated frames' 50.0 %, the judge's mean IoU stayed "
        "as it was without weights and rose by 13.3 points with weights. "
        "Translation is meant to raise it."
    )
    rows["with"] = consistency_numbers(confusion(0, 100))
    assert "fell by 16.7 points with weights" in (translation_sentence(rows))


def test_what_became_of_the_sky_is_said_first():
    rows = {
        "without": consistency_numbers(confusion(60, 40)),
        "with": consistency_numbers(confusion(80, 15, 5)),
    }
    sentence = watched_sentence(rows)
    assert "60.0 % as sky when the translation was trained without" in sentence
    assert "80.0 % when it was trained with them" in sentence
    assert "40.0 % and 15.0 % became vegetation" in sentence
    rows["with"] = consistency_numbers(confusion(0, 0))
    assert "No pixel" in watched_sentence(rows)


def test_distance_sentence_says_whether_like_was_compared_with_like():
    distances = {
        "unweighted": 0.4,
        "source_weighted": 0.0,
        "as_trained": 0.05,
    }
    sentence = distance_sentence(distances)
    assert "domains more alike" in sentence
    distances["as_trained"] = 0.5
    sentence = distance_sentence(distances)
    assert "domains less alike" in sentence
    distances["as_trained"] = 0.4
    assert "as unlike" in distance_sentence(distances)
