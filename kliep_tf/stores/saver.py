"""Puts outputs into their stores: every minute, and at the end."""

import contextlib
import dataclasses
import shutil
import signal
import sys
import tempfile
import threading
import types
from collections.abc import Callable
from pathlib import Path

from kliep_tf import errors
from kliep_tf.errors import RefusedError
from kliep_tf.stores.lease import Lease
from kliep_tf.stores.mirror import Mirror

_SECONDS = 60.0
_KEPT_PREFIX = "kliep_tf_unsaved_"


@dataclasses.dataclass(frozen=True)
class Output:
    """A folder here, where it goes, and the right to write there."""

    address: str
    folder: Path
    mirror: Mirror
    lease: Lease


class Saver:
    """Keeps the stores of outputs up to date while a program works.

    Use as a context manager: at its end everything is put, whatever ends it,
    and the leases are given back.
    """

    def __init__(self) -> None:
        """Saves nothing yet."""
        self._outputs: list[Output] = []
        self._ended = threading.Event()
        # Two: a file may take longer to be put than a lease holds.
        self._threads = [
            threading.Thread(target=self._repeat, args=(do,), daemon=True)
            for do in (self._renew, self._push)
        ]

    def __enter__(self) -> "Saver":
        self._threads[0].start()
        return self

    def take(self, output: Output) -> None:
        """Takes the lease of an output, which is saved once all `begin`.

        Raises:
            RefusedError: another process has it.
        """
        output.lease.take()
        self._outputs.append(output)

    def begin(self) -> None:
        """Begins to put what is finished."""
        self._threads[1].start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self._ended.set()
        lost = []
        try:
            for thread in self._threads:
                if thread.is_alive():
                    thread.join()
        except KeyboardInterrupt:  # by who does not want to wait
            for output in self._outputs:
                output.mirror.stopped.set()
        for output in self._outputs:
            if reason := _end(output):
                lost.append(reason)
        if lost:
            raise RefusedError("; ".join(lost)) from error

    def _renew(self, output: Output) -> None:
        try:
            output.lease.renew()
        except RefusedError:  # told at the end, which is now
            if not self._ended.is_set():
                self._ended.set()
                _interrupt()

    def _push(self, output: Output) -> None:
        output.mirror.push(at_rest=False)

    def _repeat(self, do: Callable[[Output], None]) -> None:
        while not self._ended.wait(_SECONDS):
            for output in tuple(self._outputs):
                try:
                    do(output)
                except Exception as error:
                    print(
                        f"{output.address}: not written: {error}; tried again "
                        f"in {_SECONDS:.0f} s",
                        file=sys.stderr,
                        flush=True,
                    )


def _interrupt() -> None:
    """Ends the program as Ctrl-C does, or as SIGTERM where that is ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if callable(signal.getsignal(number)):
            # Unlike `interrupt_main`, it wakes what waits.
            main = threading.main_thread().ident
            signal.pthread_kill(main, number)  # type: ignore[arg-type]
            return


def _end(output: Output) -> str:
    """Puts what is left; returns what is to be said of a failure, or ""."""
    try:
        output.lease.renew()
        put = output.mirror.push()
    except Exception as reason:
        return _lost(output, errors.reason_of(reason))
    except KeyboardInterrupt:
        return _lost(output, "interrupted before it was written")
    finally:
        with contextlib.suppress(OSError):  # it ends by itself
            output.lease.leave()
    if put:
        print(f"{output.address}: {put} files put there", flush=True)
    return ""


def _lost(output: Output, reason: str) -> str:
    """Returns why an output is not stored, and where it is left instead."""
    named = output.address in reason
    message = reason if named else f"{output.address}: {reason}"
    if not output.folder.exists():
        return message
    # To where it is not swept.
    kept = tempfile.mkdtemp(prefix=_KEPT_PREFIX)
    kept = shutil.move(str(output.folder), kept)
    return f"{message}; what this process has made is in {kept}"
