import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data.datasets import CLASS_NAMES
from kliep_tf.segmentation.consistency import (
    predicted_share,
    semantic_consistency,
    sky_kept,
    sky_to_vegetation,
)

SKY, VEGETATION, ROAD = (
    CLASS_NAMES.index(name) for name in ("sky", "vegetation", "road")
)


def _red_channel_is_the_class(images: tf.Tensor) -> tf.Tensor:
    return tf.one_hot(tf.cast(images[..., 0], tf.int32), 19)


def test_trees_in_the_sky_are_counted():
    label = np.full((1, 2, 4, 1), SKY, np.uint8)
    label[:, 1] = ROAD
    label[:, 1, 3] = 255
    image = np.repeat(np.where(label == 255, 0, label), 3, axis=-1)
    image[:, 0, 0] = VEGETATION  # one of four sky pixels is painted over
    matrix = semantic_consistency(
        _red_channel_is_the_class,
        [(image.astype(np.uint8), label), (image.astype(np.uint8), label)],
    )
    # Two batches: sky 2 x (3 kept + 1 vegetation), road 2 x 3, one ignored.
    assert matrix[SKY, SKY] == 6
    assert matrix[SKY, VEGETATION] == 2
    assert matrix[ROAD, ROAD] == 6
    assert matrix.sum() == 14
    assert sky_kept(matrix) == 6 / 8
    assert sky_to_vegetation(matrix) == 2 / 8
    assert predicted_share(matrix, "road", "road") == 1.0


def test_share_of_an_unlabelled_class_is_undefined():
    assert np.isnan(sky_kept(np.zeros((19, 19), np.int64)))


def test_unknown_class_is_an_error():
    with pytest.raises(ValueError):
        predicted_share(np.zeros((19, 19)), "heaven", "sky")
