"""npz files that others may have damaged: read and checked in one place.

Nothing is unpickled. What is wrong with a file is told in one line: the file,
the array, what was expected and what was found.
"""

import dataclasses
import errno
import os
import sys
import zipfile
from collections.abc import Mapping
from typing import BinaryIO, NoReturn

import numpy as np

from kliep_tf.errors import DataError, reason_of

_KINDS = {"number": "biuf", "count": "iu", "text": "U"}
_PLURALS = {"number": "numbers", "count": "whole numbers", "text": "text"}


@dataclasses.dataclass(frozen=True)
class Array:
    """What an array of a file should be.

    Attributes:
        kind: "number", "count" (a whole number of 0 or more) or "text".
        shape: a letter a dimension; the same letter is the same length in all
            arrays of a file. "" is a single value.
        finite: whether NaN and infinity are refused.
    """

    kind: str
    shape: str
    finite: bool = True


def read_npz(
    path: str | os.PathLike,
    expected: str,
    schema: Mapping[str, Array] | None = None,
) -> dict[str, np.ndarray]:
    """Returns the arrays of an npz file by name, those of no schema too.

    Args:
        path: of the file.
        expected: what the file should be, for messages.
        schema: the arrays that it must hold.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is no npz file, is damaged, or holds something else.
    """
    with open(path, "rb") as file:
        try:
            arrays = _read(file)
        except OSError as error:
            if error.errno not in (None, errno.EINVAL):
                # The disk's, which does not say which file.
                raise OSError(
                    error.errno, error.strerror, os.fspath(path)
                ) from error
            _refuse(path, expected, f"a damaged file ({error})")
        except MemoryError:
            _refuse(path, expected, "arrays larger than the memory")
        except Exception as error:
            # Damage, all of it: zipfile, zlib and numpy.lib.format raise some
            # ten kinds, from NotImplementedError to tokenize.TokenError.
            _refuse(path, expected, f"something else ({reason_of(error)})")
    _require(arrays, schema or {}, path, expected)
    return arrays


def _read(file: BinaryIO) -> dict[str, np.ndarray]:
    if not zipfile.is_zipfile(file):
        raise ValueError("no npz file, or cut short")
    file.seek(0)
    with np.load(file, allow_pickle=False) as found:
        names = list(found.files)
        if len(set(names)) < len(names):
            raise ValueError("an array's name twice")
        arrays = {name: found[name] for name in names}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{name} is no array")
    return arrays


def _require(
    arrays: Mapping[str, np.ndarray],
    schema: Mapping[str, Array],
    path: str | os.PathLike,
    expected: str,
) -> None:
    lengths: dict[str, tuple[int, str]] = {}
    for name, wanted in schema.items():
        if name not in arrays:
            names = ", ".join(list(arrays)[:5]) or "none"
            _refuse(path, f"{expected}, with the array {name}", names)
        array = arrays[name]
        what = f"{expected}, {name} of {_described(wanted)}"
        if array.dtype.kind not in _KINDS[wanted.kind]:
            _refuse(path, what, f"{array.dtype}")
        if array.ndim != len(wanted.shape):
            _refuse(path, what, f"the shape {list(array.shape)}")
        for letter, length in zip(wanted.shape, array.shape, strict=True):
            known, other = lengths.setdefault(letter, (length, name))
            if known != length:
                _refuse(
                    path,
                    f"{expected}, {name} and {other} of one length",
                    f"{length} and {known}",
                )
        problem = _bad_value(array, wanted)
        if problem:
            _refuse(path, what, problem)


def _bad_value(array: np.ndarray, wanted: Array) -> str:
    """Returns a value that may not be, "" if all may."""
    if wanted.kind == "text":
        try:
            # NumPy makes strings of such numbers only to end in SystemError.
            if (_code_points(array) > sys.maxunicode).any():
                raise ValueError
            "".join(np.ravel(array).tolist()).encode()
        except ValueError:
            return "characters that do not exist"
        return ""
    bad = np.zeros(array.shape, bool)
    if wanted.finite:
        bad |= ~np.isfinite(array)
    if wanted.kind == "count":
        bad |= array < 0
    return f"{array[bad][0]}" if bad.any() else ""


def _code_points(array: np.ndarray) -> np.ndarray:
    """Returns the numbers of the characters of an array of text."""
    flat = np.ascontiguousarray(array).ravel()
    order = flat.dtype.byteorder.replace("|", "=")
    return np.frombuffer(flat.tobytes(), f"{order}u4")


def _described(wanted: Array) -> str:
    finite = wanted.finite and wanted.kind == "number"
    what = f"{'finite ' if finite else ''}{_PLURALS[wanted.kind]}"
    return f"{what} [{', '.join(wanted.shape)}]"


def _refuse(path: str | os.PathLike, expected: str, found: str) -> NoReturn:
    raise DataError(f"{path}: expected {expected}, found {found}")
