"""A training step on random images, for benchmarks that time it."""

import math
from collections.abc import Callable

from kliep_tf import cli  # noqa: F401  sets what TensorFlow runs with

# isort: split
import tensorflow as tf

from kliep_tf.data.pipeline import UnpairedBatch
from kliep_tf.translation.methods.cyclegan.model import CycleGAN
from kliep_tf.translation.methods.cyclegan.settings import CycleGANSettings
from kliep_tf.translation.schedules import make_optimizer


def make_step(settings: CycleGANSettings) -> Callable[[], None]:
    """Returns a function that makes the networks first, and takes a step."""
    shape = [settings.global_batch_size, *settings.image_size, 3]
    ones = tf.ones(shape[:1])
    batch = UnpairedBatch(
        tf.random.uniform(shape, -1, 1, seed=0),
        ones,
        tf.random.uniform(shape, -1, 1, seed=1),
        ones,
    )
    step = None

    def take_step() -> None:
        nonlocal step
        if step is None:
            model = CycleGAN(settings)
            model.compile(*(make_optimizer(2e-4, 1000) for _ in range(2)))
            step = tf.function(model.train_step)
        figures = step(batch)
        assert math.isfinite(sum(float(value) for value in figures.values()))

    return take_step
