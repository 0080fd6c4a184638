"""A folder of this machine and the folder of a store that it is copied to.

A program works in the folder here, with locks and renames. What it finished is
put into the store in the order in which it was written, so that what refers to
a file (a checkpoint's state, `config.json`) never comes before it: whenever a
machine is lost, the store holds a state from which the program goes on.
"""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from kliep_tf.stores import lease
from kliep_tf.stores.folders import Folder

_LOCK = ".lock"
_GRAPH = "saved_model.pb"
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
        self.stopped = threading.Event()  # once set, nothing is put

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
        if self._stored and not self._folder.is_dir():
            raise FileNotFoundError(f"{self._folder} is gone")
        found = dict(self._scan())
        changed = [
            name
            for name, state in found.items()
            if state != self._stored.get(name)
        ]
        # A SavedModel of old and new files would look whole.
        for name in changed:
            if _is_graph(name) and name in self._stored:
                self._store.remove(name)
                del self._stored[name]
        put = 0
        for name in sorted(changed, key=_order(found)):
            state = found[name]
            if not at_rest and state.modified >= begin:
                return put
            if self._put(name, state):
                put += 1
            elif not at_rest:
                return put  # what comes later may tell of what it is now
        for name in self._stored.keys() - found.keys():
            self._store.remove(name)
            del self._stored[name]
        return put

    def _put(self, name: str, state: _State) -> bool:
        """Puts a file as it was when it had that state, False if it has none.

        Through a link of its own: in the meantime another file may be renamed
        to its name, such as the next `config.json`.
        """
        if self.stopped.is_set():
            raise InterruptedError(f"{name} is not written")
        with tempfile.TemporaryDirectory(dir=self._folder.parent) as folder:
            link = Path(folder) / "file"
            try:
                os.link(self._folder / name, link)
            except FileNotFoundError:
                return False  # removed, as old checkpoints are
            if _state_of(link) != state:
                return False
            self._store.put(str(link), name)
        self._stored[name] = state
        return True

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


def _is_graph(name: str) -> bool:
    return os.path.basename(name) == _GRAPH


def _order(
    found: Mapping[str, _State],
) -> Callable[[str], tuple[int, bool, str]]:
    """Returns the key of a name by which files are put: as they were written.

    A SavedModel's graph, without which it is none, comes after all of it.
    """

    def key(name: str) -> tuple[int, bool, str]:
        modified = found[name].modified
        if _is_graph(name):
            folder = name.removesuffix(_GRAPH)
            modified = max(
                state.modified
                for other, state in found.items()
                if other.startswith(folder)
            )
        return modified, _is_graph(name), name

    return key


def _state_of(path: Path) -> _State:
    status = path.stat()
    return _State(status.st_size, status.st_mtime_ns)
