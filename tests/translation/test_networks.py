import keras
import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.translation.networks import (
    make_discriminator,
    make_generator,
    rematerialize,
)

IMAGES = tf.random.stateless_uniform([2, 24, 28, 3], [1, 2], -1, 1)


def test_published_networks_to_the_parameter():
    assert make_generator().count_params() == 11_378_179
    assert make_discriminator().count_params() == 2_764_737


def test_resize_convolution_has_as_many_parameters_as_transposed():
    options = {"filters": 4, "num_residual_blocks": 1}
    resize = make_generator(upsampling="resize", **options)
    assert resize.count_params() == make_generator(**options).count_params()
    assert resize(tf.zeros([1, 24, 28, 3])).shape == (1, 24, 28, 3)


def test_generator_keeps_size_and_range():
    generator = make_generator(filters=4, num_residual_blocks=1)
    translated = generator(tf.random.normal([2, 36, 52, 3]))
    assert translated.shape == (2, 36, 52, 3)
    assert np.abs(translated).max() <= 1.0


def test_discriminator_has_a_70_pixel_field():
    # The published map: 256 pixels to 30x30 logits.
    discriminator = make_discriminator(filters=2)
    assert discriminator(tf.zeros([1, 256, 256, 3])).shape == (1, 30, 30, 1)


# Isola et al. 2017, appendix 6.1.2.
@pytest.mark.parametrize(("num_layers", "pixels"), [(1, 16), (2, 34), (3, 70)])
def test_one_logit_sees_a_patch_of_the_published_size(num_layers, pixels):
    discriminator = make_discriminator(filters=2, num_layers=num_layers)
    # Without the norm's global statistics the receptive field is visible.
    convolutions = [
        layer
        for layer in discriminator.layers
        if isinstance(layer, keras.Sequential)
    ]
    image = tf.Variable(tf.random.normal([1, 256, 256, 3], seed=1))
    with tf.GradientTape() as tape:
        x = image
        for layer in convolutions:
            x = layer(x)
        logit = x[0, 15, 15, 0]
    touched = np.abs(tape.gradient(logit, image)[0]).sum(-1) > 0
    assert touched.any(0).sum() == pixels
    assert touched.any(1).sum() == pixels


@pytest.mark.parametrize(
    ("num_layers", "parameters"),
    [
        # 4x4 kernels: 3-64-128-1 and, with one layer more, 3-64-128-256-1.
        (1, 16 * (3 * 64 + 64 * 128 + 128) + 64 + 128 + 1),
        (2, 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256) + 64 + 128 + 256 + 1),
    ],
)
def test_fewer_layers_leave_the_widest_out(num_layers, parameters):
    discriminator = make_discriminator(num_layers=num_layers)
    assert discriminator.count_params() == parameters


def test_mixed_precision_networks_return_float32():
    generator = make_generator(
        filters=4, num_residual_blocks=1, dtype="mixed_bfloat16"
    )
    assert generator(tf.zeros([1, 24, 24, 3])).dtype == tf.float32
    assert {v.dtype for v in generator.trainable_variables} == {"float32"}


def test_weights_are_initialised_by_seed():
    first, same, other = (
        make_generator(filters=2, num_residual_blocks=1, seed=seed)
        for seed in (1, 1, 2)
    )
    for one, two, three in zip(
        first.get_weights(),
        same.get_weights(),
        other.get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)
        assert one.ndim == 1 or np.abs(one - three).max() > 0


def test_convolutions_of_one_network_start_different():
    weights = make_generator(filters=2, num_residual_blocks=2).get_weights()
    blocks = [w for w in weights if w.shape == (3, 3, 8, 8)]
    assert len(blocks) == 4
    assert np.abs(blocks[0] - blocks[1]).max() > 0


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
    generator = make_generator(filters=4, num_residual_blocks=1)
    _, expected = value_and_gradients(generator, generator)
    forward = rematerialize(generator)
    _, found = tf.function(value_and_gradients, autograph=False)(
        forward, generator
    )
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
