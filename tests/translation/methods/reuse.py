"""Models that are built once and serve test after test, each time as new.

Building one takes as long as a step of it.
"""

import collections
import functools
from collections.abc import Callable
from typing import Any

_idle: dict[str, list[tuple]] = collections.defaultdict(list)
_lent: list[tuple[str, tuple]] = []


def reused(make: Callable[..., Any]) -> Callable[..., Any]:
    """Lets a function that makes models make each but once.

    Equal arguments give a model that was given back, with the values that all
    of its trackables' variables had when it was made.
    """

    @functools.wraps(make)
    def lend(*args, **options):
        key = repr((make.__module__, args, sorted(options.items())))
        if _idle[key]:
            model, initial = _idle[key].pop()
            for variable, value in initial:
                variable.assign(value)
        else:
            model = make(*args, **options)
            initial = [
                (variable, variable.numpy())
                for part in model.trackables().values()
                for variable in part.variables
            ]
        _lent.append((key, (model, initial)))
        return model

    return lend


def give_back() -> None:
    """Takes all models for the next test, which nothing uses any more."""
    while _lent:
        key, model = _lent.pop()
        _idle[key].append(model)


def give_back_one(model: Any) -> None:
    """Takes one model, which its test uses no more."""
    (number,) = [
        number for number, (_, (lent, _)) in enumerate(_lent) if lent is model
    ]
    key, lent = _lent.pop(number)
    _idle[key].append(lent)
