"""PNG files without TensorFlow: a fast encoder and a check of the header.

Converters spend most of their time in PNG encoding. Choosing the best of five
filters row by row, as libraries do, costs more than it saves on photographs
and renderings alike: one fixed filter with run-length matching takes half the
time and gives smaller files. The result is an ordinary PNG.
"""

import os
import struct
import zlib
from typing import NamedTuple

import numpy as np

from kliep_tf.errors import DataError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY, _RGB, _PALETTE = 0, 2, 3
_SUB, _UP = 1, 2
# Signature, chunk length, "IHDR", width, height, bit depth, color type.
_HEADER = struct.Struct(">8s4x4sIIBB")
# Some writers append a comment behind the end; further than this is damage.
_TAIL_BYTES = 4096


class PngHeader(NamedTuple):
    """What a PNG file says of itself before it is decoded."""

    height: int
    width: int
    bit_depth: int
    color_type: int

    @property
    def is_plain_rgb(self) -> bool:
        """Whether the pixels are 8-bit RGB, without palette or alpha."""
        return (self.bit_depth, self.color_type) == (8, _RGB)


def encode_png(pixels: np.ndarray, palette: np.ndarray | None = None) -> bytes:
    """Returns the PNG of an image.

    Args:
        pixels: uint8 [H, W] (gray) or [H, W, 3] (RGB).
        palette: uint8 [256, 3]: gray values become indices into it. Labels
            are so stored that colours only make their ids visible.
    """
    height, width = pixels.shape[:2]
    color_type = _GRAY if pixels.ndim == 2 else _RGB
    colors = b""
    if palette is not None:
        color_type = _PALETTE
        colors = _chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    rows = pixels.reshape(height, -1)
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    if color_type == _RGB:
        # Neighbours in a photograph differ by little in every direction.
        filtered[:, 0] = _SUB
        filtered[:, 1:4] = rows[:, :3]
        np.subtract(rows[:, 3:], rows[:, :-3], out=filtered[:, 4:])
    else:
        # In a label map most rows repeat the row above.
        filtered[:, 0] = _UP
        filtered[0, 1:] = rows[0]
        np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    compressor = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    data = compressor.compress(filtered.data) + compressor.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0)
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", header),
            colors,
            _chunk(b"IDAT", data),
            _chunk(b"IEND", b""),
        )
    )


def parse_header(data: bytes) -> PngHeader | None:
    """Returns the header at the beginning of `data`, None if there is none."""
    if len(data) < _HEADER.size:
        return None
    signature, kind, width, height, depth, color = _HEADER.unpack_from(data)
    if signature != _SIGNATURE or kind != b"IHDR":
        return None
    return PngHeader(height, width, depth, color)


def read_header(path: str | os.PathLike) -> PngHeader:
    """Returns the header of a PNG file whose beginning and end are there.

    Pixels are not decoded, so a whole dataset is checked in seconds.

    Raises:
        UserError: the file is no PNG, or its end is missing.
    """
    header, _, tail, size = _read_ends(path)
    if header is None:
        raise DataError(
            f"{path}: expected a PNG image, found {size} bytes of something "
            "else"
        )
    if b"IEND" not in tail:
        raise DataError(
            f"{path}: expected a whole PNG image, found one cut off after "
            f"{size} bytes"
        )
    return header


def read_exif(path: str | os.PathLike) -> bytes:
    """Returns the EXIF block at the beginning or end of a PNG, b"" for none.

    Pixels are passed over. Writers put the block before them, or last.
    """
    _, head, tail, _ = _read_ends(path)
    for data in (head.partition(b"IDAT")[0], tail):
        start = data.find(b"eXIf")
        if start >= 4:
            (length,) = struct.unpack_from(">I", data, start - 4)
            return data[start + 4 : start + 4 + length]
    return b""


def broken_chunk(data: bytes) -> str:
    """Returns which chunk of a PNG is not what its checksum says, "" for none.

    Pillow decodes pixels without looking at their checksums: what a bit that
    has changed makes of them passes for an image there, and TensorFlow refuses
    it later. Chunks that decoders may leave out are not looked at.
    """
    position = len(_SIGNATURE)
    if not data.startswith(_SIGNATURE):
        return ""
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        kind = data[position + 4 : position + 8]
        end = position + 8 + length
        checksum = zlib.crc32(memoryview(data)[position + 4 : end])
        position = end + 4
        is_needed = kind[:1].isupper()
        if is_needed and data[end:position] != struct.pack(">I", checksum):
            return kind.decode(errors="replace")
        if kind == b"IEND":
            return ""
    return "IEND"


def _read_ends(
    path: str | os.PathLike,
) -> tuple[PngHeader | None, bytes, bytes, int]:
    """Returns a file's header, its first and last bytes and its size."""
    with open(path, "rb") as file:
        head = file.read(_TAIL_BYTES)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        return parse_header(head), head, file.read(), size


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return b"".join(
        (struct.pack(">I", len(data)), kind, data, struct.pack(">I", checksum))
    )
