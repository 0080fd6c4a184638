"""The framing of TFRecord files: length, checksum, data, checksum.

A TFRecord file frames each record as length (uint64), checksum of the length
(uint32), data, checksum of the data (uint32); all little endian. A checksum is
a CRC-32C, masked. Nothing here imports TensorFlow.
"""

import functools
import gzip
import os
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c

from kliep_tf.data import files
from kliep_tf.errors import DataError
from kliep_tf.scratch import scratch_folder

_HEADER = struct.Struct("<QI")  # length, checksum of the length
_CHECKSUM = struct.Struct("<I")
_LENGTH_BYTES = 8
_MASK = 0xA282EAD8
_GZIP = b"\x1f\x8b"


def masked_crc32c(data: bytes) -> int:
    """Returns the checksum of TFRecord files."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def read_spans(path: str | os.PathLike) -> list[tuple[int, int]]:
    """Returns (offset, length) of every record's data.

    Data are passed over: a shard of any size takes milliseconds.

    Raises:
        DataError: the file is no TFRecord file, is damaged or is cut short.
    """
    spans: list[tuple[int, int]] = []
    size = files.status(path).size
    with files.reading(path) as file:
        position = 0
        while position < size:
            file.seek(position)
            length = _read_length(file)
            start = position + _HEADER.size
            position = start + (length or 0) + _CHECKSUM.size
            if length is None or position > size:
                raise _damage(path, len(spans))
            spans.append((start, length))
    return spans


def begins_record(data: bytes) -> bool:
    """Whether the bytes begin as a TFRecord file does."""
    if len(data) < _HEADER.size:
        return False
    _, checksum = _HEADER.unpack_from(data)
    return masked_crc32c(data[:_LENGTH_BYTES]) == checksum


def read_checksums(path: str | os.PathLike) -> Iterator[bytes]:
    """Yields the four bytes of every record's checksum, without the data.

    Raises:
        DataError: the file is no TFRecord file, is damaged or is cut short.
    """
    spans = read_spans(path)
    with files.reading(path) as file:
        for start, length in spans:
            file.seek(start + length)
            yield file.read(_CHECKSUM.size)


def read_record(path: str | os.PathLike, offset: int, length: int) -> bytes:
    """Returns one record's data, having compared it with its checksum.

    Raises:
        DataError: the file has changed or is damaged there.
    """
    with files.reading(path, buffering=0) as file:
        file.seek(offset)
        data = file.read(length + _CHECKSUM.size)
    if len(data) != length + _CHECKSUM.size:
        raise DataError(f"{path}: expected it unchanged, found it truncated")
    found, checksum = data[:length], data[length:]
    if _CHECKSUM.pack(masked_crc32c(found)) != checksum:
        raise DataError(
            f"{path}: expected whole records, found a damaged one at byte "
            f"{offset} (its checksum is another)"
        )
    return found


def read_records(path: str | os.PathLike) -> Iterator[tuple[bytes | None, str]]:
    """Yields (data, "") of every record in order, (None, reason) of damage.

    Reading goes on behind a damaged record unless its length is lost: without
    it a record has no end, nor has the next a beginning.
    """
    size = files.status(path).size
    with files.reading(path) as file:
        while file.tell() < size:
            length = _read_length(file)
            if length is None:
                yield (
                    None,
                    "expected a TFRecord, found something else; the rest of "
                    "the file cannot be read",
                )
                return
            if file.tell() + length + _CHECKSUM.size > size:
                yield None, f"expected {length} bytes, found the file's end"
                return
            data = file.read(length)
            if _CHECKSUM.pack(masked_crc32c(data)) == file.read(4):
                yield data, ""
            else:
                yield None, "expected the data's checksum, found another"


def unpacked(path: str | os.PathLike) -> str:
    """Returns the path of a shard as it can be read at any offset.

    It is the shard itself unless that is compressed by gzip. Then it is a copy
    in a temporary folder, which is made once and removed with the process.

    Raises:
        DataError: the compressed file is damaged.
    """
    path = os.fspath(path)
    status = files.status(path)
    return _unpack(path, status) if _is_packed(path, status) else path


@functools.cache
def _is_packed(path: str, status: files.Status) -> bool:
    del status  # of the key alone, as below
    with files.reading(path) as file:
        head = file.read(_HEADER.size)
    # The length of a first record may begin with the same two bytes.
    return head.startswith(_GZIP) and not begins_record(head)


@functools.cache
def _unpack(path: str, status: files.Status) -> str:
    del status  # of the key alone: a replaced shard is unpacked anew
    handle, copy = tempfile.mkstemp(suffix=".tfrecord", dir=_folder().name)
    try:
        with (
            files.reading(path) as stored,
            gzip.open(stored) as packed,
            os.fdopen(handle, "wb") as file,
        ):
            shutil.copyfileobj(packed, file, 2**20)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path}: expected a whole file compressed by gzip, found damage "
            f"({error})"
        ) from error
    return copy


@functools.cache
def _folder() -> tempfile.TemporaryDirectory:
    return scratch_folder("kliep_tf_unpacked_")


def _read_length(file: BinaryIO) -> int | None:
    """Returns the length of the record that begins here, None if lost."""
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    length, checksum = _HEADER.unpack(header)
    if masked_crc32c(header[:_LENGTH_BYTES]) != checksum:
        return None
    return int(length)


def _damage(path: str | os.PathLike, whole: int) -> DataError:
    return DataError(
        f"{path}: expected a whole TFRecord file, found it damaged or cut "
        f"short after {whole} records"
    )
