"""Work on one block of rows after another, two of them at a time.

NumPy and TensorFlow give Python's lock back in their loops: while one thread
prepares a block, another computes on the one before.
"""

import collections
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import TypeVar

import numpy as np
import tensorflow as tf

_THREADS = 2
_ALIGNMENT = 16  # bytes, which code compiled by XLA counts on
_Result = TypeVar("_Result")


def in_order(
    function: Callable[[int], _Result], items: Sequence[int]
) -> Iterator[_Result]:
    """Yields function(item) of every item in turn.

    No more than three results exist that the caller has not taken, so that
    what is streamed stays small.
    """
    if len(items) == 1:
        yield function(items[0])
        return
    waiting: collections.deque[futures.Future] = collections.deque()
    with futures.ThreadPoolExecutor(_THREADS) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > _THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def shared(block: np.ndarray) -> tf.Tensor:
    """Returns the block as a tensor on the same memory, where that can be.

    Only for compiled functions: TensorFlow's own kernels want memory that is
    better aligned, for which `tf.constant` makes a copy.
    """
    aligned = block.ctypes.data % _ALIGNMENT == 0
    if aligned and block.flags.c_contiguous and block.flags.writeable:
        return tf.experimental.dlpack.from_dlpack(block.__dlpack__())
    return tf.constant(block)
