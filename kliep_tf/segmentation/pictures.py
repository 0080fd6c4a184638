"""What TensorBoard shows of a segmenter in training."""

import functools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from kliep_tf.data import images, pipeline
from kliep_tf.data.index import RecordIndex
from kliep_tf.data.reading import read_all
from kliep_tf.segmentation.figures import triptych

_NUM_PICTURES = 4


def make_pictures(
    network: keras.Model,
    index: RecordIndex,
    augmentation: pipeline.Augmentation,
    seed: int,
) -> Callable[[int], None]:
    """Returns a hook that shows images, their labels and predictions.

    The images are the first of the index, cropped alike every time.

    Args:
        network: maps float32 images [N, H, W, 3] in [-1, 1] to logits.
        index: of labelled examples.
        augmentation: brings them to one size.
        seed: of the crops.
    """
    number = min(_NUM_PICTURES, len(index))
    dataset = pipeline.make_labelled_dataset(
        index.select(np.arange(number)),
        augmentation,
        batch_size=number,
        seed=seed,
    )

    @functools.cache
    def examples() -> tuple[np.ndarray, np.ndarray]:
        return next(read_all(dataset.take(1), "train_records"))

    def show(step: int) -> None:
        image, label = examples()
        logits = network(image, training=False)
        predictions = tf.argmax(logits, -1, output_type=tf.int32).numpy()
        pixels = images.to_uint8(image).numpy()
        rows = zip(pixels, label[..., 0], predictions, strict=True)
        tf.summary.image(
            "image_label_prediction",
            np.stack([triptych(*row) for row in rows]),
            step,
            max_outputs=number,
            description="Image, label, prediction; ignored pixels are black.",
        )

    return show
