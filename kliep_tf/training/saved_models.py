"""SavedModels that appear whole, or not at all."""

import os
import shutil
from pathlib import Path

import keras
import tensorflow as tf

# Without it no loader takes a directory for a SavedModel: it is moved last.
_GRAPH = "saved_model.pb"


def write_archive(
    archive: keras.export.ExportArchive, directory: str | os.PathLike
) -> None:
    """Writes an archive's endpoints into `directory`, which may exist.

    ExportArchive and not tf.saved_model.save: what the latter makes of a Keras
    3 model does not load in TensorFlow Serving (Keras issue 20095).

    Raises:
        OSError: the disk is full, or the directory cannot be written.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / ".partial"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        archive.write_out(str(temporary), verbose=False)
    except tf.errors.OpError as error:
        raise OSError(None, error.message, str(directory)) from error
    _sync(temporary)
    names = [entry.name for entry in temporary.iterdir()]
    for name in sorted(names, key=lambda name: name == _GRAPH):
        final = directory / name
        if final.is_dir():
            shutil.rmtree(final)
        os.replace(temporary / name, final)
    temporary.rmdir()


def _sync(directory: Path) -> None:
    for parent, _, names in os.walk(directory):
        for name in names:
            with open(os.path.join(parent, name), "rb") as file:
                os.fsync(file.fileno())
