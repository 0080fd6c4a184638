"""The training loop: steps, checkpoints, figures, interruption.

One loop serves every model of the project and every distribution strategy.
Keras's `fit` can drive the models too, but cannot continue in the middle of an
epoch, and fails under MultiWorkerMirroredStrategy (Keras issue 20585).
"""

import contextlib
import dataclasses
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kliep_tf.errors import UserError
from kliep_tf.progress import ProgressBar
from kliep_tf.training.checkpoints import Checkpoints

StepFunction = Callable[[Any], Mapping[str, tf.Tensor]]


@dataclasses.dataclass(frozen=True)
class LoopSettings:
    """How long to train and how often to save and to report.

    Attributes:
        num_steps: steps in all, those of earlier runs included.
        batch_size: images per step over all replicas, for the rate.
        checkpoint_every: steps between checkpoints.
        log_every: steps over which logged figures are averaged.
        keep_checkpoints: number of checkpoints kept.
    """

    num_steps: int
    batch_size: int
    checkpoint_every: int
    log_every: int
    keep_checkpoints: int = 3


@dataclasses.dataclass(frozen=True)
class Hook:
    """Something done every so many steps, such as a picture for TensorBoard."""

    every: int
    call: Callable[[int], None]


def run_steps(
    train_step: StepFunction,
    make_batches: Callable[[int], Iterable[Any]],
    checkpoints: Checkpoints,
    settings: LoopSettings,
    tensorboard_dir: str | os.PathLike,
    hooks: Iterable[Hook] = (),
) -> int:
    """Trains from the newest checkpoint to `settings.num_steps`.

    Ctrl-C or SIGTERM ends the step in hand, saves and raises
    KeyboardInterrupt, so that nothing is lost.

    Args:
        train_step: takes a batch, changes the state, returns scalar figures.
        make_batches: start step -> endless batches from there on.
        checkpoints: what the state is restored from and saved to.
        settings: how long and how often.
        tensorboard_dir: where the figures go.
        hooks: called with the step; all of them also after the last one.

    Returns:
        The step at which this run began.

    Raises:
        UserError: a figure is not finite; the message names it and the step.
    """
    start = checkpoints.restore()
    writer = tf.summary.create_file_writer(str(tensorboard_dir))
    if start == 0:
        checkpoints.save()  # a kill before the first interval is no loss
    with (
        writer.as_default(),
        _stop_requests() as stop_requested,
        ProgressBar(settings.num_steps, "training", "step", start) as bar,
    ):
        figures = _Figures(settings.batch_size)
        batches = (
            iter(make_batches(start)) if start < settings.num_steps else ()
        )
        for step, batch in zip(
            range(start + 1, settings.num_steps + 1), batches, strict=False
        ):
            figures.add(step, train_step(batch))
            checkpoints.step.assign(step)
            last = step == settings.num_steps
            if step % settings.log_every == 0 or last:
                bar.describe(figures.write(step))
            for hook in hooks:
                if step % hook.every == 0 or last:
                    hook.call(step)
            if step % settings.checkpoint_every == 0 or last:
                checkpoints.save()
            bar.update(1)
            if stop_requested() and not last:
                checkpoints.save()
                raise KeyboardInterrupt
    return start


class _Figures:
    """Averages figures between two lines of the log."""

    def __init__(self, batch_size: int):
        self._batch_size = batch_size
        self._reset()

    def _reset(self) -> None:
        self._sums, self._count, self._since = {}, 0, time.perf_counter()

    def add(self, step: int, figures: Mapping[str, tf.Tensor]) -> None:
        """Adds one step's figures; raises a UserError if one is not finite."""
        for name, value in figures.items():
            number = float(value)
            if not math.isfinite(number):
                raise UserError(
                    f"step {step}: expected finite losses, found {name} = "
                    f"{number}; the last checkpoint is kept"
                )
            self._sums[name] = self._sums.get(name, 0.0) + number
        self._count += 1

    def write(self, step: int) -> dict[str, float]:
        """Writes the means to TensorBoard and returns them."""
        means = {name: s / self._count for name, s in self._sums.items()}
        seconds = time.perf_counter() - self._since
        rate = self._count * self._batch_size / seconds
        for name, value in {**means, "rate/images_per_second": rate}.items():
            tf.summary.scalar(name, np.float32(value), step)
        self._reset()
        return means


@contextlib.contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Turns the first Ctrl-C or SIGTERM into a request; a second one kills."""
    requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield requested.is_set
        return

    def request(number, frame):
        if requested.is_set():
            raise KeyboardInterrupt
        requested.set()

    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, request) for number in numbers}
    try:
        yield requested.is_set
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
