import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.translation.networks import make_generator
from kliep_tf.translation.rematerialization import rematerialize

IMAGES = tf.random.stateless_uniform([2, 24, 28, 3], [1, 2], -1, 1)


def value_and_gradients(forward, generator, images=IMAGES):
    with tf.GradientTape() as tape:
        tape.watch(images)
        # Twice, as in a cycle: the gradient passes through both.
        loss = tf.reduce_sum(tf.abs(forward(forward(images)) - images))
    variables = [v.value for v in generator.trainable_variables]
    return loss, tape.gradient(loss, [images, *variables])


def assert_close(found, expected):
    largest = max(np.abs(gradient).max() for gradient in expected)
    for one, two in zip(found, expected, strict=True):
        # A bias before instance normalisation has no gradient but rounding,
        # which is small beside the others only.
        scale = np.abs(two).max() if two.ndim > 1 else largest
        np.testing.assert_allclose(one / scale, two / scale, atol=2e-5)


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_value_and_gradients_are_those_of_the_generator(upsampling):
    generator = make_generator(
        filters=4, num_residual_blocks=2, upsampling=upsampling
    )
    expected, gradients = value_and_gradients(generator, generator)
    found, again = value_and_gradients(rematerialize(generator), generator)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert_close(again, gradients)


def test_gradients_are_equal_inside_a_function_too():
    generator = make_generator(filters=4, num_residual_blocks=2)
    _, expected = value_and_gradients(generator, generator)
    forward = rematerialize(generator)
    compiled = tf.function(lambda: value_and_gradients(forward, generator))
    _, found = compiled()
    assert_close(found, expected)


def test_forward_pass_follows_the_generators_weights():
    generator = make_generator(filters=2, num_residual_blocks=1)
    forward = rematerialize(generator)
    generator.set_weights([2 * w for w in generator.get_weights()])
    np.testing.assert_allclose(forward(IMAGES), generator(IMAGES), atol=1e-6)


def test_generator_without_residual_blocks_is_one_part():
    generator = make_generator(filters=2, num_residual_blocks=0)
    forward = rematerialize(generator)
    np.testing.assert_allclose(forward(IMAGES), generator(IMAGES), atol=1e-6)
