"""The features that estimate_weights compares, by filename."""

import dataclasses
import io
import os
from pathlib import Path

import numpy as np

from kliep_tf import runs
from kliep_tf.data.npz_files import Array, read_npz
from kliep_tf.errors import DataError

# NaN: the class shares of an image without labels.
_SCHEMA = {
    "filenames": Array("text", "N"),
    "values": Array("number", "Nd", finite=False),
    "names": Array("text", "d"),
}


@dataclasses.dataclass(frozen=True)
class Features:
    """The features of one domain's images.

    Attributes:
        filenames: [N] str.
        values: [N, d] float32.
        names: [d] str, what each column is.
    """

    filenames: np.ndarray
    values: np.ndarray
    names: np.ndarray


def save_features(
    path: str | os.PathLike, features: Features, attempt: str = ""
) -> None:
    """Writes the features to an npz file, atomically.

    Args:
        path: of the file.
        features: of images by filename.
        attempt: as in `runs.write_atomically`.
    """
    buffer = io.BytesIO()
    np.savez(
        buffer,
        filenames=np.asarray(features.filenames, np.str_),
        values=np.asarray(features.values, np.float32),
        names=np.asarray(features.names, np.str_),
    )
    runs.write_atomically(Path(path), buffer.getvalue(), attempt)


def load_features(path: str | os.PathLike) -> Features:
    """Returns the features of an npz file.

    Raises:
        UserError: the file is no feature file.
    """
    arrays = read_npz(path, "features by filename", _SCHEMA)
    if np.isinf(arrays["values"]).any():
        raise DataError(
            f"{path}: expected features by filename, found infinity"
        )
    return Features(**{name: arrays[name] for name in _SCHEMA})
