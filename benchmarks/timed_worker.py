"""A process that does one thing when told to, and says how long it took.

Several of them, told in turn, share whatever else the machine is doing: ratios
between them hold where seconds do not. Needs the standard library alone.
"""

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


def timed(function: Callable[[], object]) -> dict[str, float]:
    """Returns the seconds of one call: wall clock, and CPU of all threads."""
    begin, cpu = time.perf_counter(), time.process_time()
    function()
    return {
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": time.process_time() - cpu,
    }


def serve(**functions: Callable[[], object]) -> None:
    """Calls the function that each line of stdin names; prints its times."""
    # Libraries print to stdout, too: what the parent reads stays apart.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        times = timed(functions[line.strip()])
        answers.write(json.dumps({**times, "peak_mb": peak_mb()}) + "\n")


def peak_mb() -> float:
    """Returns the most memory that this process ever held, in MiB."""
    # On Linux not by getrusage: a process starts with its parent's maximum.
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = re.findall(r"VmHWM:\s*(\d+) kB", status.read_text())
        return int(line) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Worker:
    """The parent's side of a process that runs `serve`."""

    def __init__(self, python: str, script: str, *arguments: object):
        """Starts `python script arguments`."""
        self._process = subprocess.Popen(
            [python, script, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
        )

    def call(self, name: str) -> dict[str, float]:
        """Has the process do `name` once and returns its times."""
        self._process.stdin.write(name + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self._process.args} ended: try it by hand")
        return json.loads(answer)

    def close(self) -> None:
        """Lets the process end."""
        self._process.stdin.close()
        self._process.wait()
