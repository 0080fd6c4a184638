"""The parts of the soak: each makes one kind of fault, many times.

A part yields a Finding a case. What is done once is not done again: the runner
keeps findings by their names.
"""

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tests.faults import children
from tests.faults.programs import Program
from tests.faults.world import World, digest, leftovers

_DISK_SIZES = ("16k", "100k", "600k")
_LARGE_DISK = "256m"


@dataclasses.dataclass(frozen=True)
class Finding:
    """What happened in one case.

    Attributes:
        case: its name, unique in its part.
        count: of faults made.
        complaint: what went wrong, "" for nothing.
        outcome: in a word or two, for the table.
    """

    case: str
    count: int = 1
    complaint: str = ""
    outcome: str = ""


# Makes one case; called only if the case was not done before.
Case = tuple[str, Callable[[], Finding]]


@dataclasses.dataclass
class Soak:
    """What all parts share: the world, the programs, and how much to do."""

    world: World
    programs: list[Program]
    scale: float
    scratch: Path

    def times(self, number: int) -> int:
        """Returns a number of repetitions, one at least."""
        return max(1, round(number * self.scale))

    def undisturbed(self, program: Program) -> tuple[dict[str, str], int]:
        """Returns the digest of a run without a fault, and its operations."""
        if program.name not in self._undisturbed:
            # Not where faults are made: a case may ask for this at its end.
            output = str(self.scratch / "undisturbed" / program.name)
            shutil.rmtree(output, ignore_errors=True)
            outcome = children.run(
                program.module, program.flags(output), watched=output
            )
            if outcome.status:
                raise RuntimeError(f"{program.name}: {outcome.output[-3000:]}")
            found = (digest(output), outcome.operations, outcome.seconds)
            self._undisturbed[program.name] = found
            shutil.rmtree(output)
        return self._undisturbed[program.name][:2]

    def seconds(self, program: Program) -> float:
        """Returns how long a run without a fault takes."""
        self.undisturbed(program)
        return self._undisturbed[program.name][2]

    def output(self, program: Program) -> str:
        """Returns a fresh output directory; of one name, which files hold."""
        path = self.scratch / program.name
        shutil.rmtree(path, ignore_errors=True)
        return str(path)

    def finish(self, program: Program, output: str) -> str:
        """Gives the same command again; returns what is wrong, or ""."""
        outcome = children.run(program.module, program.flags(output))
        if outcome.status:
            last = outcome.output.strip().splitlines()[-1:]
            return f"does not continue, status {outcome.status}: {last}"
        return self.compare(program, output)

    def compare(self, program: Program, output: str) -> str:
        """Returns what of a finished output is wrong, or ""."""
        left = leftovers(output)
        if left:
            return f"leaves {', '.join(left)}"
        expected, found = self.undisturbed(program)[0], digest(output)
        for name in expected.keys() | found.keys():
            if expected.get(name) != found.get(name):
                was = "changed" if name in found else "missing"
                was = was if name in expected else "too much"
                return f"{name} is {was}, compared with an undisturbed run"
        return ""

    def __post_init__(self) -> None:
        self._undisturbed: dict[str, tuple[dict[str, str], int, float]] = {}


def kill(soak: Soak) -> Iterator[Case]:
    """SIGKILL before a file operation, then the same command again."""
    for program in soak.programs:
        _, operations = soak.undisturbed(program)
        count = min(operations, soak.times(program.max_kills))
        places = np.unique(np.linspace(0, operations - 1, count).astype(int))
        for place in places.tolist():
            yield (
                f"{program.name}, operation {place} of {operations}",
                lambda p=program, at=place: _killed(soak, p, at),
            )


def _killed(soak: Soak, program: Program, place: int) -> Finding:
    output = soak.output(program)
    outcome = children.run(
        program.module, program.flags(output), watched=output, kill_at=place
    )
    if outcome.status == 0:
        # A process makes an operation more or less, as its threads come.
        return Finding("", 1, soak.finish(program, output), "was faster, equal")
    if outcome.status != -signal.SIGKILL:
        return Finding("", 1, f"was not killed: status {outcome.status}")
    return Finding("", 1, soak.finish(program, output), "continued, equal")


def signals(soak: Soak) -> Iterator[Case]:
    """SIGKILL, SIGTERM or Ctrl-C at a random time, then the same command."""
    rng = np.random.default_rng(0)
    for program in soak.programs:
        for number in range(soak.times(2)):
            for kind in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
                share = float(rng.uniform(0.05, 0.95))
                yield (
                    f"{program.name}, {kind.name} {number}",
                    lambda p=program, k=kind, s=share: _signalled(
                        soak, p, k, s
                    ),
                )


def _signalled(
    soak: Soak, program: Program, kind: signal.Signals, share: float
) -> Finding:
    output = soak.output(program)
    wait = share * soak.seconds(program)
    child = children.start(program.module, program.flags(output))
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(["sleep", str(wait)], timeout=wait + 5, check=False)
    child.kill(kind)
    outcome = child.wait()
    expected = {
        signal.SIGKILL: (-9, 0),
        signal.SIGTERM: (143, 0),
        signal.SIGINT: (130, 0),
    }[kind]
    if outcome.status not in expected:
        last = outcome.output.strip().splitlines()[-1:]
        return Finding("", 1, f"status {outcome.status}: {last}")
    return Finding("", 1, soak.finish(program, output), "continued, equal")


def together(soak: Soak) -> Iterator[Case]:
    """Two processes on one directory at once."""
    for program in soak.programs:
        for number in range(soak.times(1)):
            yield (
                f"{program.name}, pair {number}",
                lambda p=program: _together(soak, p),
            )


def _together(soak: Soak, program: Program) -> Finding:
    output = soak.output(program)
    pair = [
        children.start(program.module, program.flags(output)) for _ in range(2)
    ]
    outcomes = [child.wait() for child in pair]
    for outcome in outcomes:
        if outcome.complaint or outcome.status not in (0, 74):
            last = outcome.complaint or outcome.error
            return Finding("", 1, f"status {outcome.status}: {last}")
    if all(outcome.status for outcome in outcomes):
        return Finding("", 1, "neither did the work")
    return Finding("", 1, soak.compare(program, output), "one did the work")


def disks(soak: Soak) -> Iterator[Case]:
    """Disks that fill, then have room; finished work on a read-only one."""
    for program in soak.programs:
        for size in _DISK_SIZES[: soak.times(len(_DISK_SIZES))]:
            yield (
                f"{program.name}, disk of {size}",
                lambda p=program, s=size: _on_disk(soak, p, s),
            )
        yield (
            f"{program.name}, read-only",
            lambda p=program: _on_disk(soak, p, "ro"),
        )


def _on_disk(soak: Soak, program: Program, size: str) -> Finding:
    mount = tempfile.mkdtemp(prefix="soak_disk_")
    read_only = size == "ro"
    options = f"size={_LARGE_DISK if read_only else size}"
    done = _mount("-t", "tmpfs", "-o", options, "tmpfs", mount)
    if done:
        os.rmdir(mount)
        return Finding("", 0, "", f"skipped: {done}")
    output = os.path.join(mount, program.name)
    try:
        first = children.run(program.module, program.flags(output))
        if first.complaint:
            return Finding("", 1, first.complaint)
        _mount(
            "-o",
            f"remount,{'ro' if read_only else 'size=' + _LARGE_DISK}",
            mount,
        )
        if read_only:
            again = children.run(program.module, program.flags(output))
            if again.status:
                return Finding("", 1, f"finished, then: {again.output[-300:]}")
            return Finding("", 1, "", "says that it is done")
        complaint = soak.finish(program, output)
        ended = "fitted" if first.status == 0 else "one line, then continued"
        return Finding("", int(first.status != 0), complaint, ended)
    finally:
        subprocess.run(["umount", mount], check=False)
        os.rmdir(mount)


def _mount(*arguments: str) -> str:
    """Mounts; returns why not, "" if it did."""
    try:
        done = subprocess.run(
            ["mount", *arguments], capture_output=True, text=True, check=False
        )
    except OSError as error:
        return str(error)
    return done.stderr.strip() if done.returncode else ""
