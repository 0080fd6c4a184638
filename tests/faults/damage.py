"""A catalogue of damage, as code that makes it."""

import dataclasses
import io
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from hypothesis import strategies as st


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


@dataclasses.dataclass(frozen=True)
class Change:
    """A change of some bytes; places beyond the content begin anew."""

    kind: str
    place: int
    length: int
    byte: int

    def apply(self, content: bytearray) -> None:
        """Changes a content in place."""
        place = self.place % max(len(content), 1)
        some = slice(place, place + self.length)
        if self.kind == "replace":
            content[place : place + 1] = bytes([self.byte])
        elif self.kind == "flip" and content:
            content[place] ^= 1 << self.byte % 8
        elif self.kind == "cut":
            del content[place:]
        elif self.kind == "drop":
            del content[some]
        else:
            content[place:place] = content[some]


@dataclasses.dataclass(frozen=True)
class Mutation:
    """A few changes of one part of a file; see `mutate`, `mutate_arrays`."""

    part: int
    changes: list[Change]


MUTATIONS = st.builds(
    Mutation,
    part=st.integers(0, 63),
    changes=st.lists(
        st.builds(
            Change,
            kind=st.sampled_from(["replace", "flip", "cut", "drop", "repeat"]),
            place=st.integers(0, 2**16 - 1),
            length=st.integers(1, 16),
            byte=st.integers(0, 255),
        ),
        min_size=1,
        max_size=3,
    ),
)


def mutate(content: bytes, mutation: Mutation) -> bytes:
    """Returns a changed content; it has one part."""
    changed = bytearray(content)
    for change in mutation.changes:
        change.apply(changed)
    return bytes(changed)


def mutate_arrays(content: bytes, mutation: Mutation) -> bytes:
    """Returns an npz file with one array changed, and checksums that fit.

    A changed byte elsewhere fails its checksum before anybody looks at it.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as whole:
        arrays = {name: whole.read(name) for name in whole.namelist()}
    chosen = list(arrays)[mutation.part % len(arrays)]
    arrays[chosen] = mutate(arrays[chosen], mutation)
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as archive:
        for name, data in arrays.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return changed.getvalue()


def mutate_records(content: bytes, mutation: Mutation) -> bytes:
    """Returns a shard with one record changed, and checksums that fit."""
    from kliep_tf.data.framing import masked_crc32c

    found, position = [], 0
    while position < len(content):
        (length,) = struct.unpack_from("<Q", content, position)
        found.append(content[position + 12 : position + 12 + length])
        position += 16 + length
    chosen = mutation.part % len(found)
    found[chosen] = mutate(found[chosen], mutation)
    shard = b""
    for data in found:
        length = struct.pack("<Q", len(data))
        shard += length + struct.pack("<I", masked_crc32c(length))
        shard += data + struct.pack("<I", masked_crc32c(data))
    return shard
