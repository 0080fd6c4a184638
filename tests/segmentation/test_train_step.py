import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.segmentation.optimizers import OptimizerSettings, make_optimizer
from kliep_tf.segmentation.tiny import tiny
from kliep_tf.segmentation.train_step import (
    cross_entropy,
    make_train_step,
    pixel_accuracies,
)

# As programs do: see kliep_tf/training/distribution.py.
compiled = functools.partial(tf.function, autograph=False)


def _one_layer() -> keras.Model:
    return keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(2, 1)]
    )


def test_cross_entropy_is_the_mean_over_labelled_pixels_of_each_image():
    # Two classes. Logits (0, ln 3): probabilities 1/4 and 3/4.
    logits = np.zeros((2, 1, 3, 2), np.float32)
    logits[..., 1] = np.log(3.0)
    label = np.array([[[1, 1, 0]], [[0, 255, 255]]], np.uint8)[..., None]
    losses = cross_entropy(label, logits)
    # image 0: (ln 4/3 + ln 4/3 + ln 4) / 3; image 1: ln 4 / 1
    expected = [
        (np.log(4 / 3) + np.log(4 / 3) + np.log(4)) / 3,
        np.log(4),
    ]
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    # image 0: two of three; image 1: none of one
    np.testing.assert_allclose(
        pixel_accuracies(label, logits), [2 / 3, 0], rtol=1e-6
    )


def test_ignored_pixels_have_no_gradient():
    logits = tf.random.stateless_normal([1, 2, 2, 19], [1, 2])
    label = np.array([[[3, 255], [255, 18]]], np.uint8)[..., None]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = tf.reduce_sum(cross_entropy(label, logits))
    gradient = tape.gradient(loss, logits).numpy()
    assert not gradient[0, 0, 1].any() and not gradient[0, 1, 0].any()
    assert gradient[0, 0, 0].any() and gradient[0, 1, 1].any()


def test_image_without_labels_counts_nothing():
    logits = tf.random.stateless_normal([1, 2, 2, 19], [1, 2])
    label = np.full((1, 2, 2, 1), 255, np.uint8)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = tf.reduce_sum(cross_entropy(label, logits))
    assert loss == 0.0
    assert not tape.gradient(loss, logits).numpy().any()


@pytest.mark.parametrize("size", [(64, 128), (33, 47), (1, 1)])
def test_logits_have_the_size_of_the_image(size):
    network = tiny(num_classes=19, seed=0)
    logits = network(np.zeros((2, *size, 3), np.float32))
    assert logits.shape == (2, *size, 19)
    assert logits.dtype == tf.float32


def test_tiny_is_small():
    assert tiny(19, seed=0).count_params() < 500_000


def test_seed_decides_the_initial_weights():
    first, second, other = tiny(19, 1), tiny(19, 1), tiny(19, 2)
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first.get_weights()[0] != other.get_weights()[0]).any()
    # Layers of one network do not start alike.
    kernels = [
        layer.kernel.numpy()
        for layer in first.layers
        if isinstance(layer, keras.layers.Conv2D)
    ]
    assert len({float(kernel.flat[0]) for kernel in kernels}) == len(kernels)


def test_result_does_not_depend_on_the_other_images_of_the_batch():
    network = tiny(19, seed=0)
    images = np.random.default_rng(0).uniform(-1, 1, (3, 32, 48, 3))
    images = images.astype(np.float32)
    together = network(images, training=True)
    alone = network(images[1:2], training=True)
    np.testing.assert_allclose(together[1:2], alone, rtol=1e-4, atol=1e-4)


def test_learns_to_separate_two_colors():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 2, (4, 4, 4, 1))
    label = coarse.repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8)
    image = np.where(label == 1, 0.8, -0.8) * np.ones(3)
    batch = (tf.constant(image, tf.float32), tf.constant(label))
    network = tiny(2, seed=0)
    optimizer = make_optimizer(network, OptimizerSettings(40, 3e-3))
    step = compiled(make_train_step(network, optimizer, 4))
    figures = [step(batch) for _ in range(40)]
    assert figures[-1]["pixel_accuracy"] > 0.9 > figures[0]["pixel_accuracy"]
    assert figures[-1]["loss"] < figures[0]["loss"] / 3


def test_rate_decays_and_ends_above_zero():
    network = _one_layer()
    optimizer = make_optimizer(network, OptimizerSettings(10, 0.1))
    batch = (tf.zeros([1, 16, 16, 3]), tf.zeros([1, 16, 16, 1], tf.uint8))
    step = compiled(make_train_step(network, optimizer, 1))
    rates = [float(step(batch)["learning_rate"]) for _ in range(10)]
    # (1 - step / 10)^0.9 of the first rate, steps 0 to 9
    expected = [0.1 * (1 - number / 10) ** 0.9 for number in range(10)]
    np.testing.assert_allclose(rates, expected, rtol=1e-5)
    assert rates[-1] > 0


def test_bfloat16_gives_float32_logits():
    network = tiny(19, seed=0, dtype="mixed_bfloat16")
    logits = network(np.zeros((1, 32, 32, 3), np.float32))
    assert logits.dtype == tf.float32
    assert network.trainable_variables[0].dtype == "float32"


def test_unlabelled_images_weigh_in_the_mean_over_the_global_batch():
    # One labelled image among four: its loss counts a quarter.
    network = _one_layer()
    optimizer = make_optimizer(network, OptimizerSettings(1, 1e-9))
    image = tf.zeros([4, 16, 16, 3])
    label = np.full((4, 16, 16, 1), 255, np.uint8)
    label[0] = 1
    alone = cross_entropy(label[:1], network(image[:1]))[0]
    figures = make_train_step(network, optimizer, 4)((image, label))
    np.testing.assert_allclose(figures["loss"], alone / 4, rtol=1e-5)


def _gradients_of_step(batch, global_batch_size: int) -> list[np.ndarray]:
    """What one step of plain SGD of rate 1 takes away from the weights."""
    network = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(
                2, 1, kernel_initializer=keras.initializers.HeNormal(1)
            ),
        ]
    )
    before = network.get_weights()
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(network.trainable_variables)
    make_train_step(network, optimizer, global_batch_size)(batch)
    return [
        old - new
        for old, new in zip(before, network.get_weights(), strict=True)
    ]


def _two_images() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    image = rng.uniform(-1, 1, (2, 4, 4, 3)).astype(np.float32)
    return image, rng.integers(0, 2, (2, 4, 4, 1)).astype(np.uint8)


def test_weight_0_removes_an_example_and_2_counts_it_twice():
    image, label = _two_images()
    weights = np.array([2.0, 0.0], np.float32)
    weighted = _gradients_of_step((image, label, weights), 2)
    twice = [np.repeat(array[:1], 2, axis=0) for array in (image, label)]
    expected = _gradients_of_step(tuple(twice), 2)
    for found, value in zip(weighted, expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-7)


def test_weights_of_1_change_nothing():
    image, label = _two_images()
    weighted = _gradients_of_step((image, label, np.ones(2, np.float32)), 2)
    for found, value in zip(
        weighted, _gradients_of_step((image, label), 2), strict=True
    ):
        np.testing.assert_array_equal(found, value)
