"""An ordered map over threads or processes, of bounded memory."""

import collections
import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def ordered_map(
    executor: Executor,
    function: Callable[[_Item], _Result],
    items: Iterable[_Item],
    in_flight: int,
) -> Iterator[_Result]:
    """Returns an iterator over function(item), in the order of the items.

    Work starts at once, before the first result is asked for. An exception in
    `function` is raised when its result is due.

    Args:
        executor: runs `function`; the caller shuts it down.
        function: of one item.
        items: read in the caller's thread, as the work proceeds.
        in_flight: how many items are begun and not yet done with, the one
            whose result the caller holds among them.
    """
    remaining = iter(items)
    pending: collections.deque[Future[_Result]] = collections.deque()

    def submit(number: int) -> None:
        for item in itertools.islice(remaining, number):
            pending.append(executor.submit(function, item))

    def results() -> Iterator[_Result]:
        while pending:
            yield pending.popleft().result()
            submit(1)

    submit(in_flight)
    return results()
