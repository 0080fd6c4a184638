"""What one step does, seen from outside: which weights change, and how."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.translation.layers import iterate_spectral_norms
from tests.translation.methods.cyclegan.small_model import (
    assert_same,
    make_batch,
    make_model,
    networks,
    take,
    trained_weights,
    weights_after,
)

pytestmark = pytest.mark.usefixtures("eager")


@pytest.mark.parametrize(("loss", "identity"), [("lsgan", 0.0), ("hinge", 0.5)])
def test_weight_0_removes_an_example(loss, identity):
    options = {"adversarial_loss": loss, "identity_weight": identity}
    batch = make_batch([1.0, 0.0], [1.0, 0.0])
    alone = take(batch, [0])
    # A batch of 2 of which one counts, against a batch of 1 that is still
    # divided by 2.
    assert_same(
        trained_weights(2, batch, **options),
        trained_weights(2, alone, **options),
    )


def test_weight_2_equals_the_example_twice():
    batch = make_batch([2.0, 1.0], [2.0, 1.0])
    repeated = take(make_batch([1.0, 1.0], [1.0, 1.0]), [0, 0, 1])
    assert_same(
        trained_weights(2, batch),
        trained_weights(2, repeated),
    )


def test_source_and_target_weights_are_not_mixed_up():
    model = make_model(1)
    figures = model.train_step(make_batch([0.0], [1.0]))
    zero = {name for name, value in figures.items() if float(value) == 0.0}
    assert zero == {
        "generator/source_to_target",
        "cycle/source",
        "identity/source",
    }
    figures = model.train_step(make_batch([1.0], [0.0]))
    zero = {name for name, value in figures.items() if float(value) == 0.0}
    assert zero == {
        "generator/target_to_source",
        "cycle/target",
        "identity/target",
    }


def test_discriminator_judges_fakes_by_the_weight_of_their_source():
    # Eq. 12: d_t sees E_t[psi ...] + E_s[w ...]; with w = 0 only real ones.
    model = make_model(1)
    batch = make_batch([0.0], [1.0])
    expected = 0.5 * np.mean(
        (model.target_discriminator(batch.target) - 1.0) ** 2
    )
    found = model.train_step(batch)["discriminator/target"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_both_cycle_losses_reach_both_generators():
    def gradient_norms(source_weight, target_weight):
        model = make_model(1, identity_weight=0.0, cycle_weight=1e6)
        before = [
            net.get_weights()[0]
            for net in (model.source_to_target, model.target_to_source)
        ]
        model.train_step(make_batch([source_weight], [target_weight]))
        after = [
            net.get_weights()[0]
            for net in (model.source_to_target, model.target_to_source)
        ]
        return [np.abs(b - a).max() for b, a in zip(before, after, strict=True)]

    # The adversarial term's share of a change is a millionth here.
    for norms in (gradient_norms(1.0, 0.0), gradient_norms(0.0, 1.0)):
        assert min(norms) > 1.0


def test_a_generator_step_does_not_move_with_the_discriminators_update():
    """Both updates come from the same weights, as in the authors' code."""
    batch = make_batch([1.0], [1.0])
    model = make_model(1)
    fake = model.source_to_target(batch.source)
    expected = 0.5 * (
        np.mean((model.target_discriminator(batch.target) - 1.0) ** 2)
        + np.mean(model.target_discriminator(fake) ** 2)
    )
    figures = model.train_step(batch)
    np.testing.assert_allclose(
        figures["discriminator/target"], expected, rtol=1e-4
    )


def test_gradient_norms_are_those_of_the_step():
    """With SGD of rate 1, a step is minus the gradient."""
    model = make_model(1, rate=1.0)
    before = [net.get_weights() for net in networks(model)]
    figures = model.train_step(make_batch([0.7], [1.3]))
    squares = [
        sum(np.sum((b - a) ** 2) for b, a in zip(old, new, strict=True))
        for old, new in zip(
            before, [net.get_weights() for net in networks(model)], strict=True
        )
    ]
    np.testing.assert_allclose(
        figures["gradient_norm/generator"],
        np.sqrt(squares[0] + squares[1]),
        rtol=1e-4,
    )
    np.testing.assert_allclose(
        figures["gradient_norm/discriminator"],
        np.sqrt(squares[2] + squares[3]),
        rtol=1e-4,
    )


def test_mixed_precision_keeps_variables_and_losses_in_float32():
    model = make_model(1, dtype="mixed_bfloat16", spectral_norm=True)
    batch = make_batch([1.0], [1.0])
    figures = model.train_step(batch)
    assert {figure.dtype for figure in figures.values()} == {tf.float32}
    assert {weight.dtype for weight in weights_after(model)} == {
        np.dtype("float32")
    }
    # A cycle loss is a mean over 24 x 24 x 3 differences: in bfloat16, which
    # has 8 bits, it could not come so close to that of the same images.
    cycled = model.target_to_source(model.source_to_target(batch.source))
    figures = model.train_step(batch)
    expected = 10 * np.mean(np.abs(cycled - batch.source))
    np.testing.assert_allclose(figures["cycle/source"], expected, rtol=1e-3)


def test_two_kinds_of_network_start_different():
    model = make_model(1)
    first = model.source_to_target.get_weights()[0]
    second = model.target_to_source.get_weights()[0]
    assert np.abs(first - second).max() > 0


def test_fit_drives_the_model():
    model = make_model(2, optimizer=keras.optimizers.Adam)
    batch = make_batch([1.0, 1.0], [1.0, 1.0])
    dataset = tf.data.Dataset.from_tensors(batch).repeat(3)
    history = model.fit(dataset, epochs=1, verbose=0)
    assert np.isfinite(history.history["cycle/source"]).all()


def kernels(model):
    return [
        net.get_weights()[0]
        for net in (model.source_to_target, model.target_to_source)
    ]


def averages(model):
    return [net.get_weights()[0] for net in model.export_generators]


def test_three_steps_average_in_closed_form():
    model = make_model(1, generator_ema=0.15)
    seen = [kernels(model)]
    np.testing.assert_array_equal(averages(model), seen[0])
    for _ in range(3):
        model.train_step(make_batch([1.0], [1.0]))
        seen.append(kernels(model))
    # Decays 0.1 (of the first step), 0.15, 0.15: each weight's share is what
    # its own step let in, times what later steps kept.
    shares = (
        0.1 * 0.15 * 0.15,
        0.9 * 0.15 * 0.15,
        0.85 * 0.15,
        0.85,
    )
    for network in (0, 1):
        expected = sum(
            share * weights[network]
            for share, weights in zip(shares, seen, strict=True)
        )
        np.testing.assert_allclose(averages(model)[network], expected, 1e-5)


def test_training_does_not_depend_on_whether_averages_are_kept():
    batch = make_batch([1.0], [1.0])
    plain, averaged = make_model(1), make_model(1, generator_ema=0.9)
    for model in (plain, averaged):
        model.train_step(batch)
    np.testing.assert_array_equal(kernels(plain), kernels(averaged))
    assert plain.export_generators == (
        plain.source_to_target,
        plain.target_to_source,
    )


def test_every_step_iterates_every_layer_of_both_discriminators():
    model = make_model(1, spectral_norm=True, rate=0.0)
    nets = (model.target_discriminator, model.source_discriminator)
    expected = []
    for net in nets:
        weights = net.get_weights()
        iterate_spectral_norms(net)
        expected += [weight.numpy() for weight in net.non_trainable_weights]
        net.set_weights(weights)
    model.train_step(make_batch([1.0], [1.0]))
    found = [
        weight.numpy() for net in nets for weight in net.non_trainable_weights
    ]
    assert len(found) == 10
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6)
