"""Which processes translate shards, and which GPU each of them sees."""

import os
from collections.abc import Mapping

import tensorflow as tf

_VISIBLE = "CUDA_VISIBLE_DEVICES"


def worker_environments(num_workers: int | None) -> list[Mapping[str, str]]:
    """Returns the variables of each process that translates shards.

    GPUs are dealt out in turn. This process then leaves them alone: TensorFlow
    would take all memory of each for the process that comes first.

    Args:
        num_workers: of processes; None is one for each GPU where there are
            several.

    Returns:
        An empty list if this process translates.
    """
    gpus = visible_gpus()
    if num_workers is None:
        num_workers = len(gpus) if len(gpus) > 1 else 0
    if num_workers and gpus:
        tf.config.set_visible_devices([], "GPU")
    return [
        {_VISIBLE: gpus[worker % len(gpus)]} if gpus else {}
        for worker in range(num_workers)
    ]


def visible_gpus() -> list[str]:
    """Returns the names by which CUDA knows the GPUs of this process."""
    number = len(tf.config.list_physical_devices("GPU"))
    named = os.environ.get(_VISIBLE, "").split(",")
    return named[:number] if named != [""] else list(map(str, range(number)))
