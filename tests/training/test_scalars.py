"""The table of what the boards' scalars are."""

import pytest

from kliep_tf.training.scalars import DESCRIPTIONS, description_of


def test_classes_share_a_sentence():
    text = description_of("val_iou/traffic light")
    assert text == description_of("val_iou/sky")
    assert text.startswith("IoU")


def test_unknown_tag_has_none():
    assert description_of("val/bus") is None
    assert description_of("other") is None


@pytest.mark.parametrize("tag", DESCRIPTIONS)
def test_every_tag_has_one_sentence_and_a_direction(tag):
    text = DESCRIPTIONS[tag]
    assert text.endswith(".") and text.count(". ") == 0
    assert any(
        word in text for word in ("better", "good", "lost", "means", "won")
    )
