"""The published networks: their sizes, and what randomness they have."""

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.translation.method import Setup
from kliep_tf.translation.methods.unit.autoencoders import (
    make_autoencoders,
    make_translators,
)
from kliep_tf.translation.methods.unit.networks import make_discriminator
from kliep_tf.translation.methods.unit.settings import UNITSettings
from tests.translation.methods.unit.small_model import FORMS, make_settings

pytestmark = pytest.mark.usefixtures("eager")


def parts_of(settings):
    return make_autoencoders(settings, Setup(image_size=(64, 64))).parts


def count(parts, *names):
    return sum(parts[name].count_params() for name in names or parts)


def test_generator_of_2017_has_the_published_parameters():
    parts = parts_of(UNITSettings(unit_form="2017"))
    assert count(parts) == 18_017_286
    path = ("source_encoder", "shared_encoder", "shared_decoder")
    assert count(parts, *path, "target_decoder") == 10_188_803


def test_autoencoder_of_2018_has_the_published_parameters():
    parts = parts_of(UNITSettings(unit_form="2018"))
    for domain in ("source", "target"):
        own = (f"{domain}_encoder", f"{domain}_decoder")
        assert count(parts, *own) == 11_140_483
    assert len(parts) == 4  # nothing is shared


@pytest.mark.parametrize(
    ("form", "parameters"), [("2017", 4_654_467), ("2018", 8_271_171)]
)
def test_discriminator_has_the_published_parameters_and_scales(
    form, parameters
):
    network = make_discriminator(form, 64, 3, "float32", 0, "discriminator")
    assert network.count_params() == parameters
    # Sixteenths of an image of 64x96, of its half and of its quarter.
    shapes = network.compute_output_shape((1, 64, 96, 3))
    assert shapes == [
        (1, 4, 6, 1),
        (1, 2, 3, 1),
        (1, 1, 2 if form == "2017" else 1, 1),
    ]


@pytest.mark.parametrize("form", FORMS)
def test_randomness_is_asked_for_and_each_examples_own(form):
    autoencoders = make_autoencoders(
        make_settings(form), Setup(image_size=(16, 16))
    )
    image = tf.random.stateless_uniform([1, 16, 16, 3], [0, 0], -1, 1)
    twice = tf.concat([image, image], 0)
    seeds = tf.constant([[1, 2], [3, 4]])

    def translated(images, seeds=None):
        code = autoencoders.encode("source", images, seeds)
        return autoencoders.decode("target", code.decoded, seeds).numpy()

    one, other = translated(twice, seeds)
    assert np.abs(one - other).max() > 1e-4
    np.testing.assert_allclose(
        translated(image, seeds[1:])[0], other, atol=1e-6
    )
    # What is exported and shown takes no seeds.
    to_target = make_translators(autoencoders).source_to_target
    np.testing.assert_array_equal(to_target(twice), to_target(twice))
    np.testing.assert_allclose(to_target(image), translated(image), atol=1e-6)
    for network in autoencoders.parts.values():
        assert not network.non_trainable_weights


def test_noise_counts_in_the_latent_code_of_2017_alone():
    for form, counts in (("2017", True), ("2018", False)):
        autoencoders = make_autoencoders(
            make_settings(form), Setup(image_size=(16, 16))
        )
        code = autoencoders.encode(
            "source", tf.zeros([1, 16, 16, 3]), tf.constant([[1, 2]])
        )
        assert np.array_equal(code.latent, code.decoded) is False
        # N(0, 1) has the mean square 1; the code of a gray image has none.
        found = np.mean(np.square(code.latent))
        assert found > 0.5 if counts else found < 0.1
