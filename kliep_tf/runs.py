"""What every output directory has in common: names, claims, provenance.

A program claims its output directory before it writes there. The claim is
`config.json`: which program, which arguments, which inputs, which versions,
and whether the work is complete. A second run with the same arguments
continues or finds everything done; any other run is refused, so nothing is
overwritten and no half-finished output looks whole.
"""

import contextlib
import dataclasses
import datetime
import errno
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock

from kliep_tf import __version__
from kliep_tf.errors import RefusedError, UserError
from kliep_tf.json_files import Maybe, read_json

CONFIG = "config.json"
CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"
SAVED_MODEL = "saved_model"
WEIGHTS = "weights"

_LOCK = ".lock"
_PARTIAL = ".partial"
_WHOLE = "output"  # the part that is all of a directory
_VERSIONED_PACKAGES = ("tensorflow", "keras", "numpy", "pillow")
# Stray files that do not make a directory somebody's work. The third is left
# by a run that was killed while it wrote its claim.
_IGNORED = {_LOCK, ".DS_Store", f".{CONFIG}.partial"}

_RECORDS = {
    "parts": {
        str: {
            "program": str,
            "arguments": dict,
            "inputs": {str: str},
            "contents": Maybe({str: str}),
            "versions": Maybe({str: str}),
            "status": Maybe(str),
        }
    }
}


class Fingerprint(str):
    """A digest by which an input is known at a glance, and how to be sure.

    It is text, to be kept in JSON; `kliep_tf.fingerprints` makes it.

    Attributes:
        content: returns a digest of all that the input holds, which takes
            longer.
    """

    content: Callable[[], str]

    def __new__(cls, digest: str, content: Callable[[], str]) -> "Fingerprint":
        """Makes one."""
        made = super().__new__(cls, digest)
        made.content = content
        return made


@dataclasses.dataclass(frozen=True)
class Claim:
    """The right to write into one output directory, or one part of it.

    Attributes:
        directory: where the output goes.
        part: what of the directory is claimed, such as a split.
        finished: whether an earlier run completed exactly this work.
        record: what config.json holds for this part.
    """

    directory: Path
    part: str
    finished: bool
    record: Mapping[str, Any]

    def finish(self, **results: Any) -> None:
        """Marks the work complete; `results` are kept in config.json."""
        record = {
            **self.record,
            "status": "complete",
            "finished": _now(),
            **({"results": results} if results else {}),
        }
        _write_record(self.directory, self.part, record)


@contextlib.contextmanager
def claim(
    directory: str | os.PathLike,
    program: str,
    config: Any,
    *,
    inputs: Mapping[str, str] | None = None,
    part: str = _WHOLE,
    overwrite: bool = False,
    write: bool = True,
) -> Iterator[Claim]:
    """Claims `directory` for one program and one set of arguments.

    Use as `with runs.claim(...) as claim:`; the directory is created and is
    locked against other processes until the block ends.

    Args:
        directory: the output directory; created if missing.
        program: the program's module name.
        config: the program's frozen config; fields whose flag says
            `affects_output=False` may differ when work is continued.
        inputs: fingerprints of what is read, by name. Those of
            `kliep_tf.fingerprints` may differ, as long as their contents are
            those that this output was begun with.
        part: distinguishes several outputs in one directory (splits). By
            default all of it is claimed, which no other program may share.
        overwrite: make the same program's earlier output anew, where it was
            made with other arguments or inputs.
        write: False for a process that only helps the one that has the claim:
            arguments and inputs are checked, nothing is written or locked.

    Raises:
        UserError: the directory holds something else, was made with other
            arguments or inputs, or is in use by another process.
    """
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{directory}: expected a directory, found a file")
    foreign = set()
    if write and directory.exists():
        foreign = {entry.name for entry in directory.iterdir()} - _IGNORED
    if foreign and not (directory / CONFIG).exists():
        raise UserError(
            f"{directory}: expected an empty directory or one made by "
            f"{program}, found {min(foreign)!r} and no {CONFIG}"
        )
    if write:
        directory.mkdir(parents=True, exist_ok=True)
    with _lock(directory) if write else contextlib.nullcontext(True) as locked:
        record = _found_record(directory, program, part)
        fresh = _new_record(program, config, dict(inputs or {}))
        if record:
            _know_copies(record, fresh)
        if record and (
            difference := _difference(record, fresh, config, directory)
        ):
            if not overwrite or record["program"] != program:
                raise UserError(f"{directory}: {difference}")
            record = None
        finished = record is not None and record.get("status") == "complete"
        if not (locked or finished):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(directory))
        if write and locked:
            _sweep(directory)
        if record is None:
            record = fresh | {"contents": _contents(fresh["inputs"])}
            if write:
                _write_record(directory, part, record)
        yield Claim(directory, part, finished, record)


def read_config(
    directory: str | os.PathLike, part: str = _WHOLE
) -> dict[str, Any]:
    """Returns the record that a program left in `directory`.

    Its keys: program, arguments, inputs, versions, status, started, finished,
    results.

    Raises:
        UserError: there is none.
    """
    record = _read_records(Path(directory)).get(part)
    if record is None:
        raise UserError(f"{directory}: expected a {CONFIG}, found none")
    return record


def is_input(value: str, record: Mapping[str, Any], name: str) -> bool:
    """Whether a fingerprint is that of an input of a record.

    Contents are read only where names, sizes or times differ, as they do in a
    copy.
    """
    if record["inputs"].get(name) == value:
        return True
    expected = (record.get("contents") or {}).get(name)
    return (
        expected is not None
        and isinstance(value, Fingerprint)
        and value.content() == expected
    )


def config_from_record(config_class: type, record: Mapping[str, Any]) -> Any:
    """Returns the `config_class` whose arguments `record` holds.

    Arguments that this version no longer knows are left out and new ones take
    their defaults, so that a library can read an older run.
    """
    known = {field.name for field in dataclasses.fields(config_class)}
    return config_class(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in record["arguments"].items()
            if name in known
        }
    )


def versions() -> dict[str, str]:
    """Returns the versions that can change a result."""
    found = {"kliep_tf": __version__, "python": platform.python_version()}
    for package in _VERSIONED_PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def write_atomically(path: str | os.PathLike, content: bytes | str) -> None:
    """Writes a file so that it is never seen half written."""
    path = Path(path)
    if isinstance(content, str):
        content = content.encode()
    # A leading dot: no reader's glob ("train-*") matches a temporary file.
    temporary = path.with_name(f".{path.name}{_PARTIAL}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        temporary.unlink(missing_ok=True)  # a full disk needs the room
        # A failed write, unlike a failed open, does not say which file.
        raise OSError(error.errno, error.strerror, str(path)) from error
    replace_durably(temporary, path)


def replace_durably(temporary: Path, path: Path) -> None:
    """Renames a finished, fsynced file to its final name, durably."""
    os.replace(temporary, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextlib.contextmanager
def _lock(directory: Path) -> Iterator[bool]:
    """Locks a directory; gives False where it cannot be written.

    Nobody writes there then, and what is finished can be told without a lock.
    """
    # A lock of the system's, which ends with its process. Where a file system
    # has none, the other kind would outlive a process that is killed.
    lock = filelock.FileLock(directory / _LOCK, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise RefusedError(f"{directory}: in use by another process") from None
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _sweep(directory: Path) -> None:
    """Removes what killed writers of this directory left half written.

    Directories inside with a lock of their own are left to their own runs.
    """
    for parent, folders, names in os.walk(directory):
        folders[:] = [
            folder
            for folder in folders
            if not os.path.exists(os.path.join(parent, folder, _LOCK))
        ]
        for name in names:
            if name.startswith(".") and name.endswith(_PARTIAL):
                os.unlink(os.path.join(parent, name))


def _new_record(program: str, config: Any, inputs: dict) -> dict[str, Any]:
    return {
        "program": program,
        "arguments": dataclasses.asdict(config),
        "inputs": inputs,
        "versions": versions(),
        "status": "incomplete",
        "started": _now(),
    }


def _found_record(directory: Path, program: str, part: str) -> dict | None:
    """Returns the record of the part, or of a program that claims all."""
    records = _read_records(directory)
    for other, record in records.items():
        if _WHOLE in (part, other) and record["program"] != program:
            return record
    return records.get(part)


def _contents(inputs: Mapping[str, str]) -> dict[str, str]:
    """Returns digests of the contents of those inputs that are files."""
    return {
        name: value.content()
        for name, value in inputs.items()
        if isinstance(value, Fingerprint)
    }


def _know_copies(record: dict, fresh: dict) -> None:
    """Gives the record the fingerprints of inputs that hold the same."""
    record["inputs"] = record["inputs"] | {
        name: value
        for name, value in fresh["inputs"].items()
        if name in record["inputs"] and is_input(value, record, name)
    }


def _difference(record: dict, fresh: dict, config: Any, directory: Path) -> str:
    """Returns the first thing that has changed since `record`, "" for none."""
    if record["program"] != fresh["program"]:
        return (
            f"expected an output of {fresh['program']}, found one of "
            f"{record['program']}"
        )
    # Through JSON, so that tuples and lists compare equal.
    arguments = json.loads(json.dumps(fresh["arguments"]))
    for field in dataclasses.fields(config):
        if not field.metadata.get("affects_output", True):
            continue
        # A flag newer than the record: it was made with what now is its
        # default.
        old = record["arguments"].get(field.name, field.default)
        old = list(old) if isinstance(old, tuple) else old
        new = arguments[field.name]
        if isinstance(new, str) and new and Path(new) == directory:
            continue  # where the record lies, however it came there
        # What an input holds is compared below, not how its path is spelled.
        name = field.metadata.get("read_as")
        known = name in record["inputs"] and name in fresh["inputs"]
        if old != new and not known and not _same_file(old, new):
            return (
                f"made with --{field.name}={_shown(old)}, now asked for "
                f"--{field.name}={_shown(new)}; expected the same arguments "
                "or another directory"
            )
    for name, digest in fresh["inputs"].items():
        if record["inputs"].get(name, digest) != digest:
            verb = "have" if name.endswith("s") else "has"
            return (
                f"{name} {verb} changed since this output was begun; expected "
                f"the same files{_paths(record, config, name)} or another "
                "directory"
            )
    return ""


def _same_file(old: Any, new: Any) -> bool:
    """Whether two values are spellings of one path that is there."""
    if not (isinstance(old, str) and isinstance(new, str)):
        return False
    with contextlib.suppress(OSError, ValueError):
        return os.path.samefile(old, new)
    return False


def _paths(record: dict, config: Any, name: str) -> str:
    """Returns the paths of an input then and now, "" if they are the same."""
    for field in dataclasses.fields(config):
        if field.metadata.get("read_as") == name:
            old = record["arguments"].get(field.name)
            new = getattr(config, field.name)
            if old != new:
                return f" as those of --{field.name}={old}, found {new},"
    return ""


def _shown(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def _read_records(directory: Path) -> dict[str, dict]:
    try:
        found = read_json(
            directory / CONFIG, "the record of a run", _RECORDS, allow_nan=True
        )
    except FileNotFoundError:
        return {}
    return found["parts"]


def _write_record(directory: Path, part: str, record: dict) -> None:
    records = _read_records(directory) | {part: record}
    text = json.dumps({"parts": records}, indent=2) + "\n"
    write_atomically(directory / CONFIG, text)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
