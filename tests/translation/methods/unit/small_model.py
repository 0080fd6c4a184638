"""UNITs of two filters and batches of noise, for tests of one step."""

import dataclasses

import numpy as np
import tensorflow as tf

from kliep_tf.data.pipeline import UnpairedBatch
from kliep_tf.translation.method import Setup
from kliep_tf.translation.methods.unit.model import UNIT
from kliep_tf.translation.methods.unit.passes import Pass
from kliep_tf.translation.methods.unit.settings import UNITSettings
from tests.translation.methods.reuse import reused

FORMS = ("2017", "2018")
SIZE = 16


def make_settings(form, **options):
    return UNITSettings(
        unit_form=form,
        **{
            "generator_filters": 2,
            "discriminator_filters": 2,
            "num_residual_blocks": 1,
            "discriminator_scales": 1,
            **options,
        },
    )


@reused
def make_model(form, batch_size, size=SIZE, **options):
    """Returns a model; options are of its settings or its setup."""
    in_setup = {field.name for field in dataclasses.fields(Setup)}
    setup = {name: options.pop(name) for name in in_setup & options.keys()}
    return UNIT(
        make_settings(form, **options),
        Setup(image_size=(size, size), global_batch_size=batch_size, **setup),
    )


def make_batch(source_weight, target_weight, seed=0, size=SIZE):
    rng = np.random.default_rng(seed)
    shape = (2, len(source_weight), size, size, 3)
    images = rng.uniform(-1, 1, shape).astype(np.float32)
    return UnpairedBatch(
        tf.constant(images[0]),
        tf.constant(source_weight, tf.float32),
        tf.constant(images[1]),
        tf.constant(target_weight, tf.float32),
    )


def take(tensors, rows):
    """The rows of every tensor of a batch or of seeds."""
    return type(tensors)(*(tf.gather(tensor, rows) for tensor in tensors))


def all_seeds(model, batch):
    """Seeds of a step: of the discriminators' pass, there and back."""
    return [model.seeds(use, batch) for use in Pass]


def gradients(model, batch, seeds):
    """All gradients at the model's weights, those of both updates."""
    for_discriminators, there, back = seeds
    of_discriminators, _ = model.discriminator_gradients(
        batch, for_discriminators
    )
    of_generators, _ = model.generator_gradients(batch, there, back)
    return [*of_discriminators, *of_generators]


def networks(model):
    return {
        **model.autoencoders.parts,
        **{
            f"{domain}_discriminator": network
            for domain, network in model.discriminators.items()
        },
    }


def weights_of(model):
    return {
        f"{name}/{row}": weight
        for name, network in networks(model).items()
        for row, weight in enumerate(network.get_weights())
    }


def assert_same(first, second):
    for one, two in zip(first, second, strict=True):
        # A bias before a normalisation has no gradient but rounding.
        scale = np.abs(two).max() if one.ndim > 1 else 1.0
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4 * scale)
