"""Confusion counts on the device that predicts."""

import numpy as np
import tensorflow as tf

from kliep_tf.data.datasets import IGNORE_LABEL, NUM_CLASSES
from kliep_tf.segmentation.metrics import confusion_matrix

_CELLS = NUM_CLASSES**2
# Behind the cells of the matrix: ignored pixels, and labels that are none.
_IGNORED, _INVALID = _CELLS, _CELLS + 1
_BINS = _CELLS + 2


@tf.function(reduce_retracing=True)
def predict_and_count(
    scores: tf.Tensor, label: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns each image's prediction and counts, at the label's resolution.

    Args:
        scores: float [B, h, w, 19], probabilities or logits; brought to the
            label's size first.
        label: uint8 [B, H, W, 1], train ids or 255.

    Returns:
        uint8 [B, H, W] train ids, and int32 [B, 363] for `matrices_of`.
    """
    size = tf.shape(label)[1:3]
    scores = tf.cond(
        tf.reduce_all(tf.shape(scores)[1:3] == size),
        lambda: scores,
        lambda: tf.cast(tf.image.resize(scores, size), scores.dtype),
    )
    prediction = tf.argmax(scores, -1, output_type=tf.int32)
    label = tf.cast(label[..., 0], tf.int32)
    cell = label * NUM_CLASSES + prediction
    cell = tf.where(label < NUM_CLASSES, cell, _INVALID)
    cell = tf.where(label == IGNORE_LABEL, _IGNORED, cell)
    batch = tf.shape(label)[0]
    # One histogram for all images: each has bins of its own.
    cell += _BINS * tf.range(batch)[:, tf.newaxis, tf.newaxis]
    counts = tf.math.bincount(
        tf.reshape(cell, [-1]), minlength=batch * _BINS, maxlength=batch * _BINS
    )
    return tf.cast(prediction, tf.uint8), tf.reshape(counts, [batch, _BINS])


def matrices_of(counts: tf.Tensor, label: np.ndarray) -> np.ndarray:
    """Returns int64 [B, 19, 19]: labels in rows, predictions in columns.

    Args:
        counts: as `predict_and_count` returns them.
        label: what they were counted on, uint8 [B, H, W, 1].

    Raises:
        UserError: a label is neither a train id nor 255.
    """
    counts = np.asarray(counts, np.int64)
    if counts[:, _INVALID].any():
        # Rare, and the slow way names the label.
        confusion_matrix(label, np.zeros_like(label), NUM_CLASSES)
    return counts[:, :_CELLS].reshape(-1, NUM_CLASSES, NUM_CLASSES)
