"""Addresses of object stores, and the folders here that stand for them."""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

# Google's store and, for tests, the memory of the process.
TENSORFLOW_SCHEMES = ("gs", "ram")
# By fsspec, and the package that it asks. The second is for tests.
FSSPEC_SCHEMES = {"s3": "s3fs", "memory": "fsspec"}

# Of an address, such as gs://bucket/records.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# By folder; see `standing_for`.
_addresses: dict[str, str] = {}


def scheme_of(path: str | os.PathLike) -> str:
    """Returns "gs" of gs://bucket/a, "" of a path of this machine."""
    match = _ADDRESS.match(os.fspath(path))
    return match[1].lower() if match else ""


@contextlib.contextmanager
def standing_for(addresses: Mapping[str, str]) -> Iterator[None]:
    """Lets `address_of` know folders of this machine.

    Args:
        addresses: what each folder stands for.
    """
    _addresses.update(addresses)
    try:
        yield
    finally:
        for folder in addresses:
            del _addresses[folder]


def address_of(value: Any) -> Any:
    """Returns the address that a path here stands for; others as they are.

    It is what reports and records say: the folder here is gone at the end.
    """
    if isinstance(value, str):
        for folder in sorted(_addresses, key=len, reverse=True):
            if value == folder or value.startswith(f"{folder}/"):
                return _addresses[folder] + value.removeprefix(folder)
    return value
