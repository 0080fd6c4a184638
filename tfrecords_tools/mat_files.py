"""Numbers in MATLAB's files (version 5, of MATLAB 5 to 7.2), read in Python.

SciPy's reader ends the process by a segmentation fault on some damaged files.
What a list of frames needs is little: arrays of real numbers at the file's top.
The format is that of "MAT-File Format", The MathWorks.
"""

import os
import struct
import zlib
from collections.abc import Iterator

import numpy as np

_HEADER_BYTES, _VERSION_AT = 128, 124
_ORDERS = {b"IM": "<", b"MI": ">"}
_TAG_BYTES, _SMALL_BYTES = 8, 4
_MATRIX, _COMPRESSED = 14, 15
_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_NUMERIC_CLASSES = range(6, 16)  # double, single, int8 to uint64
_COMPLEX = 0x800
# A list of a million frames takes 8 MB.
_MAX_BYTES = 2**26


def read_numbers(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Returns the arrays of real numbers by name, flat, as stored.

    Other variables (texts, structures) are passed over.

    Raises:
        ValueError: the file is none of MATLAB's of this version, or damaged.
    """
    with open(path, "rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ValueError(f"more than {_MAX_BYTES} bytes")
    order = _ORDERS.get(data[_HEADER_BYTES - 2 : _HEADER_BYTES])
    if order is None:
        raise ValueError("no header of MATLAB 5")
    (version,) = struct.unpack_from(f"{order}H", data, _VERSION_AT)
    if version >> 8 != 1:
        raise ValueError("another version of MATLAB's files, such as 7.3")
    found = {}
    for kind, content in _elements(data[_HEADER_BYTES:], order):
        if kind == _COMPRESSED:
            kind, content = _unpacked(content, order)
        if kind == _MATRIX:
            found.update(_numbers(content, order))
    return found


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yields (type, content) of the elements that follow each other."""
    position = 0
    while position < len(data):
        if len(data) - position < _TAG_BYTES:
            raise ValueError("cut short")
        first, length = struct.unpack_from(f"{order}II", data, position)
        kind, start = first, position + _TAG_BYTES
        if first >> 16:  # a small element: both in one word, then the content
            kind, length = first & 0xFFFF, first >> 16
            start = position + _SMALL_BYTES
            if length > _SMALL_BYTES:
                raise ValueError("a small element that is large")
        end = start + length
        if end > len(data):
            raise ValueError("cut short")
        yield kind, data[start:end]
        # All but compressed elements end at a multiple of eight.
        position = end if kind == _COMPRESSED else end + -end % _TAG_BYTES


def _unpacked(content: bytes, order: str) -> tuple[int, bytes]:
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(content, _MAX_BYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not unpacker.eof:
        raise ValueError("compressed data cut short, or too large")
    return next(_elements(data, order), (0, b""))


def _numbers(matrix: bytes, order: str) -> dict[str, np.ndarray]:
    """Returns a matrix by its name, {} of one that is not of real numbers."""
    elements = _elements(matrix, order)
    flags = next(elements, (0, b""))[1]
    if len(flags) < _SMALL_BYTES:
        raise ValueError("an array without flags")
    (word,) = struct.unpack_from(f"{order}I", flags)
    if word & 0xFF not in _NUMERIC_CLASSES or word & _COMPLEX:
        return {}
    parts = list(elements)
    if len(parts) < 3 or parts[2][0] not in _TYPES:
        raise ValueError("an array without numbers")
    (_, sizes), (_, name), (kind, values) = parts[:3]
    array = _array(values, _TYPES[kind], order)
    if array.size != np.prod(_array(sizes, "i4", order), dtype=np.float64):
        raise ValueError("an array of another size than it says")
    return {name.decode("latin-1"): array}


def _array(content: bytes, kind: str, order: str) -> np.ndarray:
    # A ValueError where the length is no multiple of the item's.
    return np.frombuffer(content, np.dtype(f"{order}{kind}"))
