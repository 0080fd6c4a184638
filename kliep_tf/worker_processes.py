"""Maps a function over items in worker processes, in order."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from kliep_tf.errors import RefusedError
from kliep_tf.ordered_map import ordered_map

# Enough that workers stay busy while the caller imports TensorFlow or flushes
# a shard to disk; few enough to hold in memory.
_IN_FLIGHT = 64
_IN_FLIGHT_PER_WORKER = 4


def available_cores() -> int:
    """Returns the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def map_in_workers(
    function: Callable[[Any], Any],
    items: Iterable[Any],
    num_workers: int,
    environments: Sequence[Mapping[str, str]] = (),
) -> Iterator[Iterator[Any]]:
    """Gives an iterator over function(item), in the order of `items`.

    Use as `with map_in_workers(...) as results:`; the workers end with the
    block. Memory does not grow with the number of items. An exception in a
    worker is raised by the iterator, in its turn.

    Args:
        function: picklable; its module is imported by every worker.
        items: picklable.
        num_workers: processes; 0 works in this one.
        environments: variables that are set in each process before it imports
            what the function needs; one for each worker, or none.
    """
    if num_workers == 0:
        yield map(function, items)
        return
    # Not "fork": a forked copy of a process in which TensorFlow has started
    # its threads can deadlock.
    context = multiprocessing.get_context("spawn")
    waiting = context.Queue()
    for number in range(num_workers):
        waiting.put(dict(environments[number]) if environments else {})
    executor = ProcessPoolExecutor(
        num_workers,
        mp_context=context,
        initializer=_start_worker,
        initargs=(waiting,),
    )
    in_flight = max(_IN_FLIGHT, _IN_FLIGHT_PER_WORKER * num_workers)
    try:
        # The workers start while the caller is still importing what it needs.
        yield ordered_map(executor, function, items, in_flight)
    except BrokenProcessPool:
        raise RefusedError(
            "a worker process was ended from outside, perhaps for lack of "
            f"memory; expected room for --num_workers={num_workers}"
        ) from None
    finally:
        executor.shutdown(cancel_futures=True)


def _start_worker(environments: "multiprocessing.Queue") -> None:
    os.environ.update(environments.get())
    # Ctrl-C reaches the whole process group; the parent alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this worker when its parent is gone, killed included.

    A worker waiting for its queue would otherwise wait for ever.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
