import json

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data.tensors import read_tensors, tensor_files
from kliep_tf.errors import UserError


def _safetensors(header: dict, data: bytes) -> bytes:
    """The format by hand: length of the header, header, arrays."""
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def test_safetensors(tmp_path):
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    b = np.array([7], np.int64)
    header = {
        "__metadata__": {"format": "pt"},
        "a.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "I64", "shape": [1], "data_offsets": [24, 32]},
    }
    path = tmp_path / "model.safetensors"
    path.write_bytes(_safetensors(header, a.tobytes() + b.tobytes()))
    tensors = read_tensors(path)
    assert tensors.keys() == {"a.weight", "b"}
    np.testing.assert_array_equal(tensors["a.weight"], a)
    np.testing.assert_array_equal(tensors["b"], b)


def test_checkpoint_and_its_files(tmp_path):
    path = str(tmp_path / "model.ckpt")
    tf.raw_ops.SaveV2(
        prefix=path,
        tensor_names=["scope/weights"],
        shape_and_slices=[""],
        tensors=[np.float32([1, 2])],
    )
    (tmp_path / "model.ckpt.meta").write_text("what else lies there")
    np.testing.assert_array_equal(read_tensors(path)["scope/weights"], [1, 2])
    assert tensor_files(path) == [
        f"{path}.data-00000-of-00001",
        f"{path}.index",
    ]


def test_npz_is_one_file(tmp_path):
    path = tmp_path / "w.npz"
    np.savez(path, a=np.zeros(2))
    assert read_tensors(path)["a"].shape == (2,)
    assert tensor_files(path) == [str(path)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.npz", None, "found none"),
        (
            "weights.bin",
            b"x",
            r"expected a file \*.npz, \*.safetensors, \*.pth",
        ),
        ("weights.pth", b"x", "found something else"),
        ("w.npz", b"no zip", "found something else"),
        ("w.safetensors", b"\xff" * 20, "found something else"),
        ("w.safetensors", _safetensors({"a": {}}, b""), "found something else"),
        (
            "w.safetensors",
            _safetensors(
                {"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 2]}},
                b"\0" * 2,
            ),
            "found something else",
        ),
        (
            "w.safetensors",
            _safetensors(
                {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}},
                b"\0" * 4,  # cut short
            ),
            "found something else",
        ),
        ("m.ckpt.index", b"no index", "expected a whole TensorFlow checkpoint"),
    ],
)
def test_what_cannot_be_read_is_one_line(name, content, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as raised:
        read_tensors(tmp_path / name.removesuffix(".index"))
    assert "\n" not in str(raised.value)
