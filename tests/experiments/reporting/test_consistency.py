import numpy as np
import pytest

from kliep_tf.data.class_sets import CITYSCAPES_CLASSES, ClassSet
from kliep_tf.errors import UserError
from kliep_tf.experiments.reporting import consistency
from kliep_tf.segmentation.consistency import (
    SKY_TO_VEGETATION,
    WatchedConfusion,
)

ROAD, VEGETATION, SKY = map(
    CITYSCAPES_CLASSES.index, ("road", "vegetation", "sky")
)


def consistency_numbers(matrix):
    return consistency.consistency_numbers(
        matrix, CITYSCAPES_CLASSES, SKY_TO_VEGETATION
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


def test_other_classes_can_be_watched():
    found = consistency.consistency_numbers(
        confusion(60, 30, 10),
        CITYSCAPES_CLASSES,
        WatchedConfusion("sky", "road"),
    )
    assert found["sky_to_road"] == pytest.approx(0.1)
    assert found["sky_to_other"] == pytest.approx(0.3)
    assert "sky_to_vegetation" not in found


def test_a_dataset_without_the_watched_classes_leaves_them_out():
    two = ClassSet("two", CITYSCAPES_CLASSES.classes[:2])
    found = consistency.consistency_numbers(
        [[3, 1], [0, 0]], two, SKY_TO_VEGETATION
    )
    assert found["pixel_accuracy"] == pytest.approx(0.75)
    assert not any(name.startswith("sky") for name in found)


def test_an_evaluation_of_other_classes_is_refused(tmp_path):
    (tmp_path / "report.json").write_text('{"confusion_matrix": [[1]]}')
    with pytest.raises(UserError, match="of the 19 classes of cityscapes"):
        consistency.read_confusion(tmp_path, CITYSCAPES_CLASSES)
