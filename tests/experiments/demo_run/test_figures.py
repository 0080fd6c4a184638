import io

import numpy as np
import pytest
from PIL import Image

from kliep_tf.data.datasets import CLASS_NAMES
from kliep_tf.experiments.demo_run import figures
from tests.experiments.pictures import png_size

ROAD, VEGETATION, SKY = (
    CLASS_NAMES.index(name) for name in ("road", "vegetation", "sky")
)


def test_overlay_colours_each_kind_of_flip():
    label = np.array([[SKY, SKY, SKY, ROAD, ROAD, 255]], np.uint8)
    seen = np.array([[SKY, VEGETATION, ROAD, ROAD, SKY, SKY]], np.uint8)
    image = np.full((1, 6, 3), 90, np.uint8)
    overlay = figures.flip_overlay(image, label, seen)
    colors = figures.FLIP_COLORS
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
    overlay = figures.flip_overlay(image, label, label)[0].astype(int)
    assert (overlay == overlay[:, :1]).all()
    assert overlay[0, 0] < overlay[1, 0] < overlay[2, 0]


def test_sky_shares_of_a_frame():
    label = np.array([[SKY, SKY, SKY, SKY, ROAD]], np.uint8)
    seen = np.array([[SKY, SKY, SKY, VEGETATION, SKY]], np.uint8)
    assert figures.sky_shares(label, seen) == (0.75, 0.25)
    assert figures.sky_share(label) == pytest.approx(0.8)
    assert np.isnan(figures.sky_shares(label * 0, seen)).all()


def test_small_frames_are_enlarged_by_repeating_pixels():
    pixels = np.random.default_rng(0).integers(0, 255, (8, 128, 3), np.uint8)
    data = figures.enlarged_png(pixels)
    shown = np.asarray(Image.open(io.BytesIO(data)))
    assert shown.shape == (24, 384, 3)
    np.testing.assert_array_equal(shown[1::3, 1::3], pixels)


def test_large_frames_stay_as_they_are():
    pixels = np.zeros((4, 1024, 3), np.uint8)
    data = figures.enlarged_png(pixels)
    assert png_size(data) == (1024, 4)


def test_scatter_survives_zero_weights():
    numbers = {
        "estimated": [0.0, 1.0, 2.0],
        "true": [0.1, 1.0, 3.0],
        "rank_correlation": 1.0,
    }
    data = figures.draw_true_weights(
        {"source": numbers, "target": numbers | {"rank_correlation": None}}
    )
    assert png_size(data)[0] > 500
