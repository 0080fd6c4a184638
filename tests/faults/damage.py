"""A catalogue of damage, as code that makes it."""

import dataclasses
import io
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np


@dataclasses.dataclass(frozen=True)
class Damage:
    """One way to damage a file.

    Attributes:
        name: for the table.
        make: takes the file's content and returns another.
        may_pass: whether a program may go on as if nothing had happened,
            because the file is not needed or another one serves.
    """

    name: str
    make: Callable[[bytes], bytes]
    may_pass: bool = False


def _flip(share: float) -> Callable[[bytes], bytes]:
    def make(content: bytes) -> bytes:
        place = min(int(share * len(content)), len(content) - 1)
        changed = bytearray(content)
        changed[place] ^= 0x10
        return bytes(changed)

    return make


# Of any file.
ANY = (
    Damage("empty", lambda content: b""),
    Damage("cut in half", lambda content: content[: len(content) // 2]),
    Damage("cut by one byte", lambda content: content[:-1]),
    Damage("text instead", lambda content: b"this is something else\n" * 9),
    Damage("zeros instead", lambda content: bytes(len(content))),
    Damage("a bit of the first byte", _flip(0)),
    Damage("a bit in the middle", _flip(0.5)),
)
# Of JSON: a bit or a byte less can leave it as good as before.
JSON = (
    *(dataclasses.replace(one, may_pass=True) for one in ANY),
    Damage("deep nesting", lambda content: b"[" * 50_000),
    Damage("a list instead", lambda content: b"[]"),
    Damage("null instead", lambda content: b"null"),
    Damage("not UTF-8", lambda content: b'{"parts": "\xff\xfe"}'),
    Damage("a key twice", lambda content: b'{"a": 1, "a": 2}'),
    Damage(
        "a huge number", lambda content: b'{"parts": 1' + b"0" * 9000 + b"}"
    ),
)


FLAGFILE = (
    *(dataclasses.replace(one, may_pass=True) for one in ANY),
    Damage(
        "a byte order mark", lambda content: b"\xef\xbb\xbf" + content, True
    ),
    Damage("UTF-16", lambda content: content.decode().encode("utf-16")),
    Damage("Latin-1", lambda content: content + b"# caf\xe9\n"),
    Damage("a missing flagfile", lambda content: b"--flagfile=none.flags\n"),
    Damage("an unknown flag", lambda content: content + b"--no_such_flag=1\n"),
)


def files_of(part: str, root: str) -> Iterator[tuple[str, tuple[Damage, ...]]]:
    """Yields the files of a part of the world with what may befall them.

    Args:
        part: as `Program.reads` names it.
        root: of the world.
    """
    base = Path(root)
    if part == "frames":
        for folder in ("images", "labels"):
            yield str(min((base / "raw" / folder).iterdir())), ANY
    elif part == "gta5":
        folder = base / "city" / "gta5"
        yield str(folder / "split.mat"), _may_pass(ANY)
        yield str(min((folder / "images").iterdir())), ANY
    elif part == "cityscapes":
        folder = base / "city" / "cityscapes"
        yield str(min(folder.glob("gtFine/train/*/*Ids.png"))), ANY
    elif part == "records":
        yield str(min((base / "source").glob("*.tfrecord"))), ANY
        yield str(base / "source" / "dataset.json"), JSON
    elif part == "val":
        yield str(min((base / "val").glob("*.tfrecord"))), ANY
        yield str(base / "val" / "dataset.json"), JSON
    elif part == "weights":
        # A bit of a zip's directory may be one that nobody reads.
        yield str(base / "weights" / "source_weights.npz"), _may_pass(ANY)
        yield str(base / "weights" / "source_weights.csv"), _may_pass(ANY)
    elif part == "checkpoints":
        for name in checkpoint_files(base / "run"):
            yield str(base / "run" / name), _may_pass(ANY)
        yield str(base / "run" / "config.json"), JSON
    elif part == "inception":
        # Nor does a frozen graph.
        yield str(base / "inception.pb"), _may_pass(ANY)
    else:
        folder = "run" if part == "saved_model" else "segmenter_run"
        directory = base / folder / "saved_model"
        # A SavedModel carries no checksum of its graph.
        yield str(directory / "saved_model.pb"), _may_pass(ANY)
        variables = directory / "variables"
        yield str(variables / "variables.index"), _may_pass(ANY)
        yield str(next(variables.glob("*.data-*"))), _may_pass(ANY)


def checkpoint_files(run: Path) -> list[str]:
    """Returns the files of a run's newest checkpoint, relative to the run."""
    directory = run / "checkpoints"
    newest = max(directory.glob("ckpt-*.index"), key=_step)
    data = next(directory.glob(f"{newest.stem}.data-*"))
    return [f"checkpoints/{newest.name}", f"checkpoints/{data.name}"]


def _step(index: Path) -> int:
    return int(index.stem.removeprefix("ckpt-"))


def _may_pass(kinds: tuple[Damage, ...]) -> tuple[Damage, ...]:
    return tuple(dataclasses.replace(one, may_pass=True) for one in kinds)


class damaged:
    """Damages a file, and gives it back whole."""

    def __init__(self, path: str, damage: Damage):
        self._path, self._damage = path, damage

    def __enter__(self) -> None:
        self._content = Path(self._path).read_bytes()
        self._times = os.stat(self._path)
        self._write(self._damage.make(self._content))

    def __exit__(self, *exception: object) -> None:
        self._write(self._content)
        times = (self._times.st_atime_ns, self._times.st_mtime_ns)
        os.utime(self._path, ns=times)

    def _write(self, content: bytes) -> None:
        Path(self._path).write_bytes(content)


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """Returns a content with a few random changes: flips, cuts, copies."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        kind = rng.integers(5)
        if not changed:
            return bytes(rng.integers(0, 256, 8).astype(np.uint8))
        place = int(rng.integers(len(changed)))
        length = int(rng.integers(1, 17))
        if kind == 0:
            changed[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            changed[place] = int(rng.integers(256))
        elif kind == 2:
            del changed[place:]
        elif kind == 3:
            del changed[place : place + length]
        else:
            changed[place:place] = changed[place : place + length]
    return bytes(changed)


def mutate_arrays(content: bytes, rng: np.random.Generator) -> bytes:
    """Returns an npz file with one array changed, and checksums that fit.

    A changed byte elsewhere fails its checksum before anybody looks at it.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as whole:
        arrays = {name: whole.read(name) for name in whole.namelist()}
    chosen = list(arrays)[rng.integers(len(arrays))]
    arrays[chosen] = mutate(arrays[chosen], rng)
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as archive:
        for name, data in arrays.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return changed.getvalue()


def mutate_records(content: bytes, rng: np.random.Generator) -> bytes:
    """Returns a shard with one record changed, and checksums that fit."""
    from kliep_tf.data.framing import masked_crc32c

    found, position = [], 0
    while position < len(content):
        (length,) = struct.unpack_from("<Q", content, position)
        found.append(content[position + 12 : position + 12 + length])
        position += 16 + length
    chosen = int(rng.integers(len(found)))
    found[chosen] = mutate(found[chosen], rng)
    shard = b""
    for data in found:
        length = struct.pack("<Q", len(data))
        shard += length + struct.pack("<I", masked_crc32c(length))
        shard += data + struct.pack("<I", masked_crc32c(data))
    return shard
