"""Programs run one after the other, as a user would type them, and timed."""

import dataclasses
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kliep_tf import runs
from kliep_tf.errors import UserError
from kliep_tf.experiments.running import processes

TIMINGS = "timings.json"


@dataclasses.dataclass(frozen=True)
class Stage:
    """One program and its flags.

    Attributes:
        name: short and unique, the key in timings.json.
        title: what it does, for people.
        module: what `python -m` runs.
        arguments: its command line, without the program.
    """

    name: str
    title: str
    module: str
    arguments: tuple[str, ...]

    @property
    def command(self) -> list[str]:
        """The words of the whole command."""
        return [sys.executable, "-m", self.module, *self.arguments]


class Timings:
    """Wall time of each stage, kept in timings.json over interruptions.

    A stage that was interrupted counts all its attempts; one that is complete
    keeps its time when it runs again only to say "already done".
    """

    def __init__(self, directory: str | os.PathLike):
        """Reads what earlier attempts left.

        Raises:
            UserError: the file is something else.
        """
        self._path = Path(directory) / TIMINGS
        self._stages: dict[str, dict[str, Any]] = {}
        if self._path.exists():
            self._stages = _read(self._path)

    def start(self, stage: str) -> float:
        """Returns when an attempt begins, for `stop`."""
        entry = self._stages.setdefault(
            stage, {"seconds": 0.0, "attempts": 0, "complete": False}
        )
        if not entry["complete"]:
            # Written at once: an attempt that is killed has happened as well.
            entry["attempts"] += 1
            self._write()
        return time.monotonic()

    def stop(self, stage: str, started: float, *, complete: bool) -> None:
        """Adds the time of an attempt."""
        entry = self._stages[stage]
        if not entry["complete"]:
            seconds = entry["seconds"] + time.monotonic() - started
            entry.update(seconds=round(seconds, 2), complete=complete)
            self._write()

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Returns seconds, attempts and completeness by stage."""
        return {name: dict(entry) for name, entry in self._stages.items()}

    def _write(self) -> None:
        text = json.dumps({"stages": self._stages}, indent=1) + "\n"
        runs.write_atomically(self._path, text)


def run_stages(stages: Sequence[Stage], timings: Timings, total: int) -> None:
    """Runs the programs in order; their output passes through.

    Args:
        stages: what to run.
        timings: where each one's wall time goes.
        total: of stages, those included that the caller does itself.

    Raises:
        UserError: a program failed; it has said itself why.
    """
    for number, stage in enumerate(stages, start=1):
        print(f"\n[{number}/{total}] {stage.title}", flush=True)
        print(shlex.join(stage.command), flush=True)
        started, complete = timings.start(stage.name), False
        try:
            status = _run(stage.command)
            complete = status == 0
        finally:
            timings.stop(stage.name, started, complete=complete)
        if status:
            raise UserError(
                f"[{number}/{total}] {stage.title}: {stage.module} ended with "
                f"status {status}; what it said stands above, and the same "
                "command again continues here"
            )


def _run(command: Sequence[str]) -> int:
    """Returns the exit status of a program; Ctrl-C waits until it has saved."""
    process = processes.start(command)
    try:
        return process.wait()
    finally:
        processes.stop(process)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        return json.loads(path.read_text())["stages"]
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{path}: expected the timings of a demo, found something else"
        ) from None
