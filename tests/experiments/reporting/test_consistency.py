import numpy as np
import pytest

from kliep_tf.data.datasets import CLASS_NAMES
from kliep_tf.experiments.reporting.consistency import consistency_numbers

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
