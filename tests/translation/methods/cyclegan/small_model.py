"""CycleGANs of two filters and batches of noise, for tests of one step."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from kliep_tf.data.pipeline import UnpairedBatch
from kliep_tf.translation.method import Setup
from kliep_tf.translation.methods.cyclegan.model import CycleGAN
from kliep_tf.translation.methods.cyclegan.settings import CycleGANSettings
from tests.translation.methods.reuse import give_back_one, reused

SIZE = (24, 24)


@reused
def make_model(
    batch_size,
    *,
    method=(CycleGAN, CycleGANSettings),
    optimizer=keras.optimizers.SGD,
    rate=0.1,
    **options,
):
    """Returns a compiled model; options are of its settings or its setup.

    The method is classes of a model and of its settings.
    """
    model_class, settings_class = method
    in_setup = {field.name for field in dataclasses.fields(Setup)}
    setup = {name: options.pop(name) for name in in_setup & options.keys()}
    model = model_class(
        settings_class(
            generator_filters=2,
            discriminator_filters=2,
            **{"num_residual_blocks": 0, "pool_size": 0, **options},
        ),
        Setup(image_size=SIZE, global_batch_size=batch_size, **setup),
    )
    model.compile(optimizer(rate), optimizer(rate))
    return model


def make_batch(source_weight, target_weight, seed=0):
    rng = np.random.default_rng(seed)
    number = len(source_weight)
    images = rng.uniform(-1, 1, (2, number, *SIZE, 3)).astype(np.float32)
    return UnpairedBatch(
        tf.constant(images[0]),
        tf.constant(source_weight, tf.float32),
        tf.constant(images[1]),
        tf.constant(target_weight, tf.float32),
    )


def take(batch, rows):
    return type(batch)(*(tf.gather(tensor, rows) for tensor in batch))


def networks(model):
    return (
        model.source_to_target,
        model.target_to_source,
        model.target_discriminator,
        model.source_discriminator,
    )


def weights_of(model):
    return [weight for net in networks(model) for weight in net.get_weights()]


def weights_after(model, *batches):
    for batch in batches:
        model.train_step(batch)
    return weights_of(model)


def trained_weights(batch_size, *batches, make=make_model, **options):
    """Returns what weights_after does of a model that serves for this alone."""
    model = make(batch_size, **options)
    weights = weights_after(model, *batches)
    give_back_one(model)
    return weights


def assert_same(first, second, tolerance=5e-5):
    # Steps are of size 0.1 to 1: float32 differs by the order of its sums.
    for one, two in zip(first, second, strict=True):
        np.testing.assert_allclose(one, two, atol=tolerance)
