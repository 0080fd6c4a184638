import io

import numpy as np
from PIL import Image

from kliep_tf.data.class_sets import ClassSet, LabelClass
from kliep_tf.experiments.reporting import plots
from tests.experiments.pictures import png_size


def test_small_frames_are_enlarged_by_repeating_pixels():
    pixels = np.random.default_rng(0).integers(0, 255, (8, 128, 3), np.uint8)
    data = plots.enlarged_png(pixels)
    shown = np.asarray(Image.open(io.BytesIO(data)))
    assert shown.shape == (24, 384, 3)
    np.testing.assert_array_equal(shown[1::3, 1::3], pixels)


def test_large_frames_stay_as_they_are():
    pixels = np.zeros((4, 1024, 3), np.uint8)
    assert png_size(plots.enlarged_png(pixels)) == (1024, 4)


def test_the_legend_has_the_classes_that_occur():
    colors = {"road": (1, 2, 3), "tree": (4, 5, 6), "sky": (7, 8, 9)}
    classes = ClassSet(
        "three", tuple(LabelClass(*item) for item in colors.items())
    )
    labels = [np.array([[0, 0]], np.uint8), np.array([[2, 255]], np.uint8)]
    found = plots.class_colors(labels, classes)
    assert found == {"road": (1, 2, 3), "sky": (7, 8, 9)}


def test_panels_stand_in_columns():
    image = np.zeros((8, 16, 3), np.uint8)
    width, height = png_size(plots.draw_panels({"a": [image]}, ["x"]))
    both = png_size(plots.draw_panels({"a": [image], "b": [image]}, ["x"]))
    assert both[0] > 1.8 * width
    assert both[1] == height
