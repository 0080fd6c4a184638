"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import tqdm

_SECONDS_BETWEEN_LINES = 10.0
_Item = TypeVar("_Item")


class ProgressBar:
    """Shows how much is done, how fast, and how long the rest will take.

    Use as a context manager and call `update`. On a terminal it is a tqdm bar;
    into a file or a pipe it writes at most one line every ten seconds.
    """

    def __init__(
        self, total: int, description: str, unit: str, initial: int = 0
    ):
        """Starts the clock.

        Args:
            total: of items, those done earlier included.
            description: a word or two before the numbers.
            unit: what is counted, in the singular.
            initial: number of items done earlier, which do not count as speed.
        """
        self._total, self._initial, self._done = total, initial, initial
        self._description, self._unit = description, unit
        self._figures = ""
        self._bar = None
        if sys.stderr.isatty():
            self._bar = tqdm.tqdm(
                total=total, initial=initial, desc=description, unit=unit
            )
        self._begin = self._last_line = time.monotonic()
        # After the first items, whose time is not that of the others: programs
        # compile then.
        self._warm: tuple[int, float] | None = None

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._done > self._initial:
            self._print_line()

    def update(self, count: int = 1) -> None:
        """Counts `count` more items as done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES:
            self._print_line()
        if self._warm is None:
            self._warm = self._done, time.monotonic()

    def describe(self, figures: Mapping[str, float]) -> None:
        """Shows figures behind the numbers, such as losses."""
        self._figures = ", ".join(
            f"{name}={value:.3g}" for name, value in figures.items()
        )
        if self._bar is not None:
            self._bar.set_postfix_str(self._figures, refresh=False)

    def _print_line(self) -> None:
        self._last_line = time.monotonic()
        line = f"{self._description}: {self._done}/{self._total} {self._unit}s"
        if rate := self._rate():
            left = (self._total - self._done) / rate
            line += f", {rate:.3g} {self._unit}s/s, {left:.0f} s left"
        figures = f"; {self._figures}" if self._figures else ""
        print(line + figures, file=sys.stderr, flush=True)

    def _rate(self) -> float:
        """Returns items a second, 0 while only the first ones are done."""
        first, begin = self._initial, self._begin
        if self._done < self._total:
            if self._warm is None or self._warm[0] == self._done:
                return 0.0
            first, begin = self._warm
        return (self._done - first) / max(self._last_line - begin, 1e-9)


def progress(
    items: Iterable[_Item], total: int, description: str, unit: str
) -> Iterator[_Item]:
    """Yields `items`, showing how far their consumer has come."""
    with ProgressBar(total, description, unit) as bar:
        for item in items:
            yield item
            bar.update(1)
