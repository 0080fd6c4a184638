"""What can still be read of a damaged TFRecord file.

TensorFlow's reader gives a file up at its first damaged record; here reading
goes on behind it.
"""

import os
import struct
from collections.abc import Iterator

_HEADER = struct.Struct("<QI")  # length, checksum of the length
_CHECKSUM = struct.Struct("<I")


def salvage_records(path: str, skip: int) -> Iterator[tuple[bytes | None, str]]:
    """Yields (data, "") or (None, reason) of the records behind `skip`.

    Args:
        path: the shard.
        skip: number of records at its beginning that are known to be whole.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        position = 0
        while position < size:
            header = file.read(_HEADER.size)
            length, checksum = (
                _HEADER.unpack(header)
                if len(header) == _HEADER.size
                else (0, 0)
            )
            # Without its length a record has no end, nor has the next a
            # beginning.
            if _masked_crc32c(header[:8]) != checksum:
                yield (
                    None,
                    (
                        "expected a TFRecord, found something else; the "
                        "rest of the file cannot be read"
                    ),
                )
                return
            end = file.tell() + length + _CHECKSUM.size
            if end > size:
                yield None, f"expected {length} bytes, found the file's end"
                return
            if skip > 0:
                skip -= 1
                file.seek(end)
            else:
                data = file.read(length)
                (checksum,) = _CHECKSUM.unpack(file.read(_CHECKSUM.size))
                if _masked_crc32c(data) == checksum:
                    yield data, ""
                else:
                    yield None, "expected the data's checksum, found another"
            position = end


def _crc32c_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC32C_TABLE = _crc32c_table()


def _masked_crc32c(data: bytes) -> int:
    """Returns the checksum of TFRecord files.

    Slow, in plain Python: needed for files that TensorFlow found damaged.
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC32C_TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
