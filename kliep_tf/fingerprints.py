"""Short digests by which a program knows its inputs again.

`of` looks at names, sizes and times alone and takes milliseconds. Where times
differ, as they do in a copy, contents decide; see `runs.claim`.
"""

import contextlib
import functools
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence

from kliep_tf.data import files, framing
from kliep_tf.errors import DataError
from kliep_tf.runs import Fingerprint

_HEX_DIGITS = 16
# Of more than this, what is no record is known by both ends of each file.
_MOST_BYTES_READ = 2**30
_END_BYTES = 2**12


def of(paths: Iterable[str | os.PathLike]) -> Fingerprint:
    """Returns a digest of files' names, sizes and modification times.

    The files are not read: a dataset of 100 GB is fingerprinted in
    milliseconds, and replaced files are noticed.
    """
    digest = hashlib.sha256()
    ordered = sorted(str(path) for path in paths)
    for path in ordered:
        size, modified = files.status(path)
        line = f"{os.path.basename(path)} {size} {modified}"
        digest.update(_encoded(line))
    return Fingerprint(
        digest.hexdigest()[:_HEX_DIGITS],
        functools.partial(of_contents, ordered),
    )


def of_contents(paths: Sequence[str]) -> str:
    """Returns a digest of files' names, sizes and contents.

    Of a TFRecord file it takes the checksums of all records, which is what they
    hold without reading it. Other files are read, up to a gigabyte of them
    together. Beyond that it takes the first and the last 4 KiB of each: the end
    of a PNG holds a checksum of its pixels.
    """
    digest = hashlib.sha256()
    sizes = [files.status(path).size for path in paths]
    whole = sum(sizes) <= _MOST_BYTES_READ
    for path, size in zip(paths, sizes, strict=True):
        digest.update(_encoded(f"{os.path.basename(path)} {size} "))
        for part in _content(path, size, whole=whole):
            digest.update(part)
    return digest.hexdigest()[:_HEX_DIGITS]


def files_of(path: str | os.PathLike) -> list[str]:
    """Returns the files under a directory, or the file itself."""
    if files.is_folder(path):
        return files.files_under(path)
    return [os.fspath(path)]


def _content(path: str, size: int, *, whole: bool) -> Iterator[bytes]:
    """Yields what a file is known by."""
    # One opening a file: there may be a million.
    with files.reading(path, buffering=0) as file:
        begin = file.read(_END_BYTES)
        if framing.begins_record(begin):
            with contextlib.suppress(DataError):  # it is cut short
                yield from framing.read_checksums(path)
                return
        yield begin
        if len(begin) == size:
            return
        if not whole:
            file.seek(max(len(begin), size - _END_BYTES))
        while block := file.read(2**20):
            yield block


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
