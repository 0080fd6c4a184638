"""Which processes translate shards, and which GPU each of them sees."""

import os
from collections.abc import Mapping, Sequence

import tensorflow as tf

_VISIBLE = "CUDA_VISIBLE_DEVICES"


def worker_environments(num_workers: int | None) -> list[Mapping[str, str]]:
    """Returns the variables of each process that translates shards.

    This process then leaves GPUs alone: TensorFlow would take all memory of
    each for the process that comes first.

    Args:
        num_workers: of processes; None is one for each GPU where there are
            several.

    Returns:
        An empty list if this process translates.
    """
    gpus = visible_gpus()
    environments = deal(gpus, num_workers)
    if environments and gpus:
        tf.config.set_visible_devices([], "GPU")
    return environments


def deal(
    gpus: Sequence[str], num_workers: int | None
) -> list[Mapping[str, str]]:
    """Returns each worker's variables, GPUs dealt out in turn."""
    if num_workers is None:
        num_workers = len(gpus) if len(gpus) > 1 else 0
    return [
        {_VISIBLE: gpus[worker % len(gpus)]} if gpus else {}
        for worker in range(num_workers)
    ]


def visible_gpus() -> list[str]:
    """Returns the names by which CUDA knows the GPUs of this process."""
    number = len(tf.config.list_physical_devices("GPU"))
    return gpu_names(number, os.environ.get(_VISIBLE, ""))


def gpu_names(number: int, visible: str) -> list[str]:
    """Returns the names of so many GPUs, of those that a variable lists."""
    names = visible.split(",") if visible else map(str, range(number))
    return list(names)[:number]
