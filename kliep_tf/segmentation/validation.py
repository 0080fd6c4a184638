"""IoU curves of a network in training."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from kliep_tf.data import images
from kliep_tf.data.datasets import CLASS_NAMES, NUM_CLASSES
from kliep_tf.data.pipeline import make_image_dataset
from kliep_tf.data.reading import equal_size_batches, read_all
from kliep_tf.segmentation import metrics
from kliep_tf.segmentation.counting import matrices_of, predict_and_count
from kliep_tf.training.scalars import ScalarWriter

_BATCH_SIZE = 4


def make_validation(
    network: keras.Model, paths: Sequence[str]
) -> Callable[[int], None]:
    """Returns a hook that writes val/mean_iou and each class's IoU.

    Args:
        network: maps float32 images [N, H, W, 3] in [-1, 1] to logits.
        paths: shards of labelled examples, taken at their stored size.
    """

    scalars = ScalarWriter()

    @tf.function(reduce_retracing=True)
    def logits_of(pixels: tf.Tensor) -> tf.Tensor:
        return network(images.to_float(pixels), training=False)

    def validate(step: int) -> None:
        matrix = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)
        examples = read_all(make_image_dataset(paths), "val_records")
        for batch in equal_size_batches(examples, _BATCH_SIZE):
            _, counts = predict_and_count(logits_of(batch.image), batch.label)
            matrix += matrices_of(counts, batch.label).sum(axis=0)
        scalars.write(step, _figures(matrix))

    return validate


def _figures(matrix: np.ndarray) -> dict[str, float]:
    figures = {
        "val/mean_iou": metrics.mean_iou(matrix),
        "val/pixel_accuracy": metrics.pixel_accuracy(matrix),
    }
    iou = metrics.per_class_iou(matrix)
    for name, value in zip(CLASS_NAMES, iou, strict=True):
        # A class that occurs nowhere has no curve.
        if not np.isnan(value):
            figures[f"val_iou/{name}"] = value
    return figures
