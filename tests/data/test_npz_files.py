"""What is wrong with an npz file is one line that names the file."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from kliep_tf.data.npz_files import Array, read_npz
from kliep_tf.errors import DataError

SCHEMA = {
    "names": Array("text", "N"),
    "values": Array("number", "Nd"),
    "counts": Array("count", "N"),
    "title": Array("text", ""),
}
GOOD = {
    "names": np.array(["a", "b"]),
    "values": np.zeros((2, 3), np.float32),
    "counts": np.array([0, 2]),
    "title": np.array("of two"),
}


def error_of(path):
    with pytest.raises(DataError) as error:
        read_npz(path, "a table", SCHEMA)
    message = str(error.value)
    assert message.startswith(f"{path}: expected a table")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"names": np.array([1, 2])}, "names of text [N], found int64"),
        ({"names": np.array(["a"])}, "one length, found 2 and 1"),
        ({"values": np.zeros(2)}, "[N, d], found the shape [2]"),
        ({"values": np.array([["1"], ["2"]])}, "numbers [N, d], found <U1"),
        ({"values": np.array([[0.0], [np.nan]])}, "finite numbers"),
        ({"values": np.array([[0.0], [-np.inf]])}, "found -inf"),
        ({"counts": np.array([1, -1])}, "whole numbers [N], found -1"),
        ({"counts": np.array([1.0, 2.0])}, "whole numbers [N], found float64"),
        ({"title": np.array(["a"])}, "text [], found the shape [1]"),
        # Of a damaged file: a surrogate, which no encoding has.
        ({"title": np.array("\ud800")}, "found characters that do not exist"),
    ],
)
def test_other_arrays_are_told(tmp_path, change, found):
    np.savez(tmp_path / "x.npz", **(GOOD | change))
    assert found in error_of(tmp_path / "x.npz")


def test_missing_array_is_told(tmp_path):
    np.savez(tmp_path / "x.npz", names=GOOD["names"])
    assert "with the array values, found names" in error_of(tmp_path / "x.npz")


def test_nothing_is_unpickled(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (tmp_path / "ran").touch, ()

    path = tmp_path / "x.npz"
    objects = np.array([Harmful()], object)
    np.savez(path, **(GOOD | {"names": objects}), allow_pickle=True)
    assert "Object arrays cannot be loaded" in error_of(path)
    path.write_bytes(pickle.dumps(Harmful()))
    assert "no npz file" in error_of(path)
    np.save(tmp_path / "x.npy", objects, allow_pickle=True)
    (tmp_path / "x.npy").rename(path)
    assert "no npz file" in error_of(path)
    assert not (tmp_path / "ran").exists()


def test_array_larger_than_any_memory_is_told(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header,
        {"descr": "<f8", "fortran_order": False, "shape": (2**40, 2**18)},
    )
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("names.npy", header.getvalue())
    error_of(path)


def test_flipped_and_missing_bytes_are_one_line(tmp_path):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **GOOD)
    whole = buffer.getvalue()
    rng = np.random.default_rng(0)
    path = tmp_path / "x.npz"
    refused = 0
    for _ in range(300):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[rng.integers(len(whole), size=2)] = rng.integers(256)
        path.write_bytes(
            damaged.tobytes()[: rng.integers(len(whole) // 2, 9999)]
        )
        try:
            read_npz(path, "a table", SCHEMA)
        except DataError as error:
            refused += 1
            assert str(error).startswith(f"{path}: expected a table")
            assert "\n" not in str(error)
    # Dates and flags of the zip directory are nothing that is read.
    assert refused > 200


def test_text_of_characters_that_do_not_exist_is_refused(tmp_path):
    # NumPy itself ends in a SystemError when it makes strings of them.
    names = np.array([0x41, 0x110000], np.uint32).view("U1")
    np.savez(tmp_path / "a.npz", names=names)
    with pytest.raises(DataError, match="found characters that do not exist"):
        read_npz(tmp_path / "a.npz", "names", {"names": Array("text", "N")})
