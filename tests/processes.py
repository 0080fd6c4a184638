"""Processes for tests, which begin with TensorFlow imported.

The imports take three to five CPU seconds, those of this library one of them.
One process of a session therefore does them, runs nothing (TensorFlow does not
survive a fork once it ran), and forks for each process that a test asks for;
the processes of pytest-xdist share it.
What `python` is given is run as `python` does, exit status, signals and both
outputs included. Only what is about the start itself needs a new interpreter:
see tests/test_startup.py.
"""

import atexit
import dataclasses
import gc
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import types
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import NoReturn

_ROOT = Path(__file__).resolve().parent.parent
# Against a hang, with room for a machine that does other things too.
_PATIENCE = 600.0
_ADDRESS = "KLIEP_TF_TEST_PROCESSES"
# Half a million objects of libraries stay: to look for garbage among them after
# every 700 new ones takes one second in twenty.
GARBAGE_THRESHOLDS = (50_000, 20, 20)


class Process:
    """A running process; what it offers is what `subprocess.Popen` does."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str]):
        """Starts `python words...` with more environment variables."""
        self.returncode: int | None = None
        self._outputs = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        fds = [output.fileno() for output in self._outputs]
        self._server = _server()
        self.pid = self._server.fork([str(w) for w in words], dict(env), fds)

    def poll(self) -> int | None:
        """Returns the exit status, negative for a signal, or None."""
        if self.returncode is None:
            self.returncode = self._server.reap(self.pid)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def communicate(self, timeout: float = _PATIENCE) -> tuple[str, str]:
        """Waits for the end and returns stdout and stderr."""
        limit = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > limit:
                os.kill(self.pid, signal.SIGKILL)
                raise TimeoutError(f"a process took more than {timeout} s")
            time.sleep(0.01)
        texts = []
        for output in self._outputs:
            output.seek(0)
            texts.append(output.read().decode(errors="replace"))
            output.close()
        return texts[0], texts[1]


def start(words: Sequence[str], **env: str) -> Process:
    """Starts `python words...`, which are -m or -c and what follows.

    Args:
        words: such as ["-m", "kliep_tf.train", "--seed=1"].
        **env: environment variables beside those of this process.
    """
    return Process(words, env)


def run(words: Sequence[str], **env: str) -> subprocess.CompletedProcess:
    """Runs `python words...` to its end; see `start`."""
    process = start(words, **env)
    stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(
        words, process.returncode, stdout, stderr
    )


def cpu_seconds() -> float:
    """Returns the user and system time of all processes that have ended."""
    return _spent[0]


def share() -> None:
    """Starts the process that forks, for those that this one starts, too."""
    os.environ[_ADDRESS] = _server().address


def stop() -> None:
    """Hangs up; the process that forks ends when nobody is left."""
    if _running:
        _running.pop().stop()


_running: list["_Server"] = []
_spent = [0.0]


def _server() -> "_Server":
    if not _running:
        _running.append(_Server(os.environ.get(_ADDRESS)))
    return _running[0]


class _Server:
    """The process that forks, seen from the tests."""

    def __init__(self, address: str | None):
        """Connects to the one at `address`, or starts it."""
        self._process: subprocess.Popen | None = None
        if address is None:
            directory = tempfile.mkdtemp()
            atexit.register(shutil.rmtree, directory, ignore_errors=True)
            address = f"{directory}/socket"
            with socket.create_server(address, family=socket.AF_UNIX) as door:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", __name__, str(door.fileno())],
                    cwd=_ROOT,
                    pass_fds=[door.fileno()],
                )
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(address)
        self._connection = Connection(os.dup(self._socket.fileno()))

    def fork(self, words, env, fds) -> int:
        """Returns the number of a new process."""
        self._connection.send(_Start(words, env))
        socket.send_fds(self._socket, [b"."], fds)
        return self._connection.recv()

    def reap(self, pid: int) -> int | None:
        """Returns the exit status of a process, or None if it still runs."""
        self._connection.send(pid)
        status, seconds = self._connection.recv()
        _spent[0] += seconds
        return status

    def stop(self) -> None:
        self._connection.close()
        self._socket.close()
        if self._process is not None:
            self._process.wait()


@dataclasses.dataclass(frozen=True)
class _Start:
    words: list[str]
    env: dict[str, str]


def _serve(fd: int) -> None:
    """Does as the tests ask, until all of them have hung up."""
    from kliep_tf import cli  # noqa: F401  # before TensorFlow

    # isort: split
    import keras  # noqa: F401
    import tensorflow  # noqa: F401

    import kliep_tf.translation.training_run  # noqa: F401

    # No process looks through what is imported here.
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    gc.freeze()
    door = socket.socket(fileno=fd)
    channels: dict[Connection, socket.socket] = {}
    # Whoever started this process is the first, and the last to hang up.
    while True:
        for ready in wait([door, *channels]):
            if ready is door:
                channel, _ = door.accept()
                channels[Connection(os.dup(channel.fileno()))] = channel
                continue
            try:
                _answer(ready, channels, door)
            except EOFError:
                ready.close()
                channels.pop(ready).close()
        if not channels:
            return


def _answer(
    connection: Connection,
    channels: Mapping[Connection, socket.socket],
    door: socket.socket,
) -> None:
    """Forks, or tells how a process ended; raises EOFError at the end."""
    request = connection.recv()
    if isinstance(request, int):
        connection.send(_reap(request))
        return
    _, fds, _, _ = socket.recv_fds(channels[connection], 1, 2)
    pid = os.fork()
    if not pid:
        for one in (door, *channels, *channels.values()):
            one.close()
        _become(request, fds)
    for output in fds:
        os.close(output)
    connection.send(pid)


def _reap(pid: int) -> tuple[int | None, float]:
    found, status, usage = os.wait4(pid, os.WNOHANG)
    if not found:
        return None, 0.0
    seconds = usage.ru_utime + usage.ru_stime
    return os.waitstatus_to_exitcode(status), seconds


def _become(request: _Start, fds: list[int]) -> NoReturn:
    """Runs what `python` would, and ends."""
    for number, output in enumerate(fds, 1):
        os.dup2(output, number)
        os.close(output)
    os.environ.update(request.env)
    status = 0
    try:
        _run(*request.words)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else bool(end.code)
    except BaseException:
        traceback.print_exc()
        status = 1
    # All but the interpreter's own end, which takes half a second to free what
    # the parent has imported.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(status))


def _run(kind: str, what: str, *arguments: str) -> None:
    if kind == "-m":
        sys.argv = [what, *arguments]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
        return
    sys.argv = [kind, *arguments]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    exec(compile(what, "<string>", "exec"), main.__dict__)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
