"""What is shown of jobs that run, and where their own output goes.

Of many jobs at once, one line says when each begins and ends, and their output
goes to files. Jobs that people watch one after the other are numbered and
timed, each with its command, and their output passes through.
"""

import contextlib
import json
import os
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from kliep_tf import runs
from kliep_tf.errors import UserError
from kliep_tf.experiments.running.jobs import Job
from kliep_tf.json_files import Maybe, read_json

TIMINGS = "timings.json"
_LOGS = "logs"


class Board(Protocol):
    """What `run_jobs` tells of its jobs."""

    def finds(self, done: Sequence[Job], total: int) -> None:
        """Hears which of all jobs an earlier run finished."""

    def begins(self, job: Job) -> None:
        """Hears that a job starts."""

    def ends(self, job: Job, seconds: float, left: int) -> None:
        """Hears that a job is complete, and how many are left."""

    def stops(self, job: Job, seconds: float) -> None:
        """Hears that a job ended before it was complete."""

    def log_of(self, job: Job) -> Path | None:
        """Returns the file of a job's output; None for this process's own."""


class LogBoard:
    """Shows a line a job, and how long the rest will take."""

    def __init__(self, root: Path):
        """Keeps logs below the directory of all outputs."""
        self._logs = root / _LOGS
        self._logs.mkdir(parents=True, exist_ok=True)
        self._total = self._done = self._done_here = 0
        self._begin = time.monotonic()

    def finds(self, done: Sequence[Job], total: int) -> None:
        """Counts what was done earlier."""
        self._done, self._total = len(done), total
        if done:
            print(f"{len(done)} of {total} jobs were done earlier", flush=True)

    def begins(self, job: Job) -> None:
        """Prints its title and its name in the cache."""
        print(f"       begins: {job.title} ({job.name})", flush=True)

    def ends(self, job: Job, seconds: float, left: int) -> None:
        """Prints its time, and a guess of the rest's."""
        self._done += 1
        self._done_here += 1
        rate = (time.monotonic() - self._begin) / self._done_here
        rest = f"; about {_shown(rate * left)} left" if left else ""
        print(
            f"[{self._done}/{self._total}] done in {_shown(seconds)}: "
            f"{job.title}{rest}",
            flush=True,
        )

    def stops(self, job: Job, seconds: float) -> None:
        """Prints nothing: the error names the job, or Ctrl-C all of them."""

    def log_of(self, job: Job) -> Path | None:
        """Returns a file named like the job."""
        return self._logs / f"{job.name}.log"


class StageBoard:
    """Numbers, prints and times jobs that run one after the other."""

    def __init__(
        self, root: str | os.PathLike, stages: Mapping[str, Job], total: int
    ):
        """Reads the times of earlier attempts.

        Args:
            root: the directory of all outputs, and of timings.json.
            stages: the jobs in order, each under its key in timings.json.
            total: of stages, those included that the caller does itself.

        Raises:
            UserError: timings.json is something else, or an output was made
                by other commands than these.
        """
        self._root = Path(root)
        self._total = total
        self._keys = {job.digest: key for key, job in stages.items()}
        self._numbers = {
            job.digest: number
            for number, job in enumerate(stages.values(), start=1)
        }
        self._timings = Timings(root)
        for key, job in stages.items():
            if job.is_complete(self._root):
                self._timings.require_same(key, job.digest)

    def finds(self, done: Sequence[Job], total: int) -> None:
        """Prints which stages need not run again."""
        for job in done:
            print(f"{self._heading(job)}: already done", flush=True)
            # It may have ended while it was being stopped.
            self._timings.stop(self._keys[job.digest], 0.0, complete=True)

    def begins(self, job: Job) -> None:
        """Prints its number and its command, as it can be typed."""
        print(f"\n{self._heading(job)}", flush=True)
        print(shlex.join(job.command(self._root)), flush=True)
        self._timings.start(self._keys[job.digest], job.digest)

    def ends(self, job: Job, seconds: float, left: int) -> None:
        """Keeps its time."""
        self._timings.stop(self._keys[job.digest], seconds, complete=True)

    def stops(self, job: Job, seconds: float) -> None:
        """Keeps its time, which further attempts add to."""
        self._timings.stop(self._keys[job.digest], seconds, complete=False)

    def log_of(self, job: Job) -> Path | None:
        """Returns None: what a stage says passes through."""

    @contextlib.contextmanager
    def own_stage(self, key: str, title: str) -> Iterator[None]:
        """Numbers and times a last stage that the caller does itself."""
        print(f"\n[{self._total}/{self._total}] {title}", flush=True)
        started, complete = time.monotonic(), False
        self._timings.start(key)
        try:
            yield
            complete = True
        finally:
            seconds = time.monotonic() - started
            self._timings.stop(key, seconds, complete=complete)

    def timings(self) -> dict[str, dict[str, Any]]:
        """Returns seconds, attempts and completeness by stage."""
        return self._timings.as_dict()

    def _heading(self, job: Job) -> str:
        return f"[{self._numbers[job.digest]}/{self._total}] {job.title}"


class Timings:
    """Wall time of each stage, kept in timings.json over interruptions.

    A stage that was interrupted counts all its attempts.
    """

    def __init__(self, directory: str | os.PathLike):
        """Reads what earlier attempts left.

        Raises:
            UserError: the file is something else.
        """
        self._directory = Path(directory)
        self._path = self._directory / TIMINGS
        self._stages: dict[str, dict[str, Any]] = {}
        if self._path.exists():
            self._stages = _read(self._path)

    def require_same(self, stage: str, digest: str) -> None:
        """Raises a UserError where another command made a stage's output."""
        if self._stages.get(stage, {}).get("digest") != digest:
            raise UserError(
                f"{self._directory}: expected outputs of these commands, found "
                f"that another version of this program made that of "
                f"{stage!r}; remove the directory, or name another"
            )

    def start(self, stage: str, digest: str = "") -> None:
        """Counts an attempt."""
        entry = self._stages.setdefault(
            stage, {"seconds": 0.0, "attempts": 0, "complete": False}
        )
        # Written at once: an attempt that is killed has happened as well.
        entry.update(attempts=entry["attempts"] + 1, digest=digest)
        self._write()

    def stop(self, stage: str, seconds: float, *, complete: bool) -> None:
        """Adds the time of an attempt."""
        entry = self._stages[stage]
        seconds = round(entry["seconds"] + seconds, 2)
        entry.update(seconds=seconds, complete=complete)
        self._write()

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Returns seconds, attempts and completeness by stage."""
        return {
            name: {key: entry[key] for key in entry if key != "digest"}
            for name, entry in self._stages.items()
        }

    def _write(self) -> None:
        text = json.dumps({"stages": self._stages}, indent=1) + "\n"
        runs.write_atomically(self._path, text)


_STAGE = {
    "seconds": float,
    "attempts": int,
    "complete": bool,
    "digest": Maybe(str),
}


def _read(path: Path) -> dict[str, dict[str, Any]]:
    found = read_json(path, "the timings of a demo", {"stages": {str: _STAGE}})
    return found["stages"]


def _shown(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
