"""A method's training step on random images, for benchmarks that time it."""

import math
from collections.abc import Callable
from typing import Any

from kliep_tf import cli  # noqa: F401  sets what TensorFlow runs with

# isort: split
import tensorflow as tf

from kliep_tf.data.pipeline import UnpairedBatch
from kliep_tf.translation.method import Method, Setup
from kliep_tf.translation.methods.cyclegan.method import METHOD


def make_step(
    settings: Any, setup: Setup, method: Method = METHOD
) -> Callable[[], None]:
    """Returns a function that makes the networks first, and takes a step."""
    shape = [setup.global_batch_size, *setup.image_size, 3]
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
            step = tf.function(method.build(settings, setup).train_step)
        figures = step(batch)
        assert math.isfinite(sum(float(value) for value in figures.values()))

    return take_step
