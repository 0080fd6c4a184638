"""The tables of what the boards' scalars are."""

import pytest

from kliep_tf.segmentation import consistency
from kliep_tf.segmentation import monitoring as segmenter_monitoring
from kliep_tf.training.scalars import DESCRIPTIONS, description_of
from kliep_tf.translation import monitoring
from kliep_tf.translation.methods import METHODS, load_method

TABLES = {
    "every program": DESCRIPTIONS,
    "segmenters": segmenter_monitoring.DESCRIPTIONS,
    "consistency": {
        **consistency.DESCRIPTIONS,
        **consistency.SKY_TO_VEGETATION.descriptions,
    },
    "every method": monitoring.DESCRIPTIONS,
    **{name: load_method(name).descriptions for name in METHODS},
}


def test_classes_share_a_sentence():
    table = TABLES["segmenters"]
    text = description_of("val_iou/traffic light", table)
    assert text == description_of("val_iou/sky", table)
    assert text.startswith("IoU")


def test_unknown_tag_has_none():
    assert description_of("val/bus") is None
    assert description_of("other") is None


@pytest.mark.parametrize(
    ("table", "tag"),
    [(table, tag) for table in TABLES for tag in TABLES[table]],
)
def test_every_tag_has_one_sentence_and_a_direction(table, tag):
    text = TABLES[table][tag]
    assert text.endswith(".") and text.count(". ") == 0
    assert any(
        word in text for word in ("better", "good", "means", "dominates")
    )
