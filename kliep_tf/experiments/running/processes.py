"""Programs as child processes that hear Ctrl-C once, and end with us.

A child has a session of its own: the Ctrl-C of a terminal reaches it through
`stop` alone, once, and it has the time it needs to save. Where the system can
(Linux), it hears the same when this process is killed: left alone it would
work on, and the same command again would find its output in use.
"""

import ctypes
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of linux/prctl.h
# Loaded here: between fork and exec nothing may wait for a lock.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def start(command: Sequence[str], **options: Any) -> subprocess.Popen:
    """Starts a program; `options` are those of Popen."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_prepare,
        **options,
    )


def stop(*running: subprocess.Popen) -> None:
    """Asks programs for an end as Ctrl-C does, and waits for it."""
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    for process in running:
        process.wait()


def _prepare() -> None:
    # A shell's `&` makes a command ignore SIGINT, and all that it starts.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if _LIBC is not None:
        _LIBC.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGINT, 0, 0, 0)
