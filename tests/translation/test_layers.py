from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.translation.layers import (
    ImageNormalization,
    InstanceNormalization,
    ReflectionPadding,
    SpectralConv2D,
    iterate_spectral_norms,
)
from kliep_tf.translation.networks import make_discriminator

GOLDEN = Path(__file__).parent.parent / "golden"


def make_layer(kernel, **options):
    """A convolution of 1x1 with this kernel, [channels in, channels out]."""
    kernel = np.asarray(kernel, np.float32)
    layer = SpectralConv2D(
        kernel.shape[1],
        1,
        1,
        kernel_initializer=keras.initializers.RandomNormal(seed=0),
        **options,
    )
    layer.build((None, None, None, kernel.shape[0]))
    layer.kernel.assign(kernel[None, None])
    return layer


def test_sigma_becomes_the_largest_singular_value():
    # The singular values of a diagonal matrix are its entries.
    layer = make_layer([[3.0, 0.0], [0.0, 2.0]])
    for _ in range(30):
        layer.iterate()
    np.testing.assert_allclose(layer.sigma(), 3.0, rtol=1e-5)
    kernel = np.random.default_rng(0).normal(size=(5, 4))
    layer = make_layer(kernel)
    for _ in range(100):
        layer.iterate()
    expected = np.linalg.svd(kernel, compute_uv=False)[0]
    np.testing.assert_allclose(layer.sigma(), expected, rtol=1e-4)


def test_output_is_that_of_the_kernel_divided_by_sigma():
    layer = make_layer([[3.0, 0.0], [0.0, 2.0]])
    for _ in range(30):
        layer.iterate()
    pixel = tf.constant([[[[3.0, 3.0]]]])
    # 3 x 3 / 3 and 3 x 2 / 3
    np.testing.assert_allclose(layer(pixel)[0, 0, 0], [3.0, 2.0], rtol=1e-5)
    layer.bias.assign([10.0, 20.0])
    np.testing.assert_allclose(layer(pixel)[0, 0, 0], [13.0, 22.0], rtol=1e-5)


def test_output_does_not_change_with_the_scale_of_the_kernel():
    kernel = np.random.default_rng(0).normal(size=(3, 4))
    one, other = make_layer(kernel), make_layer(100 * kernel)
    pixel = tf.ones([1, 2, 2, 3])
    for layer in (one, other):
        layer.iterate()
    np.testing.assert_allclose(one(pixel), other(pixel), rtol=1e-4)


def test_gradient_flows_through_sigma():
    """Growing the kernel as a whole changes nothing: no gradient that way."""
    kernel = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    layer = make_layer(kernel)
    for _ in range(100):
        layer.iterate()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(layer(tf.ones([1, 2, 2, 3]))))
    gradient = tape.gradient(loss, layer.kernel.value)[0, 0].numpy()
    assert np.abs(gradient).max() > 1e-3
    assert abs(np.sum(gradient * kernel)) < 1e-4


def test_a_call_changes_nothing_and_an_iteration_only_u():
    layer = make_layer([[3.0, 1.0], [0.0, 2.0]])
    before = layer.get_weights()
    layer(tf.ones([1, 2, 2, 2]), training=True)
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    layer.iterate()
    changed = [
        (old != new).any()
        for old, new in zip(before, layer.get_weights(), strict=True)
    ]
    assert changed == [False, False, True]


def test_mixed_precision_normalises_in_float32():
    layer = make_layer([[3.0, 0.0], [0.0, 2.0]], dtype="mixed_bfloat16")
    for _ in range(30):
        layer.iterate()
    assert layer.sigma().dtype == tf.float32
    np.testing.assert_allclose(layer.sigma(), 3.0, rtol=1e-5)
    assert layer(tf.ones([1, 2, 2, 2])).dtype == tf.bfloat16


def test_discriminator_is_normalised_throughout_and_not_by_instance():
    plain = make_discriminator(filters=2)
    spectral = make_discriminator(filters=2, spectral_norm=True)
    shape = (1, 64, 64, 3)
    assert spectral(tf.zeros(shape)).shape == plain(tf.zeros(shape)).shape
    trainable = [weight.shape for weight in spectral.trainable_weights]
    assert trainable == [weight.shape for weight in plain.trainable_weights]
    # One vector u a convolution.
    assert len(spectral.non_trainable_weights) == 5
    names = {type(layer).__name__ for layer in spectral.layers}
    assert "InstanceNormalization" not in names


@pytest.mark.parametrize("spectral_norm", [False, True])
def test_checkpoint_holds_u(tmp_path, spectral_norm):
    saved, restored = (
        make_discriminator(filters=2, spectral_norm=spectral_norm, seed=seed)
        for seed in (0, 1)
    )
    iterate_spectral_norms(saved)
    path = tf.train.Checkpoint(net=saved).save(str(tmp_path / "net"))
    tf.train.Checkpoint(net=restored).restore(path).assert_consumed()
    for one, two in zip(
        saved.get_weights(), restored.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, two)


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


def test_image_normalization_by_hand():
    layer = ImageNormalization(keras.initializers.Constant([1.0, 10.0]))
    # One image of two pixels and two channels: mean 4, squared differences 9,
    # 1, 1, 9, of a sample of four 20 / 3.
    image = tf.constant([[[[1.0, 3.0], [5.0, 7.0]]]])
    deviation = np.sqrt(20 / 3) + 1e-5
    expected = np.float32([[-3, -1 * 10], [1, 3 * 10]]) / deviation
    np.testing.assert_allclose(layer(image)[0, 0], expected, rtol=1e-5)
    layer.offset.assign([0.0, 100.0])
    expected[:, 1] += 100
    np.testing.assert_allclose(layer(image)[0, 0], expected, rtol=1e-5)
    assert layer.count_params() == 4


def test_image_normalization_of_a_flat_image_has_finite_gradients():
    layer = ImageNormalization("ones")
    image = tf.Variable(tf.ones([1, 2, 2, 3]))
    with tf.GradientTape() as tape:
        outputs = layer(image)
        loss = tf.reduce_sum(tf.square(outputs))
    np.testing.assert_array_equal(outputs, np.zeros([1, 2, 2, 3]))
    assert np.isfinite(tape.gradient(loss, image)).all()
