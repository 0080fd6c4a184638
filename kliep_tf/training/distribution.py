"""Strategies by the name that `--distribution` takes."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from kliep_tf.errors import UserError
from kliep_tf.training.workers import Worker, joining, this_worker

STRATEGIES = ("none", "mirrored")
# For programs whose workers know which of them writes.
CLUSTER_STRATEGIES = (*STRATEGIES, "multi_worker")


def make_strategy(
    name: str, batch_size: int, join_seconds: float = 600.0
) -> tf.distribute.Strategy:
    """Returns the strategy under whose scope models and optimizers are made.

    Args:
        name: "none" (one device), "mirrored" (all GPUs of this machine, or
            its logical CPU devices where it has none) or "multi_worker" (all
            GPUs of the machines in TF_CONFIG, or a CPU of each). The last must
            be made before any TensorFlow operation runs.
        batch_size: the global batch, which the replicas share equally.
        join_seconds: for how long the other workers are waited for; then the
            process ends.

    Raises:
        UserError: the batch cannot be shared equally, or TF_CONFIG is missing
            or unusable.
    """
    if name == "none":
        return tf.distribute.get_strategy()
    if name == "multi_worker":
        return _join_workers(this_worker(name), batch_size, join_seconds)
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


def distribute_shares(
    strategy: tf.distribute.Strategy,
    worker: Worker,
    make_dataset: Callable[[tuple[int, int]], tf.data.Dataset],
    batch_size: int,
) -> Any:
    """Returns an iterable that reads only this worker's part of every batch.

    Args:
        strategy: the strategy of the model.
        worker: this process.
        make_dataset: takes (index, count) of the worker and returns the
            dataset of its part of every global batch.
        batch_size: the global batch.
    """
    dataset = make_dataset((worker.index, worker.count))
    if worker.count == 1:
        return distribute(strategy, dataset)
    # An element a replica: the parts must not be shared out once more.
    dataset = dataset.rebatch(batch_size // strategy.num_replicas_in_sync)
    return strategy.distribute_datasets_from_function(lambda _: dataset)


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

    # Autograph takes seconds to rewrite all that a step calls; steps have no
    # Python `if` or `for` over tensors, which alone need it.
    @tf.function(reduce_retracing=True, autograph=False)
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

    Keras logs the figures of the first replica alone; once summed, these are
    the figures of the global batch.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return dict(figures)
    # What an inner tf.function returns is on no device; the identity is on the
    # replica's, without which MultiWorkerMirroredStrategy fails on CPUs.
    values = [tf.identity(value) for value in figures.values()]
    sums = context.all_reduce("SUM", values)
    return dict(zip(figures, sums, strict=True))


def _join_workers(
    worker: Worker, batch_size: int, join_seconds: float
) -> tf.distribute.Strategy:
    # Counted without starting TensorFlow's runtime, which the strategy has to
    # configure first.
    num_devices = max(len(tf.config.list_physical_devices("GPU")), 1)
    if batch_size % (worker.count * num_devices):
        raise UserError(
            f"--batch_size={batch_size}: expected a multiple of "
            f"{worker.count * num_devices}, the {num_devices} devices of each "
            f"of {worker.count} workers, which share every batch equally"
        )
    with joining(worker, join_seconds):
        return tf.distribute.MultiWorkerMirroredStrategy()
