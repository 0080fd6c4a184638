from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.translation.layers import InstanceNormalization, ReflectionPadding
from kliep_tf.translation.networks import make_discriminator, make_generator
from kliep_tf.translation.schedules import LinearDecay

GOLDEN = Path(__file__).parent.parent / "golden"


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


def test_one_logit_sees_exactly_70_by_70_pixels():
    discriminator = make_discriminator(filters=2)
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
    assert touched.any(0).sum() == 70
    assert touched.any(1).sum() == 70


@pytest.mark.parametrize("batch", [1, 3, 6])
def test_instance_norm_equals_group_normalization(batch):
    x = tf.random.normal([batch, 6, 7, 5], mean=2.0, stddev=3.0, seed=batch)
    expected = keras.layers.GroupNormalization(
        groups=-1, center=False, scale=False, epsilon=1.001e-5
    )(x)
    np.testing.assert_allclose(InstanceNormalization()(x), expected, atol=1e-5)


def test_instance_norm_equals_what_tensorflow_addons_computed():
    golden = np.load(GOLDEN / "tfa_instance_norm.npz")
    layer = InstanceNormalization(epsilon=float(golden["epsilon"]))
    normalized = layer(tf.constant(golden["input"])).numpy()
    found = normalized * golden["gamma"] + golden["beta"]
    np.testing.assert_allclose(found, golden["output"], atol=1e-5)


def test_reflection_padding_mirrors_without_repeating_the_border():
    image = tf.reshape(tf.range(9.0), [1, 3, 3, 1])
    padded = ReflectionPadding(1)(image)[0, :, :, 0].numpy()
    # The rows are 0 1 2, 3 4 5, 6 7 8; beside 0 stands 1, above 0 stands 3.
    assert padded[1].tolist() == [1, 0, 1, 2, 1]
    assert padded[0].tolist() == [4, 3, 4, 5, 4]


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


def test_rate_is_constant_then_falls_and_never_reaches_0():
    schedule = LinearDecay(1.0, num_steps=10)
    rates = [float(schedule(step)) for step in range(10)]
    expected = [1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
