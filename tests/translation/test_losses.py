import math

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.translation.losses import (
    ADVERSARIAL_LOSSES,
    global_mean,
    mean_absolute,
)

# Two examples of 2x2 logits: all 0, and all 2.
LOGITS = tf.reshape(tf.constant([0.0] * 4 + [2.0] * 4), [2, 2, 2, 1])


def softplus(x):
    return math.log1p(math.exp(x))


@pytest.mark.parametrize(
    ("name", "real", "fake", "generator"),
    [
        # (d - 1)^2 for real, d^2 for fake
        ("lsgan", [1.0, 1.0], [0.0, 4.0], [1.0, 1.0]),
        # -log sigmoid(d) and -log(1 - sigmoid(d))
        (
            "bce",
            [softplus(0), softplus(-2)],
            [softplus(0), softplus(2)],
            [softplus(0), softplus(-2)],
        ),
        # max(0, 1 - d) and max(0, 1 + d); the generator's is -d
        ("hinge", [1.0, 0.0], [1.0, 3.0], [0.0, -2.0]),
    ],
)
def test_adversarial_losses_by_hand(name, real, fake, generator):
    loss = ADVERSARIAL_LOSSES[name]
    np.testing.assert_allclose(loss.real(LOGITS), real, rtol=1e-6)
    np.testing.assert_allclose(loss.fake(LOGITS), fake, rtol=1e-6)
    np.testing.assert_allclose(loss.generator(LOGITS), generator, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "real", "fake", "generator"),
    [
        # (1 + 1 + 9 + 0) / 4, (0 + 4 + 4 + 1) / 4
        ("lsgan", 2.75, 2.25, 2.75),
        # (1 + 0 + 3 + 0) / 4, (1 + 3 + 0 + 2) / 4, -(0 + 2 - 2 + 1) / 4
        ("hinge", 1.0, 1.5, -0.25),
    ],
)
def test_an_examples_loss_is_the_mean_over_its_patches(
    name, real, fake, generator
):
    logits = tf.reshape(tf.constant([0.0, 2.0, -2.0, 1.0]), [1, 2, 2, 1])
    loss = ADVERSARIAL_LOSSES[name]
    assert loss.real(logits).numpy().tolist() == [real]
    assert loss.fake(logits).numpy().tolist() == [fake]
    assert loss.generator(logits).numpy().tolist() == [generator]


@pytest.mark.parametrize("name", sorted(ADVERSARIAL_LOSSES))
def test_generator_gradient_calls_for_higher_logits(name):
    """Non-saturating: it is steepest where the fake is seen through."""
    logits = tf.constant([-4.0, -1.0], shape=[2, 1, 1, 1])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = tf.reduce_sum(ADVERSARIAL_LOSSES[name].generator(logits))
    seen_through, unsure = tape.gradient(loss, logits)[:, 0, 0, 0].numpy()
    assert seen_through <= unsure < 0


def test_cycle_loss_is_mean_absolute_difference_per_example():
    images = tf.zeros([2, 2, 2, 3])
    others = tf.stack([tf.fill([2, 2, 3], 0.5), tf.fill([2, 2, 3], -1.0)])
    assert mean_absolute(images, others).numpy().tolist() == [0.5, 1.0]


def test_global_mean_weights_each_example_then_divides_by_the_batch():
    # (3 * 0.5 + 5 * 1.5) / 2 = 4.5
    losses, weights = tf.constant([3.0, 5.0]), tf.constant([0.5, 1.5])
    assert global_mean(losses, weights, 2) == 4.5


def test_replicas_parts_add_up_to_the_mean_over_the_global_batch():
    losses = tf.constant([1.0, 2.0, 3.0, 6.0])
    weights = tf.ones(4)
    parts = [
        global_mean(losses[:2], weights[:2], 4),
        global_mean(losses[2:], weights[2:], 4),
    ]
    assert sum(parts) == global_mean(losses, weights, 4) == 3.0


def test_weight_0_removes_and_weight_2_doubles_an_example():
    losses = tf.constant([7.0, 5.0])
    assert global_mean(losses, tf.constant([0.0, 1.0]), 2) == 2.5
    doubled = global_mean(losses, tf.constant([2.0, 1.0]), 2)
    thrice = global_mean(tf.constant([7.0, 7.0, 5.0]), tf.ones(3), 2)
    assert doubled == thrice
