"""What `config.json` says of an output: what made it, of what, with what.

A record is of one part of a directory. `kliep_tf.runs` keeps it up to date.
"""

import contextlib
import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kliep_tf import __version__
from kliep_tf.json_files import Maybe, parse_json
from kliep_tf.stores.addresses import address_of

CONFIG = "config.json"
WHOLE = "output"  # the part that is all of a directory

_VERSIONED_PACKAGES = ("tensorflow", "keras", "numpy", "pillow")

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

    def __reduce__(self) -> tuple[type, tuple[str, Callable[[], str]]]:
        """Returns what makes it again in another process."""
        return type(self), (str(self), self.content)


def new_record(program: str, config: Any, inputs: dict) -> dict[str, Any]:
    """Returns the record of an output that is begun."""
    return {
        "program": program,
        "arguments": arguments_of(config),
        "inputs": inputs,
        "versions": versions(),
        "status": "incomplete",
        "started": now(),
    }


def arguments_of(config: Any) -> dict[str, Any]:
    """Returns a config's flags as a record keeps them, addresses for copies."""
    arguments = dataclasses.asdict(config)
    return {name: address_of(value) for name, value in arguments.items()}


def read_records(directory: Path) -> dict[str, dict]:
    """Returns the records of a directory's parts, none where no output is.

    Raises:
        DataError: config.json holds something else.
    """
    path = directory / CONFIG
    try:
        return parse_records(path.read_bytes(), str(path))
    except FileNotFoundError:
        return {}


def parse_records(content: bytes, where: str) -> dict[str, dict]:
    """Returns the records that a config.json holds; `where` is its name.

    Raises:
        DataError: it holds something else.
    """
    found = parse_json(
        content, where, "the record of a run", _RECORDS, allow_nan=True
    )
    return found["parts"]


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


def know_copies(record: dict, fresh: dict) -> None:
    """Gives the record the fingerprints of inputs that hold the same."""
    record["inputs"] = record["inputs"] | {
        name: value
        for name, value in fresh["inputs"].items()
        if name in record["inputs"] and is_input(value, record, name)
    }


def difference(record: dict, fresh: dict, config: Any, directory: Path) -> str:
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
        new, here = arguments[field.name], getattr(config, field.name)
        if isinstance(here, str) and here and Path(here) == directory:
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


def versions() -> dict[str, str]:
    """Returns the versions that can change a result."""
    found = {"kliep_tf": __version__, "python": platform.python_version()}
    for package in _VERSIONED_PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def contents_of(inputs: Mapping[str, str]) -> dict[str, str]:
    """Returns digests of the contents of those inputs that are files."""
    return {
        name: value.content()
        for name, value in inputs.items()
        if isinstance(value, Fingerprint)
    }


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
            new = address_of(getattr(config, field.name))
            if old != new:
                return f" as those of --{field.name}={old}, found {new},"
    return ""


def _shown(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def now() -> str:
    """Returns the time, in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
