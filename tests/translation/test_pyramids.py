import keras
import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.translation.pyramids import HalfSize, make_pyramid


def halved(rows, filter):
    image = tf.constant(rows, tf.float32)[None, ..., None]
    return HalfSize(filter)(image)[0, ..., 0].numpy()


def test_gaussian_weighs_1_2_1_and_repeats_the_border():
    column = [[0.0], [8.0], [16.0], [24.0]]
    # (0 + 2 * 0 + 8) / 4 and (8 + 2 * 16 + 24) / 4; across all are alike.
    np.testing.assert_allclose(halved(column, "gaussian"), [[2.0], [16.0]])


def test_box_takes_the_mean_of_what_is_there():
    column = [[0.0], [8.0], [16.0], [24.0]]
    # (0 + 8) / 2 and (8 + 16 + 24) / 3
    np.testing.assert_allclose(halved(column, "box"), [[4.0], [16.0]])
    # A corner has four pixels.
    np.testing.assert_allclose(halved([[1.0, 2.0], [3.0, 6.0]], "box"), [[3.0]])


@pytest.mark.parametrize("filter", ["gaussian", "box"])
def test_frames_need_be_neither_square_nor_even(filter):
    images = tf.ones([2, 5, 8, 3])
    np.testing.assert_allclose(HalfSize(filter)(images), np.ones([2, 3, 4, 3]))
    inputs = keras.Input((None, None, 3))
    network = keras.Model(
        inputs, make_pyramid(inputs, 3, filter, "mixed_bfloat16")
    )
    shapes = [scale.shape for scale in network(images)]
    assert shapes == [(2, 5, 8, 3), (2, 3, 4, 3), (2, 2, 2, 3)]
    # The same of a width that is not 5 as of one that is: no index is shared.
    column = np.arange(5.0)[:, None] * np.ones(8)
    found = halved(column, filter)
    np.testing.assert_allclose(found, np.tile(found[:, :1], [1, 4]), atol=1e-6)
