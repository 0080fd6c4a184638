"""What one step does, seen from outside: which weights change, and how."""

import functools
import shutil

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.errors import UserError
from kliep_tf.training.vgg16 import Vgg16
from kliep_tf.translation.method import Setup
from kliep_tf.translation.methods.unit.method import METHOD
from kliep_tf.translation.methods.unit.passes import Pass
from tests.translation.methods.reuse import give_back_one
from tests.translation.methods.unit.small_model import (
    FORMS,
    all_seeds,
    assert_same,
    gradients,
    make_batch,
    make_model,
    make_settings,
    take,
    weights_of,
)

pytestmark = pytest.mark.usefixtures("eager")
BOTH = pytest.mark.parametrize("form", FORMS)


@BOTH
def test_weight_0_removes_an_example(form):
    # Three examples of which two count, against these two alone, still divided
    # by three.
    model = make_model(form, 3)
    batch = make_batch([1.0, 1.0, 0.0], [1.0, 1.0, 0.0])
    seeds = all_seeds(model, batch)
    alone = take(batch, [0, 1])
    assert_same(
        gradients(model, batch, seeds),
        gradients(model, alone, [take(pair, [0, 1]) for pair in seeds]),
    )
    # An example's draws do not depend on how many others there are.
    for pair, own in zip(seeds, all_seeds(model, alone), strict=True):
        np.testing.assert_array_equal(pair.source[:2], own.source)


@BOTH
def test_weight_2_equals_the_example_twice_drawn_alike(form):
    model = make_model(form, 3)
    batch = make_batch([2.0, 1.0], [2.0, 1.0])
    repeated = take(make_batch([1.0, 1.0], [1.0, 1.0]), [0, 0, 1])
    seeds = all_seeds(model, batch)
    assert_same(
        gradients(model, batch, seeds),
        gradients(model, repeated, [take(pair, [0, 0, 1]) for pair in seeds]),
    )


@BOTH
def test_source_and_target_weights_are_not_mixed_up(form):
    terms = ("reconstruction", "cycle", "kl", "cycle_kl")
    directions = ("source_to_target", "target_to_source")
    model = make_model(form, 1)
    for row, domain in enumerate(("source", "target")):
        weights = [[1.0], [1.0]]
        weights[row] = [0.0]
        figures = model.train_step(make_batch(*weights))
        zero = {name for name, value in figures.items() if value == 0.0}
        assert {name for name in zero if not name.startswith("accuracy")} == {
            *(f"{term}/{domain}" for term in terms),
            f"generator/{directions[row]}",
        }


@functools.cache
def stepped(form):
    """Takes a step; returns what was before, the figures, what is after.

    Before and after: the weights by name, the step's seeds, and what the
    discriminators of then make of the first generators' images.
    """
    batch = make_batch([1.0], [1.0])
    model = make_model(form, 1)
    seeds = all_seeds(model, batch)
    generators = model.autoencoders.parts
    first = {name: part.get_weights() for name, part in generators.items()}

    def now():
        weights, next_seeds = weights_of(model), all_seeds(model, batch)
        for name, part in generators.items():
            part.set_weights(first[name])
        _, losses = model.generator_gradients(batch, seeds[1], seeds[2])
        return weights, next_seeds, losses["generator/source_to_target"]

    before = now()
    figures = model.train_step(batch)
    return before, figures, now()


@BOTH
def test_a_step_moves_every_network(form):
    (before, *_), _, (after, *_) = stepped(form)
    for name in {name.split("/")[0] for name in before}:
        # The first kernel of each.
        assert not np.array_equal(before[f"{name}/0"], after[f"{name}/0"]), name


@BOTH
def test_generators_learn_from_discriminators_that_have_learned(form):
    (*_, before), figures, (*_, after) = stepped(form)
    found = float(figures["generator/source_to_target"])
    assert found == pytest.approx(float(after), abs=1e-6)
    assert found != pytest.approx(float(before), abs=1e-6)


@BOTH
def test_every_step_and_pass_draws_anew(form):
    drawn = {
        tuple(seeds.numpy()[0])
        for _, of_passes, _ in stepped(form)[::2]
        for pair in of_passes
        for seeds in pair
    }
    assert len(drawn) == 2 * 2 * len(Pass)


@BOTH
def test_restored_model_goes_on_bit_for_bit(form, tmp_path):
    saved = make_model(form, 1)
    batches = [make_batch([1.0], [0.7], seed) for seed in range(2)]
    saved.train_step(batches[0])
    path = tf.train.Checkpoint(**saved.trackables()).write(
        str(tmp_path / "model")
    )
    saved.train_step(batches[1])
    expected = weights_of(saved)
    give_back_one(saved)  # to be made as new
    restored = make_model(form, 1)
    status = tf.train.Checkpoint(**restored.trackables()).read(path)
    status.assert_existing_objects_matched().assert_consumed()

    # Of the same checkpoint the generator alone, without noise.
    # A folder's name may look like a pattern.
    folder = tmp_path / "run [1]"
    folder.mkdir()
    for file in tmp_path.glob("model*"):
        shutil.copy(file, folder)
    generator = METHOD.restore(str(folder / "model"), make_settings(form), True)
    assert generator.tiled is None
    image = batches[0].source
    np.testing.assert_array_equal(
        generator.network(image, training=False),
        restored.export_generators.source_to_target(image),
    )
    with pytest.raises(UserError, match="expected a checkpoint of the UNIT"):
        METHOD.restore(path, make_settings(form, generator_filters=3), True)

    restored.train_step(batches[1])
    found = weights_of(restored)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_rate_halves_in_the_form_of_2018_alone():
    for form, rates in (("2017", (1, 1, 1, 1)), ("2018", (1, 1, 0.5, 0.25))):
        model = make_model(form, 1, learning_rate=1.0, halve_rate_every=100)
        found = [
            model.learning_rates(step)["learning_rate/generator"]
            for step in (1, 100, 101, 201)
        ]
        assert found == list(rates)


def test_mixed_precision_keeps_variables_and_losses_in_float32():
    for form in FORMS:
        model = make_model(form, 1, dtype="mixed_bfloat16")
        figures = model.train_step(make_batch([1.0], [1.0]))
        assert {figure.dtype for figure in figures.values()} == {tf.float32}
        assert {weight.dtype for weight in weights_of(model).values()} == {
            np.dtype("float32")
        }


def test_perceptual_loss_compares_normalised_features(vgg16_file):
    model = make_model("2018", 1, size=32, perceptual_weights=vgg16_file)
    plain = make_model("2018", 1, size=32)
    batch = make_batch([2.0], [0.0], size=32)
    seeds = all_seeds(model, batch)
    _, losses = model.generator_gradients(batch, seeds[1], seeds[2])
    assert losses["perceptual/target"] == 0.0

    code = model.autoencoders.encode("source", batch.source, seeds[1].source)
    translated = model.autoencoders.decode("target", code.decoded)
    features = []
    for images in (translated, batch.source):
        found = Vgg16(vgg16_file, "f")(127.5 * (images + 1))[0].numpy()
        mean, variance = found.mean((0, 1)), found.var((0, 1))
        features.append((found - mean) / np.sqrt(variance + 1e-5))
    expected = 2.0 * np.mean((features[0] - features[1]) ** 2)
    assert expected > 0.1
    np.testing.assert_allclose(losses["perceptual/source"], expected, rtol=1e-3)
    # It is no part of a model that has no such file, and changes no other.
    _, others = plain.generator_gradients(batch, seeds[1], seeds[2])
    assert losses.keys() - others.keys() == {
        "perceptual/source",
        "perceptual/target",
    }
    for name, value in others.items():
        np.testing.assert_allclose(losses[name], value, rtol=1e-5)
    # Nor are VGG-16's weights among what is trained or saved.
    assert weights_of(model).keys() == weights_of(plain).keys()


@pytest.mark.parametrize(
    ("settings", "size", "message"),
    [
        ({}, 60, "64 pixels or more for 3 scales, found 60; fewer"),
        ({"discriminator_scales": 2}, 28, "32 pixels or more for 2"),
        (
            {"unit_form": "2017", "perceptual_weights": "vgg16.h5"},
            64,
            "only the form of 2018 has that loss",
        ),
        (
            {"perceptual_weights": "vgg16.h5", "discriminator_scales": 1},
            28,
            "--perceptual_weights: expected images or crops of 32",
        ),
        ({"perceptual_weights": "no.h5"}, 64, "--perceptual_weights=no.h5"),
    ],
)
def test_what_does_not_fit_is_one_line(settings, size, message):
    with pytest.raises(UserError, match=message) as raised:
        METHOD.check(METHOD.settings(**settings), Setup(image_size=(128, size)))
    assert "\n" not in str(raised.value)
    METHOD.check(METHOD.settings(), Setup(image_size=(64, 64)))
    METHOD.check(METHOD.settings(unit_form="2017"), Setup(image_size=(8, 8)))
