"""Folders of object stores: names, contents, nothing else.

`gs://` is TensorFlow's to read and write; for `s3://` fsspec is asked, by the
extra s3. Neither offers renames or locks that hold between machines: what needs
them is done on a disk (`kliep_tf.stores.mirror`).
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any, Protocol

from kliep_tf.errors import UserError, one_line
from kliep_tf.stores.addresses import (
    FSSPEC_SCHEMES,
    TENSORFLOW_SCHEMES,
    scheme_of,
)


class Folder(Protocol):
    """A folder of a store; names are relative and may have slashes."""

    def names(self) -> list[str]:
        """Returns the files in it and in its folders; none if it is none."""

    def is_file(self) -> bool:
        """Whether the address is that of a file."""

    def get(self, name: str, path: str) -> None:
        """Copies a file of the folder to a path of this machine."""

    def put(self, path: str, name: str) -> None:
        """Copies a file of this machine; it is seen whole or not at all."""

    def remove(self, name: str) -> None:
        """Removes a file."""

    def read(self, name: str) -> bytes | None:
        """Returns what a small file holds, None if there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Writes a small file."""


@contextlib.contextmanager
def tensorflow_files() -> Iterator[Any]:
    """Gives `tf.io.gfile`, whose errors become Python's."""
    import tensorflow as tf  # only here: most files lie on a disk

    try:
        yield tf.io.gfile
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(one_line(error.message)) from error
    except tf.errors.OpError as error:
        raise OSError(one_line(error.message)) from error


def status_in_store(address: str | os.PathLike) -> Any:
    """Returns what `tf.io.gfile.stat` does, None of what is not there.

    `gfile.isdir` would say of a store that does not answer that it is empty.
    """
    with contextlib.suppress(FileNotFoundError), tensorflow_files() as gfile:
        return gfile.stat(address)
    return None


def open_folder(address: str) -> Folder:
    """Returns a folder, or the file, of that address; it may be missing.

    Raises:
        UserError: its store is none that is known, or needs a package that is
            not installed.
    """
    scheme = scheme_of(address)
    if scheme in TENSORFLOW_SCHEMES:
        return _TensorFlowFolder(address)
    if scheme in FSSPEC_SCHEMES:
        return _FsspecFolder(address, FSSPEC_SCHEMES[scheme])
    raise UserError(f"{address}: expected an address of gs:// or s3://")


class _TensorFlowFolder:
    """A folder by `tf.io.gfile`."""

    def __init__(self, address: str):
        self._address = address

    def names(self) -> list[str]:
        found = status_in_store(self._address)
        if found is None or not found.is_directory:
            return []
        with tensorflow_files() as gfile:
            return sorted(self._names_in(gfile, ""))

    def _names_in(self, gfile: Any, folder: str) -> Iterator[str]:
        for entry in gfile.listdir(self._of(folder)):
            name = os.path.join(folder, entry.rstrip("/"))
            # A bucket tells folders by the slash at their end.
            is_folder = entry.endswith("/")
            if not is_folder and scheme_of(self._address) == "ram":
                is_folder = status_in_store(self._of(name)).is_directory
            if is_folder:
                yield from self._names_in(gfile, name)
            elif entry:
                yield name

    def is_file(self) -> bool:
        found = status_in_store(self._address)
        return found is not None and not found.is_directory

    def get(self, name: str, path: str) -> None:
        with tensorflow_files() as gfile:
            gfile.copy(self._of(name), path, overwrite=True)

    def put(self, path: str, name: str) -> None:
        with tensorflow_files() as gfile:
            self._make_room(gfile, name)
            gfile.copy(path, self._of(name), overwrite=True)

    def remove(self, name: str) -> None:
        with (
            contextlib.suppress(FileNotFoundError),
            tensorflow_files() as gfile,
        ):
            gfile.remove(self._of(name))

    def read(self, name: str) -> bytes | None:
        with tensorflow_files() as gfile:
            if not gfile.exists(self._of(name)):
                return None
            with gfile.GFile(self._of(name), "rb") as file:
                return file.read()

    def write(self, name: str, content: bytes) -> None:
        with tensorflow_files() as gfile:
            self._make_room(gfile, name)
            with gfile.GFile(self._of(name), "wb") as file:
                file.write(content)

    def _make_room(self, gfile: Any, name: str) -> None:
        """Does what TensorFlow's memory needs: a bucket replaces its files.

        There are folders in it, and it writes behind what a file holds.
        """
        if scheme_of(self._address) != "ram":
            return
        gfile.makedirs(os.path.dirname(self._of(name)))
        if gfile.exists(self._of(name)):
            gfile.remove(self._of(name))

    def _of(self, name: str) -> str:
        return _inside(self._address, name)


class _FsspecFolder:
    """A folder by fsspec."""

    def __init__(self, address: str, package: str):
        try:
            import fsspec.core

            self._system, self._root = fsspec.core.url_to_fs(address)
        except ImportError:
            raise UserError(
                f"{address}: expected the package {package}, found none; "
                "install the extra s3: pip install 'kliep_tf[s3]'"
            ) from None

    def names(self) -> list[str]:
        self._system.invalidate_cache()
        with _fsspec_errors():
            root = self._root.rstrip("/") + "/"
            return sorted(
                path[len(root) :]
                for path in self._system.find(self._root)
                # Consoles leave empty files for folders.
                if path.startswith(root) and not path.endswith("/")
            )

    def is_file(self) -> bool:
        with _fsspec_errors():
            return self._system.isfile(self._root)

    def get(self, name: str, path: str) -> None:
        with _fsspec_errors():
            self._system.get_file(self._of(name), path)

    def put(self, path: str, name: str) -> None:
        with _fsspec_errors():
            self._system.put_file(path, self._of(name))

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError), _fsspec_errors():
            self._system.rm_file(self._of(name))

    def read(self, name: str) -> bytes | None:
        self._system.invalidate_cache()
        with _fsspec_errors():
            try:
                return self._system.cat_file(self._of(name))
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        with _fsspec_errors():
            self._system.pipe_file(self._of(name), content)

    def _of(self, name: str) -> str:
        return _inside(self._root, name)


def _inside(folder: str, name: str) -> str:
    return f"{folder}/{name}" if name else folder


@contextlib.contextmanager
def _fsspec_errors() -> Iterator[None]:
    """Makes what libraries of stores raise an OSError: they agree on none."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(one_line(f"{type(error).__name__}: {error}")) from error
