"""Who writes into a folder of a store, said in a file of the folder.

Stores have no lock that ends with its process. The writer therefore renews its
lease as it goes on, and one that was not renewed for ten minutes has ended.
Two processes that begin in the same seconds are told apart by reading the file
again after a moment; whoever finds another's name in it later stops.
"""

import json
import os
import socket
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kliep_tf.errors import DataError, RefusedError
from kliep_tf.json_files import parse_json
from kliep_tf.stores.folders import Folder

FILE = ".in_use.json"
SECONDS = 600.0
_SECONDS_TO_SETTLE = 2.0
_SCHEMA = {
    "id": str,
    "host": str,
    "machine": str,
    "process": int,
    "renewed": float,
}


class Lease:
    """The right to write into a folder, for as long as it is renewed."""

    def __init__(
        self,
        address: str,
        folder: Folder,
        *,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ):
        """Takes nothing yet.

        Args:
            address: of the folder, for messages.
            folder: where the file lies.
            now: seconds since 1970, by the clocks of all machines.
            sleep: waits for some seconds.
        """
        self._address, self._folder = address, folder
        self._now, self._sleep = now, sleep
        self._id = uuid.uuid4().hex

    def take(self) -> None:
        """Takes the lease.

        Raises:
            RefusedError: another process has it.
        """
        self._refuse_others()
        try:
            self._write()
            self._sleep(_SECONDS_TO_SETTLE)
            self._require_own()
        except KeyboardInterrupt:
            self.leave()
            raise

    def renew(self) -> None:
        """Says that this process goes on.

        Raises:
            RefusedError: another one took the lease in the meantime, and may
                have given it back.
        """
        self._require_own()
        self._write()

    def leave(self) -> None:
        """Gives the lease back, unless another one has it now."""
        if self._read().get("id") == self._id:
            self._folder.remove(FILE)

    def _require_own(self) -> None:
        found = self._read()
        if found.get("id") == self._id:
            return
        if found:
            raise self._in_use(found)
        raise RefusedError(
            f"{self._address}: expected the lease of this process in {FILE}, "
            "found none: another process has been at work there"
        )

    def _refuse_others(self) -> None:
        found = self._read()
        if not found or _has_ended(found):
            return
        if self._now() - found["renewed"] <= SECONDS:
            raise self._in_use(found)

    def _in_use(self, found: dict[str, Any]) -> RefusedError:
        age = self._now() - found["renewed"]
        return RefusedError(
            f"{self._address}: in use by process {found['process']} of "
            f"{found['host']}, seen {max(age, 0):.0f} s ago; if it is gone, "
            f"wait {SECONDS / 60:.0f} minutes or remove "
            f"{self._address}/{FILE}"
        )

    def _read(self) -> dict[str, Any]:
        content = self._folder.read(FILE)
        if content is None:
            return {}
        try:
            return parse_json(content, FILE, "a lease", _SCHEMA)
        except DataError:
            return {}  # nobody's

    def _write(self) -> None:
        text = json.dumps(
            {
                "id": self._id,
                "host": socket.gethostname(),
                "machine": _machine(),
                "process": os.getpid(),
                "renewed": float(self._now()),
            }
        )
        self._folder.write(FILE, text.encode())


def _has_ended(found: dict[str, Any]) -> bool:
    """Whether a lease is of a process of this machine that is no more."""
    if found["machine"] != _machine():
        return False
    try:
        os.kill(found["process"], 0)
    except OSError as error:  # it may be another user's
        return isinstance(error, ProcessLookupError)
    return False


def _machine() -> str:
    """Returns what tells apart machines whose processes have numbers alike.

    Names do not: containers may share that of their host.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no Linux
        return f"{socket.gethostname()} {uuid.getnode()}"
