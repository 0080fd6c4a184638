"""A trained network becomes a SavedModel that needs nothing of this library."""

import os

import keras
import tensorflow as tf

from kliep_tf.data import images
from kliep_tf.training.saved_models import write_archive


def export_segmenter(network: keras.Model, path: str | os.PathLike) -> None:
    """Writes `network` as a SavedModel; nothing loads it before it is whole.

    Its signature `serving_default` takes `images`, uint8 [N, H, W, 3] of any
    size, and returns `probabilities`, float32 [N, H, W, C].

    Args:
        network: maps float32 [N, H, W, 3] in [-1, 1] to logits [N, H, W, C].
            Made outside of any distribution strategy.
        path: the SavedModel's directory.
    """

    def serve(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = network(images.to_float(pixels), training=False)
        return {"probabilities": tf.nn.softmax(tf.cast(logits, tf.float32))}

    archive = keras.export.ExportArchive()
    archive.track(network)
    archive.add_endpoint(
        "serving_default",
        serve,
        [tf.TensorSpec([None, None, None, 3], tf.uint8, "images")],
    )
    write_archive(archive, path)
