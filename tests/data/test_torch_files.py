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


def test_opcodes_that_state_dicts_lack_are_refused(tmp_path):
    # INST and OBJ would call print; the persistent id and the extension too
    # lead to code in a pickle that is loaded.
    for code, name in (
        (b"(S'ran'\nibuiltins\nprint\n.", "INST"),
        (b"(cbuiltins\nprint\nS'ran'\no.", "builtins.print"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"Pkey\n.", "PERSID"),
    ):
        path = tmp_path / "model.pth"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("model/data.pkl", code)
        with pytest.raises(UserError, match=f"found .*{name}"):
            read_tensors(path)


def test_tensor_beyond_its_storage_is_refused(tmp_path):
    storage = _Storage("7", np.arange(6, dtype=np.float32))
    for offset, shape, strides, message in (
        (5, (2,), (1,), "cut short before a"),
        (0, (2**40,), (0,), "cut short before a"),
        (-2, (2,), (1,), "a is of a negative length"),
        (0, (2,), (-1,), "a is of a negative length"),
    ):
        path = tmp_path / "model.pth"
        _write_archive(path, {"a": _Tensor(storage, offset, shape, strides)})
        with pytest.raises(UserError, match=message):
            read_tensors(path)


def test_random_damage_is_one_line(state, tmp_path):
    whole = tmp_path / "whole.pth"
    _write_chain(whole, state)
    content = np.frombuffer(whole.read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    path = tmp_path / "model.pth"
    for _ in range(300):
        damaged = content.copy()
        damaged[rng.integers(len(content), size=2)] = rng.integers(256)
        path.write_bytes(damaged.tobytes())
        try:
            read_tensors(path)
        except UserError as error:
            assert str(error).startswith(f"{path}: expected")
            assert "\n" not in str(error)
