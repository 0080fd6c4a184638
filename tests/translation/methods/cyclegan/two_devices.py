"""Trains small models on one device and on two, in a process of its own.

    python -m tests.translation.methods.cyclegan.two_devices OUTPUT.npz

The number of logical devices is settled before TensorFlow starts, and its
collectives serve one MirroredStrategy a process.
"""

import sys

from kliep_tf import cli  # noqa: F401  # before TensorFlow

# isort: split
import keras
import numpy as np
import tensorflow as tf

from kliep_tf.training.distribution import (
    distribute,
    make_strategy,
    replicated_step,
)
from kliep_tf.translation.optimizers import FusedAdam
from tests.translation.methods.cycada import small_model as cycada
from tests.translation.methods.cyclegan import small_model as cyclegan

SGD = {
    "optimizer": keras.optimizers.SGD,
    "rate": 0.01,
    "pool_size": 4,
    "generator_ema": 0.15,
}
# What is compiled, which takes long. For one step: XLA rounds differently, and
# later steps would multiply that.
SMALL = {**SGD, "num_residual_blocks": 0, "identity_weight": 0.0}
ADAM = {
    "rate": 1e-4,
    "pool_size": 4,
    "adversarial_loss": "hinge",
    "spectral_norm": True,
    "semantic_weight": 5.0,
    "semantic_warmup_steps": 1,
}
# Name: devices, module of the method, number of steps, settings. Winograd's
# convolution computes the same by fewer multiplications, rematerialisation in
# less memory.
RUNS = {
    "one SGD": (1, cyclegan, 3, SGD),
    "two SGD": (2, cyclegan, 3, {**SGD, "convolution": "winograd"}),
    "one small": (1, cyclegan, 1, SMALL),
    "two small": (2, cyclegan, 1, {**SMALL, "jit_compile": True}),
    "one Adam": (1, cycada, 3, {**ADAM, "optimizer": keras.optimizers.Adam}),
    "two Adam": (
        2,
        cycada,
        3,
        {**ADAM, "optimizer": FusedAdam, "rematerialize": True},
    ),
}


def main(path):
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )
    strategies = {1: make_strategy("none", 4), 2: make_strategy("mirrored", 4)}
    for number, strategy in strategies.items():
        assert strategy.num_replicas_in_sync == number
    results = {}
    for name, (devices, method, steps, settings) in RUNS.items():
        for step, found in enumerate(
            train(strategies[devices], method, steps, settings), 1
        ):
            results |= {f"{name}/{step}/{key}": v for key, v in found.items()}
    np.savez(path, **results)


def train(strategy, method, steps, settings):
    """Yields all figures and weights after every step, by name."""
    batches = [
        method.make_batch([0.2, 1.8, 0.5, 1.5], [1.4, 0.6, 0.1, 1.9], seed)
        for seed in range(steps)
    ]
    dataset = tf.data.Dataset.from_tensor_slices(
        tf.nest.map_structure(lambda *parts: tf.concat(parts, 0), *batches)
    ).batch(4, drop_remainder=True)
    with strategy.scope():
        model = method.make_model(4, **settings)
    step = replicated_step(strategy, model.train_step)
    for batch in distribute(strategy, dataset):
        figures = {name: float(value) for name, value in step(batch).items()}
        weights = cyclegan.weights_of(model)
        if model.settings.generator_ema:
            for average in model.export_generators:
                weights += average.get_weights()
        yield figures | {
            f"weights/{row}": weight
            for row, weight in enumerate(weights)
            # A bias before instance normalisation has no gradient but
            # rounding, which Adam blows up to full steps.
            if weight.ndim > 1 or "generator_ema" in settings
        }


if __name__ == "__main__":
    main(sys.argv[1])
