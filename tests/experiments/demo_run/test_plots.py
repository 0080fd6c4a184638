import numpy as np
import pytest

from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.experiments.demo_run import plots
from kliep_tf.segmentation.consistency import SKY_TO_VEGETATION

ROAD, VEGETATION, SKY = map(
    CITYSCAPES_CLASSES.index, ("road", "vegetation", "sky")
)
MEANING = (CITYSCAPES_CLASSES, SKY_TO_VEGETATION)


def test_overlay_colours_each_kind_of_flip():
    label = np.array([[SKY, SKY, SKY, ROAD, ROAD, 255]], np.uint8)
    seen = np.array([[SKY, VEGETATION, ROAD, ROAD, SKY, SKY]], np.uint8)
    image = np.full((1, 6, 3), 90, np.uint8)
    overlay = plots.flip_overlay(image, label, seen, *MEANING)
    colors = plots.flip_colors(SKY_TO_VEGETATION)
    grey = (165, 165, 165)  # 120 + 90 / 2
    assert [tuple(pixel) for pixel in overlay[0].tolist()] == [
        grey,
        colors["sky to vegetation"],
        colors["sky to another class"],
        grey,
        colors["any other flip"],
        grey,
    ]


def test_unflipped_pixels_are_grey_and_keep_their_order_of_brightness():
    image = np.array([[[0, 0, 0], [255, 0, 0], [255, 255, 255]]], np.uint8)
    label = np.full((1, 3), ROAD, np.uint8)
    overlay = plots.flip_overlay(image, label, label, *MEANING)[0].astype(int)
    assert (overlay == overlay[:, :1]).all()
    assert overlay[0, 0] < overlay[1, 0] < overlay[2, 0]


def test_sky_shares_of_a_frame():
    label = np.array([[SKY, SKY, SKY, SKY, ROAD]], np.uint8)
    seen = np.array([[SKY, SKY, SKY, VEGETATION, SKY]], np.uint8)
    assert plots.watched_shares(label, seen, *MEANING) == (0.75, 0.25)
    nowhere = plots.watched_shares(label * 0, seen, *MEANING)
    assert np.isnan(nowhere).all()
    share = plots.labelled_share(label, "sky", CITYSCAPES_CLASSES)
    assert share == pytest.approx(0.8)


def test_a_weight_of_zero_is_drawn_at_the_least_of_the_axis():
    drawn = []
    for least in (0.0, plots.LEAST_DRAWN):
        numbers = {
            "estimated": [least, 1.0, 2.0],
            "true": [0.1, 1.0, 3.0],
            "rank_correlation": None,
        }
        both = {"source": numbers, "target": numbers}
        drawn.append(plots.draw_true_weights(both))
    assert drawn[0] == drawn[1]
