"""SavedModels that appear whole, or not at all."""

import functools
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import keras
import tensorflow as tf

from kliep_tf import fingerprints, runs
from kliep_tf.data import files
from kliep_tf.errors import DataError, UserError, reason_of
from kliep_tf.training import keras_compat
from kliep_tf.training.checkpoints import DAMAGE

# TensorFlow's name for files that travel with a model and are no part of it.
EXTRA_ASSETS = "assets.extra"

# Without it no loader takes a directory for a SavedModel: it is moved last.
_GRAPH = "saved_model.pb"


def write_archive(
    archive: keras.export.ExportArchive,
    directory: str | os.PathLike,
    extra_assets: Mapping[str, str] | None = None,
) -> None:
    """Writes an archive's endpoints into `directory`, which may exist.

    By ExportArchive: a Keras 3 model that tf.saved_model.save wrote does not
    load in TensorFlow Serving (Keras issue 20095).

    Args:
        archive: what is written.
        directory: of the SavedModel.
        extra_assets: text files by name that TensorFlow leaves alone, kept in
            the folder EXTRA_ASSETS.

    Raises:
        OSError: the disk is full, or the directory cannot be written.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / ".partial"
    shutil.rmtree(temporary, ignore_errors=True)
    keras_compat.write_in_order(archive)
    try:
        archive.write_out(str(temporary), verbose=False)
    except tf.errors.OpError as error:
        raise OSError(None, reason_of(error), str(directory)) from error
    if extra_assets:
        (temporary / EXTRA_ASSETS).mkdir()
    for name, text in (extra_assets or {}).items():
        (temporary / EXTRA_ASSETS / name).write_text(text)
    _sync(temporary)
    # An earlier export's graph goes first: half of the new files beside it
    # would be taken for a whole model.
    (directory / _GRAPH).unlink(missing_ok=True)
    names = [entry.name for entry in temporary.iterdir()]
    for name in sorted(names, key=lambda name: name == _GRAPH):
        final = directory / name
        if final.is_dir():
            shutil.rmtree(final)
        runs.replace_durably(temporary / name, final)
    temporary.rmdir()


def load(directory: str | os.PathLike, flag: str = "") -> tf.Module:
    """Returns a SavedModel.

    Args:
        directory: where it lies, on a disk or in an object store.
        flag: the flag that named it, for messages.

    Raises:
        UserError: there is none, or it is damaged.
    """
    where = f"--{flag}={directory}" if flag else os.fspath(directory)
    if not is_whole(directory):
        raise UserError(
            f"{where}: expected a SavedModel directory, found no {_GRAPH} in it"
        )
    try:
        return tf.saved_model.load(os.fspath(directory))
    except (OSError, *DAMAGE) as error:
        raise DataError(
            f"{where}: expected a whole SavedModel, found one that does not "
            f"load ({reason_of(error)})"
        ) from error


def is_whole(directory: str | os.PathLike) -> bool:
    """Whether `directory` holds a SavedModel that was written to its end."""
    return files.is_file(_graph_of(directory))


def fingerprint(directory: str | os.PathLike) -> runs.Fingerprint:
    """Returns a fingerprint that changes when a SavedModel is replaced.

    One whose times differ is known by all its files: those of another training
    may have the same graph.

    Raises:
        OSError: there is none.
    """
    everything = sorted(fingerprints.files_of(directory))
    return runs.Fingerprint(
        fingerprints.of([_graph_of(directory)]),
        functools.partial(fingerprints.of_contents, everything),
    )


def _graph_of(directory: str | os.PathLike) -> str:
    # No Path: it makes one slash of the two in gs://.
    return os.path.join(os.fspath(directory), _GRAPH)


def _sync(directory: Path) -> None:
    for parent, _, names in os.walk(directory):
        for name in names:
            with open(os.path.join(parent, name), "rb") as file:
                os.fsync(file.fileno())
