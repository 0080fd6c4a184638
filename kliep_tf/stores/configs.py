"""Lets a program work on folders of object stores as on those of a disk.

`local` gives the program a config whose addresses have become folders of this
machine: inputs are brought here first, outputs are put into their store every
minute and at the end. A flag says by `mirrored` that it takes part.
"""

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO, cast

from kliep_tf.errors import UserError
from kliep_tf.run_records import CONFIG, parse_records
from kliep_tf.scratch import scratch_folder
from kliep_tf.stores import lease
from kliep_tf.stores.addresses import scheme_of, standing_for
from kliep_tf.stores.folders import Folder, open_folder
from kliep_tf.stores.lease import Lease
from kliep_tf.stores.mirror import Mirror
from kliep_tf.stores.saver import Output, Saver

# EITHER is an input that the program makes where it is not there yet.
INPUT, OUTPUT, EITHER = "input", "output", "either"
_PREFIX = "kliep_tf_store_"


@contextlib.contextmanager
def local(config: Any) -> Iterator[Any]:
    """Gives a config of folders of this machine.

    What the program prints, and its errors, name the addresses. Without any
    address in a mirrored flag, the config is given as it is.

    Args:
        config: a program's frozen dataclass.

    Raises:
        UserError: an input is not there, or the flags are of several machines.
        RefusedError: another process writes into an output.
        OSError: a store cannot be read or, at the end, written.
    """
    kinds = _addresses(config)
    if not kinds:
        yield config
        return
    _refuse_several_machines(config)
    with scratch_folder(_PREFIX) as scratch:
        folders = _folders(kinds, Path(scratch))
        paths = {
            field.name: folders[address]
            for field in dataclasses.fields(config)
            if (address := _address(field, config)) is not None
        }
        addresses = {folder: address for address, folder in folders.items()}
        with (
            _saying(folders),
            _mirrored(kinds, folders),
            standing_for(addresses),
        ):
            yield dataclasses.replace(config, **paths)


def _address(field: dataclasses.Field, config: Any) -> str | None:
    """Returns what a mirrored flag names in a store, without a last slash."""
    value = getattr(config, field.name)
    if not field.metadata.get("mirrored") or not isinstance(value, str):
        return None
    if not scheme_of(value):
        return None
    if {".", ".."} & set(value.split("/")):
        raise UserError(
            f"--{field.name}={value}: expected an address without . and .."
        )
    return value.rstrip("/")


def _addresses(config: Any) -> dict[str, str]:
    """Returns INPUT, OUTPUT or EITHER of each address."""
    kinds: dict[str, str] = {}
    for field in dataclasses.fields(config):
        address = _address(field, config)
        if address is not None and kinds.get(address) != OUTPUT:
            kind = field.metadata["mirrored"]
            kinds[address] = kind(config) if callable(kind) else kind
    # What holds an output is one.
    for address in [one for one, kind in kinds.items() if kind == OUTPUT]:
        for around in kinds:
            if address.startswith(f"{around}/"):
                kinds[around] = OUTPUT
    return kinds


def _refuse_several_machines(config: Any) -> None:
    runner = getattr(config, "runner", "local")
    if runner != "local":
        raise UserError(
            f"--runner={runner}: expected local where a flag names an object "
            "store, whose files are brought to this machine alone"
        )
    if getattr(config, "distribution", "") == "multi_worker":
        raise UserError(
            "--distribution=multi_worker: expected a --run_dir that all "
            "workers share, such as a mounted bucket, found an object store"
        )


def _folders(kinds: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """Returns a path for each address; one inside another lies inside it."""
    folders: dict[str, str] = {}
    for number, address in enumerate(sorted(kinds, key=len)):
        outer = _outer(address, folders)
        inside = address.removeprefix(outer).lstrip("/")
        # The name is kept: a dataset is called as its folder.
        start = folders[outer] if outer else scratch / str(number)
        inside = inside if outer else address.rsplit("/", 1)[-1]
        folders[address] = os.path.join(start, inside)
    return folders


def _outer(address: str, others: Mapping[str, str]) -> str:
    """Returns the longest of the others that the address lies in, or ""."""
    around = [other for other in others if address.startswith(f"{other}/")]
    return max(around, key=len, default="")


@contextlib.contextmanager
def _mirrored(
    kinds: Mapping[str, str], folders: Mapping[str, str]
) -> Iterator[None]:
    """Brings everything here, and outputs back: now and then, and at last."""
    with Saver() as saver:
        for address in sorted(kinds, key=len):
            if _outer(address, dict.fromkeys(kinds, "")):
                continue  # comes and goes with the one around it
            store, folder = open_folder(address), Path(folders[address])
            mirror = Mirror(store, folder)
            with _naming(address):
                if kinds[address] == OUTPUT or (
                    kinds[address] == EITHER and not _is_complete(store)
                ):
                    right = Lease(address, store)
                    saver.take(Output(address, folder, mirror, right))
                found = mirror.pull()
            if found:
                print(f"{address}: {found} files brought here", flush=True)
        saver.begin()
        yield


def _is_complete(store: Folder) -> bool:
    """Whether a folder holds a finished output, or what nobody claims."""
    record = store.read(CONFIG)
    if record is None:
        return bool({*store.names()} - {lease.FILE})
    parts = parse_records(record, CONFIG).values()
    return all(part.get("status") == "complete" for part in parts)


@contextlib.contextmanager
def _naming(address: str) -> Iterator[None]:
    """Has errors of a store say which address they are about."""
    try:
        yield
    except OSError as error:
        if address in str(error):
            raise
        raise type(error)(f"{address}: {error.strerror or error}") from error


class _Renaming:
    """A stream in whose text folders bear their addresses."""

    def __init__(self, stream: TextIO, folders: Mapping[str, str]):
        self._stream, self._folders = stream, folders

    def write(self, text: str) -> int:
        self._stream.write(_renamed(text, self._folders))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def _saying(folders: Mapping[str, str]) -> Iterator[None]:
    """Has everything that is said name addresses."""
    out, err = (
        cast(TextIO, _Renaming(stream, folders))
        for stream in (sys.stdout, sys.stderr)
    )
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield
    except UserError as error:
        raise type(error)(_renamed(str(error), folders)) from error
    except OSError as error:
        for name in ("filename", "strerror"):
            if isinstance(text := getattr(error, name), str):
                setattr(error, name, _renamed(text, folders))
        raise


def _renamed(text: str, folders: Mapping[str, str]) -> str:
    for address in sorted(folders, key=len, reverse=True):
        text = text.replace(folders[address], address)
    return text
