"""Works through rows block by block, two blocks at a time.

NumPy and TensorFlow release Python's lock in their loops: while one thread
prepares a block, another computes on the one before.
"""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import numpy as np
import tensorflow as tf

from kliep_tf.ordered_map import ordered_map

_LEAST_THREADS = 2
_ALIGNMENT = 16  # bytes, which code compiled by XLA counts on
_Result = TypeVar("_Result")
_Function = TypeVar("_Function", bound=Callable)


def in_order(
    function: Callable[[int], _Result], items: Sequence[int]
) -> Iterator[_Result]:
    """Yields function(item) of every item in turn.

    At most three results wait for the caller (more only with more than two
    GPUs), so that memory stays small.
    """
    if len(items) == 1:
        yield function(items[0])
        return
    threads = max(_LEAST_THREADS, len(_gpus()))
    with ThreadPoolExecutor(threads) as pool:
        yield from ordered_map(pool, function, items, threads + 1)


def one_at_a_time(function: _Function) -> _Function:
    """Returns the function behind a lock: one thread calls it at a time.

    On CPUs, TensorFlow 2.21 sometimes crashes when two threads make the first
    call of one compiled function that reduces float32: XLA prepares it once
    for both, without a lock.
    """
    lock = threading.Lock()

    @functools.wraps(function)
    def locked(*arguments: Any) -> Any:
        with lock:
            return function(*arguments)

    return cast(_Function, locked)


def shared(block: np.ndarray) -> tf.Tensor:
    """Returns the block as a tensor, without a copy where possible.

    Only for compiled functions: TensorFlow's own kernels end the process on
    memory that is not aligned as `tf.constant` aligns its copies.
    """
    if can_share(block) and not tf.config.functions_run_eagerly():
        return tf.experimental.dlpack.from_dlpack(block.__dlpack__())
    return tf.constant(block)


def can_share(block: np.ndarray) -> bool:
    """Returns whether `shared` makes no copy; a read-only map needs one."""
    return (
        block.ctypes.data % _ALIGNMENT == 0
        and block.flags.c_contiguous
        and block.flags.writeable
    )


def device(number: int) -> contextlib.AbstractContextManager:
    """Returns the scope of the GPU for a block; none with only one GPU."""
    gpus = _gpus()
    if len(gpus) < 2:
        return contextlib.nullcontext()
    return tf.device(gpus[number % len(gpus)])


@functools.cache
def _gpus() -> list[str]:
    return [gpu.name for gpu in tf.config.list_logical_devices("GPU")]
