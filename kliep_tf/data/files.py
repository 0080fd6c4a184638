"""Reads files of this machine, and of object stores by TensorFlow.

Only where a path has a scheme, such as `gs://`, is TensorFlow imported and
asked: it is slower to open a file, and workers do without it.
"""

import contextlib
import glob
import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from kliep_tf.stores.addresses import scheme_of
from kliep_tf.stores.folders import (
    open_folder,
    status_in_store,
    tensorflow_files,
)


class Status(NamedTuple):
    """What is known of a file without reading it.

    Attributes:
        size: in bytes.
        modified: nanoseconds since 1970.
    """

    size: int
    modified: int


def is_address(path: str | os.PathLike) -> bool:
    """Whether a path leads into an object store."""
    return bool(scheme_of(path))


@contextlib.contextmanager
def reading(
    path: str | os.PathLike, *, buffering: int = -1
) -> Iterator[BinaryIO]:
    """Opens a file to be read at any offset: `with reading(path) as file:`.

    Args:
        path: of the file.
        buffering: of Python's `open`; object stores have buffers of their own.

    Raises:
        OSError: it is not there or cannot be read.
    """
    if not is_address(path):
        with open(path, "rb", buffering=buffering) as file:
            yield file
        return
    with tensorflow_files() as gfile, gfile.GFile(path, "rb") as stored:
        yield stored


def status(path: str | os.PathLike) -> Status:
    """Returns a file's size and time.

    Raises:
        OSError: there is none.
    """
    if not is_address(path):
        found = os.stat(path)
        return Status(found.st_size, found.st_mtime_ns)
    with tensorflow_files() as gfile:
        stored = gfile.stat(path)
        return Status(stored.length, stored.mtime_nsec)


def is_folder(path: str | os.PathLike) -> bool:
    """Whether a folder of that name is there."""
    if not is_address(path):
        return os.path.isdir(path)
    found = status_in_store(path)
    return found is not None and found.is_directory


def is_file(path: str | os.PathLike) -> bool:
    """Whether a file of that name is there."""
    if not is_address(path):
        return os.path.isfile(path)
    return open_folder(os.fspath(path)).is_file()


def find(pattern: str) -> list[str]:
    """Returns the files that match a glob, or have exactly that name."""
    if not is_address(pattern):
        # A name such as "a[1].tfrecord" is a glob that does not match itself.
        exact = os.path.isfile(pattern)
        found = glob.glob(glob.escape(pattern) if exact else pattern)
        return sorted(path for path in found if os.path.isfile(path))
    with tensorflow_files() as gfile:
        return sorted(
            path for path in gfile.glob(pattern) if not gfile.isdir(path)
        )


def files_in(folder: str, pattern: str) -> list[str]:
    """Returns the files in a folder whose names match a glob."""
    if not is_address(folder):
        return find(os.path.join(glob.escape(folder), pattern))
    return find(os.path.join(folder, pattern))


def files_under(folder: str | os.PathLike) -> list[str]:
    """Returns all files of a folder and its folders; none if there is none."""
    folder = os.fspath(folder)
    if not is_address(folder):
        paths = (
            os.path.join(parent, name)
            for parent, _, names in os.walk(folder)
            for name in names
        )
        return [*filter(os.path.isfile, paths)]  # a link to nothing is none
    names = open_folder(folder.rstrip("/")).names()
    return [os.path.join(folder, name) for name in names]
