"""Jobs run in the order of their needs, several at once.

Each is a process that hears Ctrl-C once, and ends with this one. It has a
session of its own: the Ctrl-C of a terminal reaches it through this process
alone, and it has the time it needs to save. Where the system can (Linux), it
hears the same when this process is killed: left alone it would work on, and
the same command again would find its output in use.
"""

import contextlib
import ctypes
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from kliep_tf import runs
from kliep_tf.errors import UserError
from kliep_tf.experiments.running.boards import Board
from kliep_tf.experiments.running.jobs import Job, in_order

_SECONDS_BETWEEN_LOOKS = 0.1
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of linux/prctl.h
# Loaded here: between fork and exec nothing may wait for a lock.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def run_jobs(
    jobs: Sequence[Job],
    root: str | os.PathLike,
    board: Board,
    *,
    parallel: int = 1,
    devices: Sequence[str] = (),
) -> None:
    """Runs these jobs and all they need; what is complete is not run again.

    When one fails, the others are stopped as by Ctrl-C (they save what they
    have) and the same call continues.

    Args:
        jobs: what is wanted; those that need no other run in this order.
        root: the directory of all outputs.
        board: shows what happens, and says where a job's output goes.
        parallel: jobs at once, where no devices are named; they share the CPU
            cores between them.
        devices: GPU numbers for CUDA_VISIBLE_DEVICES; one job at a time on
            each.

    Raises:
        UserError: a job failed; the message ends with the job's last line.
    """
    root = Path(root)
    everything = in_order(jobs)
    waiting = [job for job in everything if not job.is_complete(root)]
    done = [job for job in everything if job not in waiting]
    board.finds(done, len(everything))
    slots = _slots(parallel, devices)
    running: list[_Running] = []
    try:
        while waiting or running:
            _start_ready(waiting, running, slots, root, board)
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            for one in [each for each in running if each.has_ended]:
                running.remove(one)
                _finish(one, len(waiting) + len(running), root, board)
    finally:
        _stop(running, board)


def why_failed(job: Job, status: int, root: Path, log: Path | None) -> str:
    """Returns why an ended job is not complete, "" for one that is.

    Args:
        job: that ended.
        status: with which its program ended.
        root: the directory of all outputs.
        log: its output; None where it has passed through.
    """
    if not status and job.is_complete(root):
        return ""
    where, advice = "what it said stands above", ""
    if log:
        where = f"its output is in {log} ({_last_line(log)})"
    if status:
        advice = ", and the same command again continues here"
    else:
        config = job.output_dir(root) / runs.CONFIG
        advice = f"; expected {config} to say complete, found that it does not"
    return (
        f"{job.title}: {job.module} ended with status {status}; {where}{advice}"
    )


@dataclasses.dataclass(frozen=True)
class _Slot:
    """A share of the machine: a set of CPU cores, or a GPU."""

    cores: frozenset[int]
    device: str | None


@dataclasses.dataclass(frozen=True, eq=False)
class _Running:
    job: Job
    slot: _Slot
    process: subprocess.Popen
    log: Path | None
    started: float

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


def _slots(parallel: int, devices: Sequence[str]) -> list[_Slot]:
    # Not every system tells which cores a process may use.
    get = getattr(os, "sched_getaffinity", None)
    cores = sorted(get(0)) if get else []
    count = len(devices) or parallel
    shares = [frozenset(cores[i::count]) for i in range(count)]
    return [
        _Slot(share or frozenset(cores), devices[i] if devices else None)
        for i, share in enumerate(shares)
    ]


def _start_ready(
    waiting: list[Job],
    running: list[_Running],
    slots: Sequence[_Slot],
    root: Path,
    board: Board,
) -> None:
    """Starts what can be, as long as there are free slots."""
    busy = {id(one.slot) for one in running}
    free = [slot for slot in slots if id(slot) not in busy]
    for job in list(waiting):
        if not free:
            return
        if all(maker.is_complete(root) for maker in job.needs):
            waiting.remove(job)
            board.begins(job)
            running.append(_start(job, free.pop(0), root, board.log_of(job)))


def _start(job: Job, slot: _Slot, root: Path, log: Path | None) -> _Running:
    environment = dict(os.environ)
    if slot.device is not None:
        environment["CUDA_VISIBLE_DEVICES"] = slot.device
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(log.open("ab")) if log else None
        process = subprocess.Popen(
            job.command(root),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT if file else None,
            env=environment,
            start_new_session=True,
            preexec_fn=_prepare,
        )
    _keep_to(process.pid, slot.cores)
    return _Running(job, slot, process, log, time.monotonic())


def _prepare() -> None:
    """Makes a new process hear SIGINT, from us and when we die."""
    # A shell's `&` makes a command ignore SIGINT, and all that it starts.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if _LIBC is not None:
        _LIBC.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGINT, 0, 0, 0)


def _keep_to(pid: int, cores: frozenset[int]) -> None:
    """Binds a process that has just begun to its cores, before it counts them.

    TensorFlow makes as many threads as there are cores it may use.
    """
    if cores and hasattr(os, "sched_setaffinity"):
        try:
            os.sched_setaffinity(pid, cores)
        except ProcessLookupError:
            return  # It has ended already; its status says why.


def _finish(one: _Running, left: int, root: Path, board: Board) -> None:
    failure = why_failed(one.job, one.process.returncode, root, one.log)
    if not failure:
        board.ends(one.job, one.seconds, left)
        return
    board.stops(one.job, one.seconds)
    raise UserError(failure)


def _stop(running: Sequence[_Running], board: Board) -> None:
    """Asks for an end as Ctrl-C does, and waits for it."""
    for one in running:
        if not one.has_ended:
            print(f"stopping: {one.job.title}", file=sys.stderr, flush=True)
            one.process.send_signal(signal.SIGINT)
    for one in running:
        one.process.wait()
        board.stops(one.job, one.seconds)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"
