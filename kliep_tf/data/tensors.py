"""Files of named arrays: npz, safetensors, PyTorch's and TensorFlow's."""

import os
from collections.abc import Mapping

import numpy as np
import safetensors.numpy
import tensorflow as tf

from kliep_tf.data.npz_files import read_npz
from kliep_tf.data.plain_paths import plain_path
from kliep_tf.data.torch_files import read_torch
from kliep_tf.errors import DataError, UserError, reason_of


def read_tensors(path: str | os.PathLike) -> Mapping[str, np.ndarray]:
    """Returns the arrays of a file by name.

    Args:
        path: `*.npz`, `*.safetensors`, `*.pth` or `*.pt`, or the prefix of a
            TensorFlow checkpoint (`model.ckpt` where `model.ckpt.index`
            exists).

    Raises:
        UserError: there is no such file, or it is of another kind.
    """
    path = os.fspath(path)
    if os.path.isfile(f"{path}.index"):
        return _read_checkpoint(path)
    readers = {
        ".npz": _read_npz,
        ".safetensors": _read_safetensors,
        ".pth": read_torch,
        ".pt": read_torch,
    }
    extension = os.path.splitext(path)[1]
    if extension not in readers or not os.path.isfile(path):
        raise UserError(
            f"{path}: expected a file *.npz, *.safetensors, *.pth or *.pt, or "
            "the prefix of a TensorFlow checkpoint, found none"
        )
    try:
        return readers[extension](path)
    except (DataError, OSError):
        raise
    except Exception as error:  # of damage, zipfile alone raises seven kinds
        raise DataError(
            f"{path}: expected arrays by name, found something else "
            f"({reason_of(error)})"
        ) from error


def tensor_files(path: str | os.PathLike) -> list[str]:
    """Returns the files behind a path that `read_tensors` takes."""
    path = os.fspath(path)
    if not os.path.isfile(f"{path}.index"):
        return [path]
    directory, name = os.path.split(path)
    parts = (f"{name}.index", f"{name}.data-")
    return [
        os.path.join(directory, entry)
        for entry in sorted(os.listdir(directory or "."))
        if entry.startswith(parts)
    ]


def _read_checkpoint(path: str) -> dict[str, np.ndarray]:
    try:
        with plain_path(path) as plain:
            reader = tf.train.load_checkpoint(plain)
            names = reader.get_variable_to_shape_map()
            return {
                name: reader.get_tensor(name)
                for name in names
                if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
            }
    except (tf.errors.OpError, ValueError) as error:
        raise DataError(
            f"{path}: expected a whole TensorFlow checkpoint, found a damaged "
            f"one ({reason_of(error)})"
        ) from error


def _read_npz(path: str) -> dict[str, np.ndarray]:
    return read_npz(path, "arrays by name")


def _read_safetensors(path: str) -> dict[str, np.ndarray]:
    return dict(safetensors.numpy.load_file(path))
