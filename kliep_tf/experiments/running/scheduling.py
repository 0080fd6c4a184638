"""Jobs run in the order of their needs, several at once."""

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from kliep_tf import runs
from kliep_tf.errors import UserError
from kliep_tf.experiments.running import processes
from kliep_tf.experiments.running.jobs import Job, in_order

_SECONDS_BETWEEN_LOOKS = 0.5
_LOGS = "logs"


def run_jobs(
    jobs: Sequence[Job],
    cache_dir: str | os.PathLike,
    *,
    parallel: int = 1,
    devices: Sequence[str] = (),
) -> None:
    """Runs these jobs and all they need; what is complete is not run again.

    Each job's output goes to `cache_dir`/logs; one line here says when it
    begins and ends. When one fails, the others are stopped as by Ctrl-C (they
    save what they have) and the same call continues.

    Args:
        jobs: what is wanted.
        cache_dir: where outputs lie, by digest.
        parallel: how many at once, where no devices are named; they share the
            CPU cores between them.
        devices: GPU numbers for CUDA_VISIBLE_DEVICES; one job at a time on
            each.

    Raises:
        UserError: a job failed; the message ends with the job's last line.
    """
    cache = Path(cache_dir)
    (cache / _LOGS).mkdir(parents=True, exist_ok=True)
    everything = in_order(jobs)
    waiting = [job for job in everything if not job.is_complete(cache)]
    board = _Board(total=len(everything), done=len(everything) - len(waiting))
    slots = _slots(parallel, devices)
    running: list[_Running] = []
    try:
        while waiting or running:
            _start_ready(waiting, running, slots, cache, board)
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            ended = [one for one in running if one.process.poll() is not None]
            for one in ended:
                running.remove(one)
                _finish(one, len(waiting) + len(running), cache, board)
    finally:
        _stop(running)


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
    log: Path
    started: float


class _Board:
    """Counts jobs and guesses how long the rest takes."""

    def __init__(self, total: int, done: int):
        self._total, self._done = total, done
        self._begin = time.monotonic()
        self._done_here = 0
        if done:
            print(f"{done} of {total} jobs were done earlier", flush=True)

    def begins(self, job: Job) -> None:
        print(f"       begins: {job.title} ({job.name})", flush=True)

    def ends(self, job: Job, seconds: float, left: int) -> None:
        self._done += 1
        self._done_here += 1
        rate = (time.monotonic() - self._begin) / self._done_here
        rest = f"; about {_shown(rate * left)} left" if left else ""
        print(
            f"[{self._done}/{self._total}] done in {_shown(seconds)}: "
            f"{job.title}{rest}",
            flush=True,
        )


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


def _start_ready(waiting, running, slots, cache, board) -> None:
    """Starts what can be, as long as there are free slots."""
    busy = {id(one.slot) for one in running}
    free = [slot for slot in slots if id(slot) not in busy]
    for job in list(waiting):
        if not free:
            return
        if all(maker.is_complete(cache) for maker in job.needs):
            waiting.remove(job)
            board.begins(job)
            running.append(_start(job, free.pop(0), cache))


def _start(job: Job, slot: _Slot, cache: Path) -> _Running:
    environment = dict(os.environ)
    if slot.device is not None:
        environment["CUDA_VISIBLE_DEVICES"] = slot.device
    log = cache / _LOGS / f"{job.name}.log"
    with log.open("ab") as file:
        process = processes.start(
            job.command(cache),
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    _keep_to(process.pid, slot.cores)
    return _Running(job, slot, process, log, time.monotonic())


def _keep_to(pid: int, cores: frozenset[int]) -> None:
    """Binds a process that has just begun to its cores, before it counts them.

    TensorFlow makes as many threads as there are cores it may use.
    """
    if cores and hasattr(os, "sched_setaffinity"):
        try:
            os.sched_setaffinity(pid, cores)
        except ProcessLookupError:
            return  # It has ended already; its status says why.


def _finish(one: _Running, left: int, cache: Path, board: _Board) -> None:
    if one.process.returncode:
        raise UserError(
            f"{one.job.title}: {one.job.module} ended with status "
            f"{one.process.returncode} ({_last_line(one.log)}); its output is "
            f"in {one.log}, and the same command again continues here"
        )
    if not one.job.is_complete(cache):
        raise UserError(
            f"{one.job.title}: {one.job.module} ended with status 0; expected "
            f"{one.job.output_dir(cache) / runs.CONFIG} to say complete, found "
            f"that it does not ({_last_line(one.log)}); its output is in "
            f"{one.log}"
        )
    board.ends(one.job, time.monotonic() - one.started, left)


def _stop(running: Sequence[_Running]) -> None:
    """Asks for an end as Ctrl-C does, and waits for it."""
    for one in running:
        if one.process.poll() is None:
            print(f"stopping: {one.job.title}", file=sys.stderr, flush=True)
    processes.stop(*(one.process for one in running))


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"


def _shown(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
