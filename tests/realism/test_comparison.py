"""Units of features, and distances over pairs of crops."""

import numpy as np
import pytest

from kliep_tf.realism.comparison import Subsets, compare_sets, unit_of
from kliep_tf.realism.image_sets import ImageSet

IGNORE = 255


def image_set(features, classes):
    """Returns a set whose crops show one class each, and nothing else."""
    cells = np.repeat(np.asarray(classes, np.uint8)[:, None], 256, axis=1)
    return ImageSet(features, features, cells, {})


def test_unit_is_the_root_mean_square_of_the_target():
    features = np.array([[3.0, 4.0], [0.0, 5.0]])
    assert unit_of(image_set(features, [0, 0])) == pytest.approx(
        np.sqrt((9 + 16 + 0 + 25) / 4)
    )


def test_features_in_another_unit_are_as_far():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(40, 3)), rng.normal(1, size=(40, 3))
    small = Subsets(unit=unit_of(image_set(second, [0] * 40)))
    large = Subsets(unit=unit_of(image_set(500 * second, [0] * 40)))
    assert small.distance(first, second).mean == pytest.approx(
        large.distance(500 * first, 500 * second).mean
    )


def test_equal_looks_of_each_class_are_near_though_shares_differ():
    # The look of a class is the same in both domains; the first shows mostly
    # the class 0, the second mostly 1.
    rng = np.random.default_rng(1)

    def domain(number_of_ones):
        classes = np.arange(60) < number_of_ones
        features = classes[:, None] * 2.0 + rng.normal(0, 0.1, (60, 2))
        return image_set(features, classes)

    found = compare_sets(domain(10), domain(50), IGNORE, Subsets())
    assert found.aligned.num_pairs == 60
    assert abs(found.aligned.distance.mean) < found.whole.mean / 20


def test_too_few_pairs_have_no_distance():
    features = np.zeros((30, 2))
    sky, road = image_set(features, [10] * 30), image_set(features, [0] * 30)
    found = compare_sets(sky, road, IGNORE, Subsets())
    assert found.aligned.num_pairs == 0
    assert found.aligned.distance is None
    assert found.group_mean is None
