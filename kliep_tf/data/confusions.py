"""The confusion matrix of every frame, by filename: saved, loaded, joined.

One npz file, readable by NumPy alone: filenames [N] str, matrices [N, C, C]
int64, labels in rows and predictions in columns. Every score of a segmenter
follows from these, and so does the spread of a score over frames.
"""

import dataclasses
import io
import os
from collections.abc import Sequence

import numpy as np

from kliep_tf import runs
from kliep_tf.data.npz_files import Array, read_npz
from kliep_tf.errors import UserError

_SCHEMA = {
    "filenames": Array("text", "N"),
    "matrices": Array("count", "NCC"),
}


@dataclasses.dataclass(frozen=True)
class FrameConfusions:
    """The confusion matrix of a segmenter on each frame.

    Attributes:
        filenames: [N] str.
        matrices: int64 [N, C, C], pixels by label (row) and prediction.
    """

    filenames: np.ndarray
    matrices: np.ndarray

    def __len__(self) -> int:
        return len(self.filenames)


def join(parts: Sequence[FrameConfusions]) -> FrameConfusions:
    """Returns the frames of all parts, in order."""
    return FrameConfusions(
        np.concatenate([part.filenames for part in parts]),
        np.concatenate([part.matrices for part in parts]),
    )


def save_confusions(
    path: str | os.PathLike, confusions: FrameConfusions
) -> None:
    """Writes the frames to an npz file, atomically."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        filenames=np.asarray(confusions.filenames, np.str_),
        matrices=np.asarray(confusions.matrices, np.int64),
    )
    runs.write_atomically(path, buffer.getvalue())


def load_confusions(path: str | os.PathLike) -> FrameConfusions:
    """Returns the frames of an npz file.

    Raises:
        UserError: the file is missing or of another kind.
    """
    expected = "the confusion matrices that evaluate writes"
    try:
        arrays = read_npz(path, expected, _SCHEMA)
    except FileNotFoundError:
        raise UserError(f"{path}: expected {expected}, found no file") from None
    return FrameConfusions(arrays["filenames"], arrays["matrices"])
