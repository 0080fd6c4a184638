import collections
import pickle
import sys
import types
import zipfile

import numpy as np
import pytest

from kliep_tf.data.tensors import read_tensors
from kliep_tf.errors import UserError


class _Storage:
    """What PyTorch pickles by its persistent id alone."""

    def __init__(self, key: str, values: np.ndarray):
        self.key, self.values = key, values


class _Tensor:
    def __init__(self, storage, offset, shape, strides):
        self.arguments = storage, offset, shape, strides, False, {}

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, _Storage):
            kind = sys.modules["torch"].FloatStorage
            return "storage", kind, obj.key, "cpu", len(obj.values)
        return None


@pytest.fixture(autouse=True)
def torch_names(monkeypatch):
    """The names in a file of PyTorch's, which need no PyTorch to be written."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})

    def _rebuild_tensor_v2(*_):
        raise AssertionError("only its name is written")

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


@pytest.fixture
def state():
    """a is [[0, 1, 2], [3, 4, 5]], b its transpose; c begins at value 4."""
    storage = _Storage("7", np.arange(6, dtype=np.float32))
    return collections.OrderedDict(
        a=_Tensor(storage, 0, (2, 3), (3, 1)),
        b=_Tensor(storage, 0, (3, 2), (1, 3)),
        c=_Tensor(storage, 4, (2,), (1,)),
    )


def _write_archive(path, state):
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("model/data.pkl", "w") as file:
            _Pickler(file, 2).dump(state)
        archive.writestr("model/data/7", np.arange(6, dtype="<f4").tobytes())


def _write_chain(path, state):
    with path.open("wb") as file:
        for preamble in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(preamble, file, 2)
        _Pickler(file, 2).dump(state)
        pickle.dump(["7"], file, 2)
        file.write((6).to_bytes(8, "little"))
        file.write(np.arange(6, dtype="<f4").tobytes())


@pytest.mark.parametrize("write", [_write_archive, _write_chain])
@pytest.mark.parametrize("nested", [False, True])
def test_tensors_are_views_of_their_storage(write, nested, state, tmp_path):
    path = tmp_path / "model.pth"
    write(path, {"epoch": 3, "state_dict": state} if nested else state)
    found = read_tensors(path)
    assert found.keys() == {"a", "b", "c"}
    np.testing.assert_array_equal(found["a"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(found["b"], [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(found["c"], [4, 5])


def test_no_code_of_a_file_runs(tmp_path):
    class Harmful:
        def __reduce__(self):
            return print, ("it ran",)

    path = tmp_path / "model.pth"
    _write_archive(path, Harmful())
    with pytest.raises(UserError, match=r"found __builtin__\.print"):
        read_tensors(path)


def test_file_that_is_cut_short_says_so(state, tmp_path):
    path = tmp_path / "model.pth"
    _write_chain(path, state)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(UserError, match="cut short before a"):
        read_tensors(path)
