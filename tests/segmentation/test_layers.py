import keras
import numpy as np
import tensorflow as tf

from kliep_tf.segmentation.layers import GroupNormalization


def _with_gradients(layer, x: tf.Tensor) -> list[np.ndarray]:
    """A layer's output and the gradients of a function of it."""
    ramp = tf.reshape(tf.range(tf.size(x), dtype=tf.float32), x.shape)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        loss = tf.reduce_mean(tf.sin(y + ramp))
    gradients = tape.gradient(loss, [x, *layer.trainable_variables])
    return [np.asarray(value) for value in (y, *gradients)]


def test_group_normalization_is_that_of_keras():
    rng = np.random.default_rng(0)
    # Far from 0 beside its spread, and other channels elsewhere.
    x = rng.normal(5.0, 0.5, (2, 6, 10, 12)) + rng.normal(0, 3, 12)
    x = tf.constant(x, tf.float32)
    ours, theirs = GroupNormalization(4), keras.layers.GroupNormalization(4)
    weights = [rng.normal(size=12), rng.normal(size=12)]
    for layer in (ours, theirs):
        layer.build(x.shape)
        layer.set_weights(weights)
    for found, expected in zip(
        _with_gradients(ours, x), _with_gradients(theirs, x), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-5)


def test_groups_have_mean_0_and_variance_1():
    x = np.random.default_rng(1).normal(3.0, 2.0, (2, 8, 8, 6))
    y = GroupNormalization(2, epsilon=1e-7)(tf.constant(x, tf.float32))
    groups = np.asarray(y).reshape(2, 64, 2, 3)
    np.testing.assert_allclose(groups.mean((1, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(groups.var((1, 3)), 1, atol=1e-4)


def test_bfloat16_images_have_float32_moments():
    # 4,096 values of 1 and as many of 0: bfloat16 cannot count beyond 256.
    x = np.zeros((1, 64, 128, 2), np.float32)
    x[:, ::2] = 1.0
    y = GroupNormalization(1, dtype="mixed_bfloat16")(tf.constant(x))
    assert y.dtype == tf.bfloat16
    # Mean 1/2 and deviation 1/2.
    values = np.unique(np.asarray(tf.cast(y, tf.float32)))
    np.testing.assert_allclose(values, [-1, 1], atol=0.01)
