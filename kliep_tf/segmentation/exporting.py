"""A trained network becomes a SavedModel that needs nothing of this library."""

import os
import shutil
from pathlib import Path

import keras
import tensorflow as tf

from kliep_tf import runs
from kliep_tf.data import images


def export_segmenter(network: keras.Model, path: str | os.PathLike) -> None:
    """Writes `network` as a SavedModel, atomically.

    Its signature `serving_default` takes `images`, uint8 [N, H, W, 3] of any
    size, and returns `probabilities`, float32 [N, H, W, C].

    Args:
        network: maps float32 [N, H, W, 3] in [-1, 1] to logits [N, H, W, C].
            Made outside of any distribution strategy.
        path: must not exist.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)

    def serve(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = network(images.to_float(pixels), training=False)
        return {"probabilities": tf.nn.softmax(tf.cast(logits, tf.float32))}

    # ExportArchive and not tf.saved_model.save: what the latter writes of a
    # Keras 3 model does not load in TensorFlow Serving (Keras issue 20095).
    archive = keras.export.ExportArchive()
    archive.track(network)
    archive.add_endpoint(
        "serving_default",
        serve,
        [tf.TensorSpec([None, None, None, 3], tf.uint8, "images")],
    )
    try:
        archive.write_out(str(temporary), verbose=False)
    except tf.errors.OpError as error:
        raise OSError(None, error.message, str(path)) from error
    _sync(temporary)
    runs.replace_durably(temporary, path)


def _sync(directory: Path) -> None:
    """Waits until every file of a directory is on disk."""
    for parent, _, names in os.walk(directory):
        for name in names:
            with open(os.path.join(parent, name), "rb") as file:
                os.fsync(file.fileno())
