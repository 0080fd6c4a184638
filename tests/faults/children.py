"""Programs run in forked processes, ended at a chosen moment.

The parent has imported TensorFlow and has run nothing of it: a child starts in
milliseconds. A program runs in it as `python -m` runs it.
"""

import contextlib
import dataclasses
import os
import re
import runpy
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_AUDITED = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")
# A machine that has other work takes ten times as long.
_SECONDS_FOR_A_CASE = 1800.0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a program ended.

    Attributes:
        status: its exit status; negative for a signal, as subprocess has it.
        output: what it printed.
        operations: how many times it opened, renamed or removed a file under
            the directory that was watched.
        seconds: wall time.
    """

    status: int
    output: str
    operations: int
    seconds: float

    @property
    def error(self) -> str:
        """The line that begins with "error: ", "" without one."""
        found = re.findall(r"^error: (.*)$", self.output, re.MULTILINE)
        return found[-1] if found else ""

    @property
    def complaint(self) -> str:
        """Why this is no orderly end, "" if it is one."""
        if "Traceback (most recent" in self.output:
            return f"a traceback, {self.output.strip().splitlines()[-1]}"
        if "{{function_node" in self.error:
            return f"TensorFlow's notes in the message: {self.error}"
        if self.status and not self.error:
            return f"status {self.status} without a line"
        if self.status not in (0, 1, 65, 74, 130, 143):
            return f"status {self.status}: {self.error}"
        return ""


class Child:
    """A program that runs."""

    def __init__(self, pid: int, output: str, counter: str):
        self._pid, self._output, self._counter = pid, output, counter
        self._begin = time.monotonic()

    def kill(self, number: int) -> None:
        """Sends a signal, if the program still runs."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)

    def wait(self, seconds: float = _SECONDS_FOR_A_CASE) -> Outcome:
        """Returns how it ended; one that takes longer is killed."""
        limit = self._begin + seconds
        late = ""
        while True:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > limit:
                os.kill(self._pid, signal.SIGKILL)
                late = f"\nkilled after {seconds:.0f} seconds\n"
            time.sleep(0.01)
        seconds = time.monotonic() - self._begin
        text = Path(self._output).read_text(errors="replace") + late
        operations = os.path.getsize(self._counter)
        os.unlink(self._output)
        os.unlink(self._counter)
        return Outcome(
            os.waitstatus_to_exitcode(status), text, operations, seconds
        )

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._pid


def start(
    module: str,
    arguments: Sequence[str],
    watched: str = "",
    kill_at: int | None = None,
) -> Child:
    """Starts a program.

    Args:
        module: that `python -m` runs.
        arguments: its command line.
        watched: the directory whose file operations are counted.
        kill_at: SIGKILL before the operation of this number, from 0.
    """

    def run() -> None:
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)

    return start_function(run, watched, kill_at)


def start_function(
    function: Callable[[], None], watched: str = "", kill_at: int | None = None
) -> Child:
    """Starts a function in a forked process; see `start`."""
    output, output_path = tempfile.mkstemp(prefix="soak_output_")
    counter, counter_path = tempfile.mkstemp(prefix="soak_count_")
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _be_child(function, output, counter, watched, kill_at)
    os.close(output)
    os.close(counter)
    return Child(pid, output_path, counter_path)


def run(module: str, arguments: Sequence[str], **options) -> Outcome:
    """Runs a program to its end; the options are those of `start`."""
    return start(module, arguments, **options).wait()


def _be_child(
    function: Callable[[], None],
    output: int,
    counter: int,
    watched: str,
    kill_at: int | None,
) -> None:
    status = 70
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if watched:
            sys.addaudithook(_hook(os.path.realpath(watched), counter, kill_at))
        function()
        status = 0
    except KeyboardInterrupt:
        # Before the program began: what Python does with the hook of its own.
        print("error: interrupted before it began", file=sys.stderr)
        status = 130
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else bool(end.code)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(int(status))


def _hook(
    watched: str, counter: int, kill_at: int | None
) -> Callable[[str, tuple], None]:
    """Returns an audit hook that counts file operations, and kills at one."""
    done = 0

    def hook(event: str, arguments: tuple) -> None:
        nonlocal done
        if event == "open":
            path, _, flags = arguments
            if not (isinstance(flags, int) and flags & _WRITES):
                return
        elif event in _AUDITED:
            path = arguments[0]
        else:
            return
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, str) or not path.startswith(watched):
            return
        if done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        done += 1
        os.write(counter, b".")

    return hook
