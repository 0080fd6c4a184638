"""The features that estimate_weights compares, by filename."""

import dataclasses
import io
import os
import zipfile
from pathlib import Path

import numpy as np

from kliep_tf import runs
from kliep_tf.errors import DataError


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


def save_features(path: str | os.PathLike, features: Features) -> None:
    """Writes the features to an npz file, atomically."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        filenames=np.asarray(features.filenames, np.str_),
        values=np.asarray(features.values, np.float32),
        names=np.asarray(features.names, np.str_),
    )
    runs.write_atomically(Path(path), buffer.getvalue())


def load_features(path: str | os.PathLike) -> Features:
    """Returns the features of an npz file.

    Raises:
        UserError: the file is no feature file.
    """
    try:
        with np.load(path) as file:
            return Features(file["filenames"], file["values"], file["names"])
    except (ValueError, KeyError, zipfile.BadZipFile, EOFError):
        raise DataError(
            f"{path}: expected features by filename, found something else"
        ) from None
