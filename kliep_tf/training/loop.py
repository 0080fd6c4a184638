"""The training loop: steps, checkpoints, figures, interruption.

One loop serves every model of the project and every distribution strategy.
Keras's `fit` can drive the models too, but cannot continue in the middle of an
epoch, and fails under MultiWorkerMirroredStrategy (Keras issue 20585).
"""

import collections
import contextlib
import dataclasses
import itertools
import math
import os
import signal
import threading
import time
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from kliep_tf.data import reading
from kliep_tf.errors import DataError, Terminated, UserError
from kliep_tf.progress import ProgressBar
from kliep_tf.training import event_files
from kliep_tf.training.checkpoints import Checkpoints
from kliep_tf.training.scalars import ScalarWriter
from kliep_tf.training.workers import Team, loss_as_user_error

StepFunction = Callable[[Any], Mapping[str, tf.Tensor]]
SeeFigures = Callable[[int, Mapping[str, float]], None]

# What tf.data raises for damage, or for a shard that is gone. Among several
# workers a lost connection may sound like the latter.
_DAMAGED = reading.DAMAGED
_UNREADABLE = (*_DAMAGED, tf.errors.NotFoundError, tf.errors.UnknownError)
_RATE = "speed/images_per_second"
# A bar has room for the losses; TensorBoard shows all.
_NOT_IN_BAR = ("gradient_norm/", "accuracy/")


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

    def is_due(self, step: int, every: int) -> bool:
        """Whether something done every `every` steps is due after `step`."""
        return step % every == 0 or step == self.num_steps


@dataclasses.dataclass(frozen=True)
class Hook:
    """Something done now and then, such as a picture for TensorBoard.

    Attributes:
        every: steps between two calls; one more comes after the last step.
        call: takes the step. TensorBoard's writer is the default one then.
    """

    every: int
    call: Callable[[int], None]


def run_steps(
    train_step: StepFunction,
    make_batches: Callable[[int], Iterable[Any]],
    checkpoints: Checkpoints,
    settings: LoopSettings,
    tensorboard_dir: str | os.PathLike,
    hooks: Iterable[Hook] = (),
    *,
    see_figures: SeeFigures = lambda step, means: None,
    team: Team | None = None,
    describe_batch: Callable[[int], str] = lambda step: "",
    descriptions: Mapping[str, str] | None = None,
) -> int:
    """Trains from the newest checkpoint to `settings.num_steps`.

    Ctrl-C or SIGTERM ends the step in hand, saves and raises
    KeyboardInterrupt or its kind Terminated, so that nothing is lost.

    Args:
        train_step: takes a batch, changes the state, returns scalar figures.
        make_batches: start step -> endless batches from there on.
        checkpoints: what the state is restored from and saved to.
        settings: how long and how often.
        tensorboard_dir: where the figures go.
        hooks: called with the step; all of them also after the last one.
        see_figures: called with the step and the means of the figures since
            the last call, whenever they are logged.
        team: the workers that train together. All restore the same checkpoint;
            the chief alone saves, reports and calls hooks.
        describe_batch: step -> what its batch was made of, for messages.
        descriptions: of the figures, by tag; see `kliep_tf.training.scalars`.

    Returns:
        The step at which this run began.

    Raises:
        UserError: a figure is not finite, or a batch cannot be read; the
            message names the step and its batch. Or another worker is lost.
    """
    team = team or Team()
    is_chief = team.worker.is_chief
    with loss_as_user_error(team.worker), _stop_requests() as stop_requests:
        start = checkpoints.restore()
        team.require_same(start, "step to continue from")
        if is_chief:
            checkpoints.sweep()
            event_files.trim(tensorboard_dir, start)
        if checkpoints.is_empty and is_chief:
            checkpoints.save()  # a kill before the first interval is no loss
        means = _Means(describe_batch)
        batches: Iterable[Any] = ()
        if start < settings.num_steps:
            batches = _readable(
                make_batches(start),
                start,
                describe_batch,
                _UNREADABLE if team.worker.count == 1 else _DAMAGED,
            )
        with _reporting(
            is_chief,
            settings,
            tensorboard_dir,
            hooks,
            see_figures,
            start,
            ScalarWriter(descriptions),
        ) as report:
            for step, batch in zip(
                range(start + 1, settings.num_steps + 1), batches, strict=False
            ):
                means.add(step, train_step(batch))
                checkpoints.step.assign(step)
                report(step, means)
                stopping = team.any(bool(stop_requests))
                due = settings.is_due(step, settings.checkpoint_every)
                if is_chief and (due or stopping):
                    checkpoints.save()
                if stopping and step < settings.num_steps:
                    raise stop_requests.exception()
    return start


def _readable(
    batches: Iterable[Any],
    start: int,
    describe_batch: Callable[[int], str],
    damages: tuple[type[tf.errors.OpError], ...],
) -> Iterator[Any]:
    """Yields the batches; a damaged one raises a UserError."""
    waiting = iter(batches)
    for step in itertools.count(start + 1):
        try:
            batch = next(waiting)
        except StopIteration:
            return
        except damages as error:
            reason = reading.reason_of(error)
            if not reading.is_own(error):
                among = describe_batch(step)
                reason = (
                    "expected readable examples, found a damaged one"
                    f"{among and f' among {among}'} ({reason})"
                )
            raise DataError(f"step {step}: {reason}") from error
        yield batch


class _Means:
    """Averages figures between two lines of the log."""

    def __init__(self, describe_batch: Callable[[int], str]):
        self._describe_batch = describe_batch
        self._sums: dict[str, float] = {}
        self._counts: collections.Counter[str] = collections.Counter()
        self._steps = 0

    def add(self, step: int, figures: Mapping[str, tf.Tensor]) -> None:
        """Adds one step's figures; raises a UserError if one is not finite."""
        for name, value in figures.items():
            number = float(value)
            if not math.isfinite(number):
                batch = self._describe_batch(step)
                raise UserError(
                    f"step {step}: expected finite losses, found {name} = "
                    f"{number}{batch and f' on {batch}'}; the last checkpoint "
                    "is kept"
                )
            self._sums[name] = self._sums.get(name, 0.0) + number
            self._counts[name] += 1
        self._steps += 1

    def take(self) -> tuple[dict[str, float], int]:
        """Returns the means and the number of steps, and starts anew.

        A figure that some steps lack is averaged over those that have it.
        """
        means = {name: s / self._counts[name] for name, s in self._sums.items()}
        steps, self._steps = self._steps, 0
        self._sums.clear()
        self._counts.clear()
        return means, steps


class _Report:
    """What the chief shows of a run: TensorBoard, progress bar, hooks."""

    def __init__(
        self,
        settings: LoopSettings,
        bar: ProgressBar,
        hooks: Iterable[Hook],
        see_figures: SeeFigures,
        scalars: ScalarWriter,
    ):
        self._settings, self._bar, self._hooks = settings, bar, tuple(hooks)
        self._see_figures = see_figures
        self._scalars = scalars
        self._since = time.perf_counter()

    def __call__(self, step: int, means: _Means) -> None:
        """Reports a step; takes the means when a line of the log is due."""
        settings = self._settings
        if settings.is_due(step, settings.log_every):
            self._write(step, *means.take())
        for hook in self._hooks:
            if settings.is_due(step, hook.every):
                hook.call(step)
        self._bar.update(1)

    def _write(self, step: int, means: dict[str, float], count: int) -> None:
        now = time.perf_counter()
        rate = count * self._settings.batch_size / (now - self._since)
        self._since = now
        self._scalars.write(step, {**means, _RATE: rate})
        self._see_figures(step, means)
        self._bar.describe(
            {
                name: value
                for name, value in means.items()
                if not name.startswith(_NOT_IN_BAR)
            }
        )


@contextlib.contextmanager
def _reporting(
    is_chief: bool,
    settings: LoopSettings,
    tensorboard_dir: str | os.PathLike,
    hooks: Iterable[Hook],
    see_figures: SeeFigures,
    start: int,
    scalars: ScalarWriter,
) -> Iterator[Callable[[int, _Means], None]]:
    """Opens TensorBoard and the progress bar; the chief alone reports."""
    if not is_chief:
        yield lambda step, means: None
        return
    writer = tf.summary.create_file_writer(str(tensorboard_dir))
    with (
        writer.as_default(),
        ProgressBar(settings.num_steps, "training", "step", start) as bar,
    ):
        yield _Report(settings, bar, hooks, see_figures, scalars)


class _StopRequests(list[int]):
    """The numbers of the signals that asked for an end."""

    def exception(self) -> KeyboardInterrupt:
        """Returns what the last of them raises."""
        terminated = self[-1:] == [signal.SIGTERM]
        return Terminated() if terminated else KeyboardInterrupt()


@contextlib.contextmanager
def _stop_requests() -> Iterator["_StopRequests"]:
    """Turns the first Ctrl-C or SIGTERM into a request; a second one kills."""
    requests = _StopRequests()
    if threading.current_thread() is not threading.main_thread():
        yield requests
        return

    def request(number: int, frame: types.FrameType | None) -> None:
        requests.append(number)
        if len(requests) > 1:
            raise requests.exception()

    kinds = (signal.SIGINT, signal.SIGTERM)
    previous = {kind: signal.signal(kind, request) for kind in kinds}
    try:
        yield requests
    finally:
        for kind, handler in previous.items():
            signal.signal(kind, handler)
