"""Trains small models on one device and on two, in a process of its own.

    python -m tests.translation.methods.cyclegan.two_devices OUTPUT.npz

The number of logical devices is settled before TensorFlow starts, and its
collectives serve one MirroredStrategy a process.

    TF_CONFIG=... python -m tests.translation.methods.cyclegan.two_devices \
        OUTPUT.npz worker

is one of two workers, which train the last model of all together.
"""

import dataclasses
import sys
import tempfile
import types
from collections.abc import Iterable, Iterator
from typing import Any

from kliep_tf import cli  # noqa: F401  # before TensorFlow

# isort: split
import keras
import numpy as np
import tensorflow as tf

from kliep_tf.training.distribution import (
    distribute,
    distribute_shares,
    make_strategy,
    replicated_step,
)
from kliep_tf.training.workers import this_worker
from kliep_tf.translation.optimizers import FusedAdam
from tests.translation.methods.cycada import small_model as cycada
from tests.translation.methods.cyclegan import small_model as cyclegan

BATCH_SIZE = 4


@dataclasses.dataclass(frozen=True)
class Run:
    """A training of some steps; the method is its module of small models."""

    devices: int
    method: types.ModuleType
    num_steps: int
    settings: dict[str, Any]


WHOLE = {
    "num_residual_blocks": 1,
    "rate": 1e-4,
    "pool_size": 4,
    "generator_ema": 0.15,
    "adversarial_loss": "hinge",
    "spectral_norm": True,
    "semantic_weight": 5.0,
    "semantic_warmup_steps": 1,
}
SMALL = {
    "optimizer": keras.optimizers.SGD,
    "rate": 0.01,
    "pool_size": 4,
    "generator_ema": 0.15,
    "identity_weight": 0.0,
}
# On two devices by another way: Winograd's convolution computes the same by
# fewer multiplications, rematerialisation in less memory.
RUNS = {
    "one": Run(
        1, cycada, 3, {**WHOLE, "optimizer": keras.optimizers.Adam}
    ),
    "two": Run(
        2,
        cycada,
        3,
        {
            **WHOLE,
            "optimizer": FusedAdam,
            "convolution": "winograd",
            "rematerialize": True,
        },
    ),
    "one small": Run(1, cyclegan, 2, SMALL),
    # Of one step: XLA rounds differently, which later steps would multiply.
    "two small, compiled": Run(
        2, cyclegan, 1, {**SMALL, "jit_compile": True}
    ),
}  # fmt: skip


def main(path: str) -> None:
    """Makes all of RUNS."""
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )
    strategies = {
        1: make_strategy("none", BATCH_SIZE),
        2: make_strategy("mirrored", BATCH_SIZE),
    }
    for number, strategy in strategies.items():
        assert strategy.num_replicas_in_sync == number
    results = {}
    for name, run in RUNS.items():
        # Step by step on one device: to trace takes longer.
        tf.config.run_functions_eagerly(run.devices == 1)
        strategy = strategies[run.devices]
        batches = distribute(strategy, make_dataset(run))
        for key, value in train(strategy, run, batches):
            results[f"{name}/{key}"] = value
    np.savez(path, **results)


def main_of_worker(path: str) -> None:
    """Makes "one small" in two processes; the chief writes the results."""
    run = RUNS["one small"]
    worker = this_worker("multi_worker")
    strategy = make_strategy("multi_worker", BATCH_SIZE)
    batches = distribute_shares(
        strategy, worker, lambda share: make_dataset(run, share), BATCH_SIZE
    )
    results = dict(train(strategy, run, batches))
    if worker.is_chief:
        np.savez(path, **results)


def train(
    strategy: tf.distribute.Strategy, run: Run, batches: Iterable[Any]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields all figures and values after every step, by step and name.

    On two devices the model then goes back to where it was after its first
    step, and does the others once more: they are yielded as `again/`.
    """
    with strategy.scope():
        model = run.method.make_model(BATCH_SIZE, **run.settings)
    step = replicated_step(strategy, model.train_step)
    first, *others = batches
    checkpoint = tf.train.Checkpoint(**model.trackables())
    yield from named("1", step(first), model)
    with tempfile.TemporaryDirectory() as directory:
        path = checkpoint.write(f"{directory}/after_step_1")
        for number, batch in enumerate(others, 2):
            yield from named(f"{number}", step(batch), model)
        if run.devices > 1:
            checkpoint.read(path).assert_consumed()
            for number, batch in enumerate(others, 2):
                yield from named(f"again/{number}", step(batch), model)


def make_dataset(run: Run, share: tuple[int, int] = (0, 1)) -> tf.data.Dataset:
    """Returns one part of every batch; the share is (index, count)."""
    index, count = share
    size = BATCH_SIZE // count
    batches = [
        run.method.make_batch([0.2, 1.8, 0.5, 1.5], [1.4, 0.6, 0.1, 1.9], seed)
        for seed in range(run.num_steps)
    ]
    parts = tf.nest.map_structure(
        lambda *tensors: tf.stack(
            [tensor[index * size : (index + 1) * size] for tensor in tensors]
        ),
        *batches,
    )
    return tf.data.Dataset.from_tensor_slices(parts)


def named(
    step: str, figures: dict[str, tf.Tensor], model: keras.Model
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields a step's figures and what the model then holds, by name."""
    for name, figure in figures.items():
        yield f"{step}/{name}", figure.numpy()
    averages = [
        weight
        for average in model.export_generators
        for weight in average.get_weights()
    ]
    # What Adam makes of the gradients hardly depends on their size; the moments
    # do.
    moments = [
        variable.numpy()
        for optimizer in (
            model.generator_optimizer,
            model.discriminator_optimizer,
        )
        for variable in optimizer.variables
        if "momentum" in variable.path
    ]
    of_adam = bool(moments)
    for kind, values in (
        ("weights", cyclegan.weights_of(model)),
        ("averages", averages),
        ("moments", moments),
    ):
        for row, value in enumerate(values):
            # A bias before instance normalisation has no gradient but
            # rounding, which Adam blows up to full steps.
            if kind == "moments" or value.ndim > 1 or not of_adam:
                yield f"{step}/{kind}/{row}", value


if __name__ == "__main__":
    # What it makes of a graph takes longer than a few steps of it.
    tf.config.optimizer.set_experimental_options(
        {"disable_meta_optimizer": True}
    )
    (main_of_worker if sys.argv[2:] else main)(sys.argv[1])
