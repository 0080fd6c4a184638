"""Strategies by the name that `--distribution` takes."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from kliep_tf.errors import UserError

STRATEGIES = ("none", "mirrored")


def make_strategy(name: str, batch_size: int) -> tf.distribute.Strategy:
    """Returns the strategy under whose scope models and optimizers are made.

    Args:
        name: "none" (one device) or "mirrored" (all GPUs of this machine, or
            its logical CPU devices where it has none).
        batch_size: the global batch, which the replicas share equally.

    Raises:
        UserError: the batch cannot be shared equally.
    """
    if name == "none":
        return tf.distribute.get_strategy()
    devices = tf.config.list_logical_devices("GPU")
    devices = devices or tf.config.list_logical_devices("CPU")
    if batch_size % len(devices):
        raise UserError(
            f"--batch_size={batch_size}: expected a multiple of the "
            f"{len(devices)} devices, which share every batch equally"
        )
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def distribute(
    strategy: tf.distribute.Strategy, dataset: tf.data.Dataset
) -> Any:
    """Returns an iterable whose global batches are shared by the replicas."""
    if strategy.num_replicas_in_sync == 1:
        return dataset
    return strategy.experimental_distribute_dataset(dataset)


def replicated_step(
    strategy: tf.distribute.Strategy,
    train_step: Callable[[Any], Mapping[str, tf.Tensor]],
) -> Callable[[Any], Mapping[str, tf.Tensor]]:
    """Returns `train_step` compiled and run on every replica.

    Args:
        strategy: the strategy that the model was made under.
        train_step: takes a replica's share of a batch and returns figures
            that `all_reduce_sum` has already made equal on all replicas.
    """

    @tf.function(reduce_retracing=True)
    def step(batch: Any) -> Mapping[str, tf.Tensor]:
        if strategy.num_replicas_in_sync == 1:
            return train_step(batch)
        figures = strategy.run(train_step, args=(batch,))
        return {
            name: strategy.experimental_local_results(value)[0]
            for name, value in figures.items()
        }

    return step


def all_reduce_sum(figures: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Sums each figure over the replicas, inside a replica's train_step.

    Keras logs the first replica's figures only; summed here, that one speaks
    for the global batch.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return dict(figures)
    names = list(figures)
    sums = context.all_reduce("SUM", [figures[name] for name in names])
    return dict(zip(names, sums, strict=True))
