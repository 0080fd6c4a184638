"""State dicts in PyTorch's own files (`*.pth`, `*.pt`), without PyTorch.

Two formats: a zip archive with data.pkl and one file a storage (torch 1.6 and
later), and before it a chain of pickles with the storages at the end. Nothing
is unpickled: the opcodes are read one by one (`pickletools.genops`), and those
that build dictionaries of tensors are understood. No code of a file runs, and
none can be named.
"""

import math
import os
import pickletools
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

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
_CALLS = ("OrderedDict", "_rebuild_tensor_v2", "_rebuild_parameter")
_PICKLES_BEFORE = 3  # magic number, version of the protocol, byte order
_LENGTH_BYTES = 8

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_ITEMS = {"APPEND": 1, "SETITEM": 2}
_IGNORED = ("PROTO", "FRAME", "STOP")
_PUSHED = ("INT", "LONG", "FLOAT", "STRING", "UNICODE", "BYTES")


class _View(NamedTuple):
    """A tensor before its storage is read."""

    key: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


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
    except (AttributeError, LookupError, TypeError, StopIteration) as error:
        raise ValueError(f"no state dict of PyTorch: {error}") from error


def _read_archive(path: str | os.PathLike) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        pickled = next(name for name in names if name.endswith("data.pkl"))
        folder = pickled.removesuffix("data.pkl")
        with archive.open(pickled) as file:
            parser = _Parser()
            views = _state_dict(parser.parse(file))

        def storage(key: str) -> bytes:
            return archive.read(f"{folder}data/{key}")

        return _arrays(views, parser.storage_types, storage)


def _read_chain(file: BinaryIO) -> dict[str, np.ndarray]:
    for _ in range(_PICKLES_BEFORE):
        _Parser().parse(file)
    parser = _Parser()
    views = _state_dict(parser.parse(file))
    storages = {}
    for key in _Parser().parse(file):
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        item = np.dtype(parser.storage_types[key]).itemsize
        storages[key] = file.read(length * item)
    return _arrays(views, parser.storage_types, storages.__getitem__)


class _Parser:
    """Reads one pickle of dictionaries of tensors; refuses anything else."""

    def __init__(self) -> None:
        self.storage_types: dict[str, type] = {}
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def parse(self, file: Any) -> Any:
        """Returns the value of the pickle that begins here."""
        for opcode, argument, _ in pickletools.genops(file):
            self._step(opcode.name, argument)
        return self._stack.pop()

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name == "MARK":
            self._marks.append(len(stack))
        elif name == "TUPLE":
            stack.append(tuple(self._from(self._marks.pop())))
        elif name in _TUPLES:
            count = _TUPLES[name]
            stack[-count:] = [tuple(stack[-count:])]
        elif name in ("APPEND", "SETITEM"):
            self._fill(self._from(len(stack) - _ITEMS[name]))
        elif name in ("APPENDS", "SETITEMS"):
            self._fill(self._from(self._marks.pop()))
        elif name == "GLOBAL":
            stack.append(_known(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            stack[-2:] = [_known(*stack[-2:])]
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(_called(stack.pop(), arguments))
        elif name == "BUILD":
            stack.pop()  # attributes of an OrderedDict, such as _metadata
        elif name == "BINPERSID":
            _, kind, key, *_ = stack.pop()
            self.storage_types[key] = _STORAGE_TYPES[kind]
            stack.append(key)
        elif any(kind in name for kind in _PUSHED):
            stack.append(argument)
        elif name not in _IGNORED:
            raise ValueError(f"found the opcode {name}")

    def _from(self, start: int) -> list[Any]:
        """Takes what lies on the stack from a place on."""
        taken = self._stack[start:]
        del self._stack[start:]
        return taken

    def _fill(self, items: list[Any]) -> None:
        """Puts items into the list or dict on top of the stack."""
        container = self._stack[-1]
        if isinstance(container, list):
            container.extend(items)
        else:
            container.update(zip(items[::2], items[1::2], strict=True))


def _known(module: str, name: str) -> str:
    """Returns the name of a class or function that a state dict consists of."""
    if name not in _STORAGE_TYPES and name not in _CALLS:
        raise ValueError(f"found {module}.{name}")
    return name


def _called(name: str, arguments: tuple) -> Any:
    """Returns what stands for the value of a call."""
    if name == "_rebuild_tensor_v2":
        return _View(*arguments[:4])
    if name == "_rebuild_parameter":
        return arguments[0]
    if name == "OrderedDict":
        return dict(*arguments)
    raise ValueError(f"found a call of {name}")


def _state_dict(loaded: Any) -> dict[str, _View]:
    if isinstance(loaded, dict):
        loaded = loaded.get("state_dict", loaded)
    views = loaded.items() if isinstance(loaded, dict) else ()
    found = {
        name: view
        for name, view in views
        if isinstance(name, str) and isinstance(view, _View)
    }
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
        if min((offset, *shape, *strides)) < 0:
            raise ValueError(f"{name} is of a negative length")
        values: np.ndarray = np.frombuffer(storage(key), storage_types[key])[
            offset:
        ]
        needed = 1 + sum(
            (length - 1) * stride
            for length, stride in zip(shape, strides, strict=True)
        )
        # Strides of 0 repeat values: a tensor larger than its storage.
        needed = max(needed, math.prod(shape))
        if 0 not in shape and needed > len(values):
            raise ValueError(f"the file is cut short before {name}")
        arrays[name] = np.lib.stride_tricks.as_strided(
            values, shape, [stride * values.itemsize for stride in strides]
        ).copy()
    return arrays
