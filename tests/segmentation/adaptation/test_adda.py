import keras
import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.segmentation.adaptation.adda import logit_discriminator
from kliep_tf.segmentation.optimizers import OptimizerSettings
from kliep_tf.segmentation.train_step import cross_entropy
from tests.segmentation.adaptation.steps import (
    NUM_CLASSES,
    build,
    changed,
    make_batch,
    state,
)
from tests.segmentation.small_network import small


def test_discriminator_has_the_published_number_of_parameters():
    discriminator = logit_discriminator(19, 512, 0.5, seed=0)
    # 19-512-256-2, 1x1, with biases
    assert (
        sum(int(np.prod(v.shape)) for v in discriminator.trainable_variables)
        == 142_082
    )


def test_dropout_drops_whole_channels():
    model = logit_discriminator(3, 64, 0.5, seed=0)
    (dropout, _) = (x for x in model.layers if "dropout" in x.name)
    dropped = dropout(tf.ones([2, 4, 4, 64]), training=True).numpy()
    # Each channel of an image is kept, twice as large, or is 0 everywhere.
    assert (dropped == dropped[:, :1, :1]).all()
    assert set(np.unique(dropped)) == {0.0, 2.0}
    assert (dropped[0, 0, 0] != dropped[1, 0, 0]).any()


def test_segmenter_waits_for_the_discriminator():
    # It starts as good as a coin, and hardly learns.
    network, adapter = build(
        "adda", least_accuracy=0.9, discriminator_learning_rate=1e-9
    )
    before = state(network, adapter)
    scalars = adapter.train_step(make_batch())
    assert scalars["adda/segmenter_learns"] == 0 and "loss" not in scalars
    assert changed(before, state(network, adapter)) == {
        "discriminator",
        "discriminator_optimizer",
        "accuracies",
        "steps",
    }
    assert "adapted in 0 of 1 steps" in adapter.remark()


def test_accuracy_is_the_mean_over_the_last_100_steps():
    _, adapter = build("adda")
    for value in [1.0] * 100 + [0.0] * 49:
        mean = adapter._mean_accuracy(value)
    assert mean == pytest.approx(0.51)
    for value in [0.0] * 51:
        mean = adapter._mean_accuracy(value)
    assert mean == 0.0


def test_step_is_that_of_the_published_losses():
    """Batch of one, weights of 1: written out with other operations."""
    network, adapter = build("adda", batch_size=1, adversarial_weight=0.25)
    discriminator = adapter.trackables()["discriminator"]
    batch = make_batch((1,), (1,), rows=(0,))
    reference = small(NUM_CLASSES, 1)
    entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def judged_as(domain, images):
        domains = discriminator(reference(images, training=True))
        return entropy(tf.fill(domains.shape[:3], domain), domains)

    def descend(model, loss_of, rate):
        with tf.GradientTape() as tape:
            loss = loss_of()
        gradients = tape.gradient(loss, model.trainable_variables)
        for v, g in zip(model.trainable_variables, gradients, strict=True):
            v.assign(v - rate * g)
        return loss

    # The method's own discriminator is also the reference's: kept, and put
    # back before the method takes the same steps.
    start = discriminator.get_weights()
    # The discriminator first: source is class 1, target class 0.
    told = descend(
        discriminator,
        lambda: judged_as(1, batch.source) + judged_as(0, batch.target),
        1e-5,
    )
    expected_discriminator = [
        v.numpy() for v in discriminator.trainable_variables
    ]
    # Then the segmenter, judged by the discriminator as it is now: one step on
    # the target, one on the source's labels.
    descend(reference, lambda: 0.25 * judged_as(1, batch.target), 1.0)
    descend(
        reference,
        lambda: cross_entropy(
            batch.source_label, reference(batch.source, training=True)
        )[0],
        1.0,
    )
    discriminator.set_weights(start)
    scalars = adapter.train_step(batch)
    np.testing.assert_allclose(scalars["discriminator"], told, rtol=1e-5)
    for found, expected in zip(
        discriminator.trainable_variables, expected_discriminator, strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)
    for found, expected in zip(
        network.get_weights(), reference.get_weights(), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_the_segmenter_learns_to_the_last_step():
    # Each step of the training is two of its optimizer's.
    falling = OptimizerSettings(4, 0.1, "sgd", momentum=0.0, schedule="poly")
    _, adapter = build("adda", optimizer=falling)
    rates = [
        float(adapter.train_step(make_batch())["learning_rate"])
        for _ in range(4)
    ]
    np.testing.assert_allclose(
        rates, [0.1 * (1 - step / 4) ** 0.9 for step in range(4)], rtol=1e-5
    )


def test_without_adversarial_weight_the_target_teaches_nothing():
    found = []
    for target_weight in ((1, 1), (3, 0)):
        network, adapter = build("adda", adversarial_weight=0.0)
        adapter.train_step(make_batch((1, 1), target_weight))
        found.append(network.get_weights())
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)
