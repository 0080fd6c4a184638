import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.errors import UserError
from kliep_tf.segmentation.adaptation.adaptsegnet import (
    METHOD,
    AdaptSegNetSettings,
)
from kliep_tf.segmentation.adaptation.adaptsegnet_networks import (
    network_of_levels,
    output_discriminator,
)
from kliep_tf.segmentation.train_step import cross_entropy, make_train_step
from tests.segmentation.adaptation.steps import (
    NUM_CLASSES,
    build,
    changed,
    make_batch,
    make_setup,
    state,
)
from tests.segmentation.small_network import normalized, small


def _parameters(model: keras.Model) -> int:
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def test_discriminator_has_the_published_number_of_parameters():
    discriminator = output_discriminator(19, 64, seed=0)
    assert _parameters(discriminator) == 2_781_121
    # Five strides of 2, each with a padding of 1.
    assert discriminator.compute_output_shape((1, 512, 1024, 19)) == (
        1,
        16,
        32,
        1,
    )


def test_step_is_that_of_the_published_losses():
    """Batch of one, weights of 1: written out with other operations."""
    network, adapter = build(
        "adaptsegnet", batch_size=1, adversarial_weight=0.5
    )
    discriminator = adapter.trackables()["output"]
    batch = make_batch((1,), (1,), rows=(0,))
    reference = small(NUM_CLASSES, 1)
    bce = keras.losses.BinaryCrossentropy(from_logits=True)
    with tf.GradientTape(persistent=True) as tape:
        source = reference(batch.source, training=True)
        target = reference(batch.target, training=True)
        on_source = discriminator(tf.stop_gradient(tf.nn.softmax(source)))
        on_target = discriminator(tf.nn.softmax(target))
        # Source is class 0, target class 1; the discriminator's logit here is
        # that of the source.
        fooled = bce(tf.zeros_like(on_target), -on_target)
        loss = cross_entropy(batch.source_label, source)[0] + 0.5 * fooled
        told = 0.5 * bce(tf.zeros_like(on_source), -on_source)
        told += 0.5 * bce(tf.ones_like(on_target), -on_target)
    expected = tape.gradient(loss, reference.trainable_variables)
    of_discriminator = tape.gradient(told, discriminator.trainable_variables)
    before = network.get_weights()
    scalars = adapter.train_step(batch)
    for old, new, gradient in zip(
        before, network.get_weights(), expected, strict=True
    ):
        np.testing.assert_allclose(old - new, gradient, rtol=1e-3, atol=1e-6)
    # After one step of Adam (beta_1 0.9) its first moment is a tenth of the
    # gradient.
    optimizer = adapter.trackables()["discriminator_optimizer"]
    for moment, gradient in zip(
        optimizer._momentums, of_discriminator, strict=True
    ):
        np.testing.assert_allclose(moment, 0.1 * gradient, rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(scalars["adversarial/output"], fooled, rtol=1e-5)
    np.testing.assert_allclose(scalars["discriminator/output"], told, rtol=1e-5)


def test_without_adversarial_weight_it_is_supervised_training():
    network, adapter = build("adaptsegnet", adversarial_weight=0.0)
    batch = make_batch((0.5, 1.5), (1, 1))
    adapter.train_step(batch)
    reference = small(NUM_CLASSES, 1)
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(reference.trainable_variables)
    step = make_train_step(reference, optimizer, 2)
    step((batch.source, batch.source_label, batch.source_weight))
    for found, expected in zip(
        network.get_weights(), reference.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_discriminator_learns_where_the_segmenter_does_not():
    # No label counts, and fooling is switched off.
    network, adapter = build("adaptsegnet", adversarial_weight=0.0)
    before = state(network, adapter)
    batch = make_batch()
    ignored = batch._replace(source_label=batch.source_label * 0 + 255)
    adapter.train_step(ignored)
    assert changed(before, state(network, adapter)) == {
        "output",
        "discriminator_optimizer",
        "optimizer",  # its counter of steps
    }


def test_both_levels_and_their_discriminators_learn():
    network, adapter = build("adaptsegnet_2")
    before = state(network, adapter)
    scalars = adapter.train_step(make_batch())
    after = state(network, adapter)
    assert changed(before, after) == {name.split("/")[0] for name in before}
    assert {"loss", "loss/auxiliary", "adversarial/auxiliary"} <= set(scalars)


def test_affine_of_batch_normalization_is_kept_and_statistics_follow():
    network, adapter = build("adaptsegnet_2")
    layer = network.get_layer("backbone").get_layer("bn1")
    gamma, mean = layer.gamma.numpy(), layer.moving_mean.numpy()
    adapter.train_step(make_batch())
    np.testing.assert_array_equal(layer.gamma, gamma)
    np.testing.assert_array_equal(layer.beta, 0 * gamma)
    assert (layer.moving_mean.numpy() != mean).all()


def test_unfit_networks_and_images_are_named():
    with pytest.raises(UserError, match=r"--levels=2: expected --network=deep"):
        network_of_levels(small(3, 0), make_setup(), levels=2)
    network_of_levels(normalized(3, 0), make_setup(), levels=2)
    setup = dataclasses.replace(make_setup(), least_side=31)
    with pytest.raises(UserError, match=r"32 rows and columns .* found 31"):
        METHOD.check(AdaptSegNetSettings(), setup)
