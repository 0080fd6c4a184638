"""What every output directory has in common: names, claims, provenance.

A program claims its output directory before it writes there. The claim is
`config.json`: which program, which arguments, which inputs, which versions,
and whether the work is complete. A second run with the same arguments
continues or finds everything done; any other run is refused, so nothing is
overwritten and no half-finished output looks whole.
"""

import contextlib
import dataclasses
import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock

from kliep_tf.errors import RefusedError, UserError
from kliep_tf.run_records import CONFIG as CONFIG
from kliep_tf.run_records import (
    WHOLE,
    contents_of,
    difference,
    know_copies,
    new_record,
    now,
    read_records,
)
from kliep_tf.run_records import Fingerprint as Fingerprint
from kliep_tf.run_records import arguments_of as arguments_of
from kliep_tf.run_records import is_input as is_input
from kliep_tf.run_records import versions as versions

CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"
SAVED_MODEL = "saved_model"
WEIGHTS = "weights"

_LOCK = ".lock"
_PARTIAL = ".partial"
# Stray files that do not make a directory somebody's work. The third is left
# by a run that was killed while it wrote its claim.
_IGNORED = {_LOCK, ".DS_Store", f".{CONFIG}.partial"}


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
            "finished": now(),
            **({"results": results} if results else {}),
        }
        _write_record(self.directory, self.part, record)


def refuse_foreign(
    directory: str | os.PathLike, program: str, name: str = ""
) -> None:
    """Raises a UserError if `directory` is none, or holds what nobody claimed.

    `claim` does it; a program of two outputs does it for the second before it
    claims the first.

    Args:
        directory: the output directory, which may be missing.
        program: the program's module name.
        name: of the directory in the message, by default its path.
    """
    directory, name = Path(directory), name or str(directory)
    _require_directory(directory, name)
    foreign = set()
    if directory.exists():
        foreign = {entry.name for entry in directory.iterdir()} - _IGNORED
    # In this order: another process may be claiming the directory now.
    if foreign and not (directory / CONFIG).exists():
        raise UserError(
            f"{name}: expected an empty directory or one made by "
            f"{program}, found {min(foreign)!r} and no {CONFIG}"
        )


def _require_directory(directory: Path, name: str) -> None:
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{name}: expected a directory, found a file")


@contextlib.contextmanager
def claim(
    directory: str | os.PathLike,
    program: str,
    config: Any,
    *,
    inputs: Mapping[str, str] | None = None,
    part: str = WHOLE,
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
        part: distinguishes several outputs of a program in one directory
            (splits). No other program may share it.
        overwrite: make the same program's earlier output anew, where it was
            made with other arguments or inputs.
        write: False for a process that only helps the one that has the claim:
            arguments and inputs are checked, nothing is written or locked.

    Raises:
        UserError: the directory holds something else, was made with other
            arguments or inputs, or is in use by another process.
    """
    directory = Path(directory)
    if write:
        refuse_foreign(directory, program)
        directory.mkdir(parents=True, exist_ok=True)
    else:
        _require_directory(directory, str(directory))
    with _lock(directory) if write else contextlib.nullcontext(True) as locked:
        record = _found_record(directory, program, part)
        fresh = new_record(program, config, dict(inputs or {}))
        if record:
            know_copies(record, fresh)
        if record and (change := difference(record, fresh, config, directory)):
            if not overwrite or record["program"] != program:
                raise UserError(f"{directory}: {change}")
            record = None
        finished = record is not None and record.get("status") == "complete"
        if not (locked or finished):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(directory))
        if write and locked:
            _sweep(directory)
        if record is None:
            record = fresh | {"contents": contents_of(fresh["inputs"])}
            if write:
                _write_record(directory, part, record)
        yield Claim(directory, part, finished, record)


def read_config(
    directory: str | os.PathLike, part: str = WHOLE
) -> dict[str, Any]:
    """Returns the record that a program left in `directory`.

    Its keys: program, arguments, inputs, versions, status, started, finished,
    results.

    Raises:
        UserError: there is none.
    """
    record = read_records(Path(directory)).get(part)
    if record is None:
        raise UserError(f"{directory}: expected a {CONFIG}, found none")
    return record


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


def write_atomically(
    path: str | os.PathLike, content: bytes | str, attempt: str = ""
) -> None:
    """Writes a file so that it is never seen half written.

    Args:
        path: of the file.
        content: of the file; text is written as UTF-8.
        attempt: a name for the temporary file of one's own, where another
            process may be writing the same file.
    """
    path = Path(path)
    if isinstance(content, str):
        content = content.encode()
    # A leading dot: no reader's glob ("train-*") matches a temporary file.
    temporary = path.with_name(f".{path.name}{attempt}{_PARTIAL}")
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


def _found_record(directory: Path, program: str, part: str) -> dict | None:
    """Returns the record of the part, or that of another program."""
    records = read_records(directory)
    for record in records.values():
        if record["program"] != program:
            return record
    return records.get(part)


def _write_record(directory: Path, part: str, record: dict) -> None:
    records = read_records(directory) | {part: record}
    text = json.dumps({"parts": records}, indent=2) + "\n"
    write_atomically(directory / CONFIG, text)
