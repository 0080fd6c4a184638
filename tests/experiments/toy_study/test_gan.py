"""The toy's GANs against eq. 13 worked by hand."""

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.experiments.toy_study import gan
from kliep_tf.experiments.toy_study.data import Samples, epoch_batches

SETTINGS = gan.GanSettings(
    hidden_units=4,
    hidden_layers=1,
    generator_rate=0.05,
    discriminator_rate=0.1,
    num_epochs=2,
    batch_size=5,
)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def samples_of(num_vectors: int, num_features: int) -> Samples:
    rng = np.random.default_rng(0)
    shape = (num_vectors, num_features)
    return Samples(
        rng.uniform(0, 10, shape).astype(np.float32),
        rng.normal(7, 0.5, shape).astype(np.float32),
    )


def test_weights_stand_on_the_generated_term_alone():
    # d is 3/4 and 1/2 at the real examples, 1/2 and 3/4 at the generated.
    real = tf.constant([[np.log(3.0), 0.0]], tf.float32)
    fake = tf.constant([[0.0, np.log(3.0)]], tf.float32)
    weights = tf.constant([[0.5, 1.5]])
    discriminator, generator = gan.adversarial_losses(real, fake, weights)
    log = np.log
    np.testing.assert_allclose(
        discriminator,
        [
            [
                -(log(3 / 4) + 0.5 * log(1 - 1 / 2)),
                -(log(1 / 2) + 1.5 * log(1 - 3 / 4)),
            ]
        ],
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        generator, [[-0.5 * log(1 / 2), -1.5 * log(3 / 4)]], rtol=1e-6
    )


def test_one_step_by_hand():
    # Generator a x + b with a = 1, b = 0; logit c y + e with c = e = 0, so
    # that d is 1/2 everywhere. x = 1, 2 become 1, 2; real values are 3, 5.
    generator = [tf.constant([[[1.0]]]), tf.constant([[[0.0]]])]
    discriminator = [tf.constant([[[0.0]]]), tf.constant([[[0.0]]])]
    x, w = np.array([1.0, 2.0]), np.array([0.5, 1.5])
    found_generator, found_discriminator, losses = gan.step(
        generator,
        discriminator,
        tf.constant([[[1.0], [2.0]]]),
        tf.constant([[[3.0], [5.0]]]),
        tf.constant([[0.5, 1.5]]),
        (tf.constant(0.1), tf.constant(1.0)),
    )
    # Gradients of the mean loss in the logits: -1/4 at both real values, w/4
    # at the generated. Over c: -(3 + 5)/4 + (0.5 * 1 + 1.5 * 2)/4 = -9/8; over
    # e: -1/2 + 2/4 = 0. With rate 1: c = 9/8, e = 0.
    np.testing.assert_allclose(found_discriminator[0], [[[9 / 8]]])
    np.testing.assert_allclose(found_discriminator[1], [[[0.0]]], atol=1e-7)
    # The generator meets the discriminator after its step.
    slope = -w * (1 - sigmoid(9 / 8 * x)) / 2 * 9 / 8
    np.testing.assert_allclose(
        found_generator[0], [[[1 - 0.1 * (slope @ x)]]], rtol=1e-6
    )
    np.testing.assert_allclose(
        found_generator[1], [[[-0.1 * slope.sum()]]], rtol=1e-6
    )
    mean_losses = [2 * np.log(2), np.mean(w * np.log1p(np.exp(-9 / 8 * x)))]
    np.testing.assert_allclose(losses, [mean_losses], rtol=1e-6)


@pytest.mark.parametrize("reading", ["vectors", "scalars"])
def test_weight_one_is_the_vanilla_gan_bit_for_bit(reading):
    samples = samples_of(10, 3)
    columns = 1 if reading == "vectors" else 3
    ones = np.ones([10, columns], np.float32)
    other = np.linspace(0, 2, 10 * columns, dtype=np.float32)
    other = other.reshape(10, columns)

    def images(*weights):
        gans = gan.train_gans(
            samples, np.stack(weights), reading, SETTINGS, seed=1
        )
        return gan.generate(gans, samples.source, reading)

    vanilla, equal = images(ones, ones)
    np.testing.assert_array_equal(vanilla, equal)
    # And a GAN is not touched by the one trained beside it.
    beside, weighted = images(ones, other)
    np.testing.assert_array_equal(vanilla, beside)
    assert not np.array_equal(vanilla, weighted)
    assert vanilla.shape == (10, 3)


def test_vectors_keep_their_order_in_every_epoch():
    values = np.arange(8.0).reshape(4, 2)
    for epoch in (0, 1):
        np.testing.assert_array_equal(
            epoch_batches(values, 2, epoch, "vectors"),
            [[[0, 1], [2, 3]], [[4, 5], [6, 7]]],
        )


def test_scalars_take_another_coordinate_in_each_epoch():
    values = np.arange(8.0).reshape(4, 2)
    for epoch, expected in (
        (0, [[[0], [2]], [[4], [6]]]),
        (1, [[[1], [3]], [[5], [7]]]),
        (2, [[[0], [2]], [[4], [6]]]),
    ):
        found = epoch_batches(values, 2, epoch, "scalars")
        np.testing.assert_array_equal(found, expected)
