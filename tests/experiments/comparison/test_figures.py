import numpy as np

from kliep_tf.experiments.comparison import figures
from tests.experiments.comparison.test_tables import MEASURES, NUMBERS
from tests.experiments.pictures import png_size


def test_figures_are_drawn():
    png = figures.draw_measures(NUMBERS, MEASURES)
    assert min(png_size(png)) > 100
    image = np.zeros((8, 16, 3), np.uint8)
    png = figures.draw_panels({"a": [image], "b": [image]}, ["x"])
    assert png_size(png)[0] > png_size(png)[1]
