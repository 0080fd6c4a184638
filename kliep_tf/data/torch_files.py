"""State dicts in PyTorch's own files (`*.pth`, `*.pt`), without PyTorch.

Two formats: a zip archive with data.pkl and one file a storage (torch 1.6 and
later), and before it a chain of pickles with the storages at the end. The
unpickler knows tensors and nothing else, so that no code of a file runs.
"""

import collections
import os
import pickle
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

_STORAGE_TYPES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}
_PICKLES_BEFORE = 3  # magic number, version of the protocol, byte order
_LENGTH_BYTES = 8

# A tensor before its storage is read: key, offset, shape and strides.
_View = tuple[str, int, tuple[int, ...], tuple[int, ...]]


def read_torch(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Returns the arrays of a state dict by name.

    A dictionary that holds one under "state_dict", as checkpoints of trainings
    do, is taken for it.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        if zipfile.is_zipfile(path):
            return _read_archive(path)
        with open(path, "rb") as file:
            return _read_chain(file)
    except (pickle.UnpicklingError, EOFError, KeyError, IndexError) as error:
        raise ValueError(f"no state dict of PyTorch: {error}") from error


def _read_archive(path: str | os.PathLike) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        pickled = next(name for name in names if name.endswith("data.pkl"))
        folder = pickled.removesuffix("data.pkl")
        with archive.open(pickled) as file:
            unpickler = _Tensors(file)
            views = _state_dict(unpickler.load())

        def storage(key: str) -> bytes:
            return archive.read(f"{folder}data/{key}")

        return _arrays(views, unpickler.storage_types, storage)


def _read_chain(file: BinaryIO) -> dict[str, np.ndarray]:
    for _ in range(_PICKLES_BEFORE):
        _Tensors(file).load()
    unpickler = _Tensors(file)
    views = _state_dict(unpickler.load())
    storages = {}
    for key in _Tensors(file).load():
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        item = np.dtype(unpickler.storage_types[key]).itemsize
        storages[key] = file.read(length * item)
    return _arrays(views, unpickler.storage_types, storages.__getitem__)


class _Tensors(pickle.Unpickler):
    """Unpickles dictionaries of tensors; anything else is refused."""

    def __init__(self, file: Any):
        super().__init__(file)
        self.storage_types: dict[str, type] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Returns what stands for a class or function of the file."""
        if name in _STORAGE_TYPES:
            return _STORAGE_TYPES[name]
        known = {
            "OrderedDict": collections.OrderedDict,
            "_rebuild_tensor_v2": _view,
            "_rebuild_parameter": lambda view, *_: view,
        }
        if name not in known:
            raise pickle.UnpicklingError(f"found {module}.{name}")
        return known[name]

    def persistent_load(self, pid: Any) -> str:
        """Notes the type of a storage and returns its key."""
        _, kind, key, *_ = pid
        self.storage_types[key] = kind
        return key


def _view(
    key: str,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_: object,
) -> _View:
    return key, offset, shape, strides


def _state_dict(loaded: Any) -> dict[str, _View]:
    if isinstance(loaded, dict):
        loaded = loaded.get("state_dict", loaded)
    views = loaded.items() if isinstance(loaded, dict) else ()
    found = {name: view for name, view in views if isinstance(view, tuple)}
    if not found:
        raise ValueError("expected a state dict of PyTorch, found no tensor")
    return found


def _arrays(
    views: dict[str, _View],
    storage_types: dict[str, type],
    storage: Callable[[str], bytes],
) -> dict[str, np.ndarray]:
    arrays = {}
    for name, (key, offset, shape, strides) in views.items():
        values: np.ndarray = np.frombuffer(storage(key), storage_types[key])[
            offset:
        ]
        needed = 1 + sum(
            (length - 1) * stride
            for length, stride in zip(shape, strides, strict=True)
        )
        if 0 not in shape and needed > len(values):
            raise ValueError(f"the file is cut short before {name}")
        arrays[name] = np.lib.stride_tricks.as_strided(
            values, shape, [stride * values.itemsize for stride in strides]
        ).copy()
    return arrays
