"""A folder of this machine and the folder of a store that it is copied to.

A program works in the folder here, with locks and renames. What it finished is
put into the store in the order in which it was written, so that what refers to
a file (a checkpoint's state, `config.json`) never comes before it: whenever a
machine is lost, the store holds a state from which the program goes on.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kliep_tf.stores import lease
from kliep_tf.stores.folders import Folder

_LOCK = ".lock"
_PARTIAL = ".partial"
# TensorFlow's, of checkpoints that are being written.
_TEMPORARY_FOLDER = "_temp"
_TEMPORARY_STATE = "checkpoint.tmp"


class _State(NamedTuple):
    """By which a file is known not to have changed."""

    size: int
    modified: int


class Mirror:
    """Brings a folder's files here, and takes what has changed back."""

    def __init__(self, store: Folder, folder: Path):
        """Copies nothing yet.

        Args:
            store: the folder of a store.
            folder: of this machine; nothing is there yet.
        """
        self._store, self._folder = store, folder
        self._stored: dict[str, _State] = {}

    def pull(self) -> int:
        """Copies all files here and returns their number.

        An address of one file becomes a file in place of the folder.

        Raises:
            OSError: the store cannot be read.
        """
        names = [name for name in self._store.names() if _is_whole(name)]
        for name in names:
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            self._store.get(name, str(path))
            self._stored[name] = _state_of(path)
        if not names and self._store.is_file():
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            self._store.get("", str(self._folder))
        return len(names)

    def push(self, *, at_rest: bool = True) -> int:
        """Puts what is new or has changed, and returns the number of files.

        Args:
            at_rest: whether nobody writes here now. Otherwise what was written
                since the call began is left to the next one.

        Raises:
            OSError: the store cannot be written.
        """
        begin = time.time_ns()
        found = dict(self._scan())
        changed = sorted(
            (state.modified, name)
            for name, state in found.items()
            if state != self._stored.get(name)
            and (at_rest or state.modified < begin)
        )
        put = 0
        for _, name in changed:
            try:
                self._store.put(str(self._folder / name), name)
            except FileNotFoundError:
                if (self._folder / name).exists():
                    raise
                continue  # removed in the meantime, as old checkpoints are
            self._stored[name] = found[name]
            put += 1
        for name in self._stored.keys() - found.keys():
            self._store.remove(name)
            del self._stored[name]
        return put

    def _scan(self) -> Iterator[tuple[str, _State]]:
        for parent, folders, names in os.walk(self._folder):
            folders[:] = filter(_is_whole, folders)
            for name in filter(_is_whole, names):
                path = Path(parent, name)
                try:
                    state = _state_of(path)
                except FileNotFoundError:
                    continue
                yield str(path.relative_to(self._folder)), state


def _is_whole(name: str) -> bool:
    """Whether a file is part of an output; some only help to make it."""
    *folders, last = name.split("/")
    return not (
        last in (_LOCK, lease.FILE)
        or (last.startswith(".") and last.endswith(_PARTIAL))
        or last.startswith(_TEMPORARY_STATE)
        or any(part.endswith(_TEMPORARY_FOLDER) for part in (*folders, last))
    )


def _state_of(path: Path) -> _State:
    status = path.stat()
    return _State(status.st_size, status.st_mtime_ns)
