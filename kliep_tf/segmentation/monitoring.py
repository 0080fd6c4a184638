"""What TensorBoard shows of a network in training: IoU curves, pictures."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from kliep_tf.data import images, pipeline
from kliep_tf.data.augmentation import Augmentation
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES, ClassSet
from kliep_tf.data.index import RecordIndex
from kliep_tf.data.pipeline import make_image_dataset
from kliep_tf.data.reading import equal_size_batches, read_all
from kliep_tf.segmentation import metrics
from kliep_tf.segmentation.plots import triptych
from kliep_tf.training.loop import Hook
from kliep_tf.training.scalars import ScalarWriter

# What a segmenter's scalars are; see `kliep_tf.training.scalars`.
DESCRIPTIONS = {
    "loss": (
        "mean cross-entropy of a labelled pixel in nats, images by their "
        "weights; lower is better."
    ),
    "pixel_accuracy": (
        "share (0 to 1) of labelled pixels of the training batches that are "
        "predicted rightly; higher is better."
    ),
    "learning_rate": (
        "step size of the optimizer by --schedule; neither higher nor lower is "
        "better."
    ),
    "val/mean_iou": (
        "mean IoU (0 to 1) of the classes that occur in --val_records; higher "
        "is better."
    ),
    "val/pixel_accuracy": (
        "share (0 to 1) of labelled pixels of --val_records that are predicted "
        "rightly; higher is better."
    ),
    "val_iou/": (
        "IoU (0 to 1) of this class in --val_records; higher is better."
    ),
}

_BATCH_SIZE = 4
_NUM_PICTURES = 4


@dataclasses.dataclass(frozen=True)
class Monitoring:
    """What TensorBoard shows beside the losses.

    Attributes:
        picture_every: steps between pictures.
        val_every: steps between points of the IoU curves.
        val_paths: shards of labelled examples for IoU curves; may be empty.
    """

    picture_every: int
    val_every: int
    val_paths: tuple[str, ...] = ()

    def hooks(
        self,
        network: keras.Model,
        index: RecordIndex,
        augmentation: Augmentation,
        seed: int,
    ) -> list[Hook]:
        """Returns the hooks of a training run.

        Args:
            network: maps float32 images [N, H, W, 3] in [-1, 1] to logits.
            index: labelled examples, the first of which are shown.
            augmentation: of the training; pictures have no random colours.
            seed: of the crops.
        """
        fixed = augmentation.without_chance()
        show = make_pictures(network, index, fixed, seed)
        hooks = [Hook(self.picture_every, show)]
        if self.val_paths:
            validate = make_validation(network, self.val_paths, index.classes)
            hooks.append(Hook(self.val_every, validate))
        return hooks


def make_validation(
    network: keras.Model,
    paths: Sequence[str],
    classes: ClassSet = CITYSCAPES_CLASSES,
) -> Callable[[int], None]:
    """Returns a hook that writes val/mean_iou and each class's IoU.

    Args:
        network: maps float32 images [N, H, W, 3] in [-1, 1] to logits.
        paths: shards of labelled examples, taken at their stored size.
        classes: of the labels.
    """
    scalars = ScalarWriter(DESCRIPTIONS)

    @tf.function(reduce_retracing=True, autograph=False)
    def logits_of(pixels: tf.Tensor) -> tf.Tensor:
        return network(images.to_float(pixels), training=False)

    def validate(step: int) -> None:
        matrix = np.zeros((len(classes), len(classes)), np.int64)
        examples = read_all(make_image_dataset(paths), "val_records", paths)
        for batch in equal_size_batches(examples, _BATCH_SIZE):
            _, counts = metrics.predict_and_count(
                logits_of(batch.image), batch.label, classes.ignore_label
            )
            matrices = metrics.count_matrices(counts, batch.label, classes)
            matrix += matrices.sum(axis=0)
        scalars.write(step, _scores(matrix, classes))

    return validate


def make_pictures(
    network: keras.Model,
    index: RecordIndex,
    augmentation: Augmentation,
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
            np.stack([triptych(*row, index.classes) for row in rows]),
            step,
            max_outputs=number,
            description="Image, label, prediction; ignored pixels are black.",
        )

    return show


def _scores(matrix: np.ndarray, classes: ClassSet) -> dict[str, float]:
    scores = {
        "val/mean_iou": metrics.mean_iou(matrix),
        "val/pixel_accuracy": metrics.pixel_accuracy(matrix),
    }
    iou = metrics.per_class_iou(matrix)
    for name, value in zip(classes.names, iou, strict=True):
        # A class that occurs nowhere has no curve.
        if not np.isnan(value):
            scores[f"val_iou/{name}"] = float(value)
    return scores
