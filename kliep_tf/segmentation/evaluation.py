"""Scores of a segmenter, image by image and over all of them."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from kliep_tf.data.class_sets import CITYSCAPES_CLASSES, ClassSet
from kliep_tf.data.confusions import FrameConfusions
from kliep_tf.data.examples import read_example
from kliep_tf.data.index import RecordIndex
from kliep_tf.data.pipeline import LabelledImages
from kliep_tf.segmentation import metrics
from kliep_tf.segmentation.consistency import (
    SKY_TO_VEGETATION,
    WatchedConfusion,
)
from kliep_tf.segmentation.inference import Segmenter
from kliep_tf.segmentation.metrics import count_matrices, predict_and_count
from kliep_tf.segmentation.plots import EvaluatedImage

# Takes a filename and uint8 [H, W] train ids.
WritePrediction = Callable[[str, np.ndarray], None]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What is known of a segmenter after it has seen a dataset.

    Attributes:
        frames: the confusion matrix of every image.
        classes: of the matrices.
        watched: the confusion that the report shows by name.
        groups: classes that may be taken for each other, in scores by group.
    """

    frames: FrameConfusions
    classes: ClassSet = CITYSCAPES_CLASSES
    watched: WatchedConfusion = SKY_TO_VEGETATION
    groups: metrics.Groups = dataclasses.field(
        default_factory=lambda: metrics.CITYSCAPES_CATEGORIES
    )

    @functools.cached_property
    def matrix(self) -> np.ndarray:
        """The confusion matrix of all images, int64 [C, C]."""
        return self.frames.matrices.sum(axis=0)

    @functools.cached_property
    def scores(self) -> list[tuple[str, float, float]]:
        """(filename, mean IoU, pixel accuracy) of every image.

        NaN where it has no labelled pixel.
        """
        return [
            (
                str(name),
                metrics.mean_iou(matrix),
                metrics.pixel_accuracy(matrix),
            )
            for name, matrix in zip(
                self.frames.filenames, self.frames.matrices, strict=True
            )
        ]

    def extremes(self, number: int) -> tuple[list[str], list[str]]:
        """Returns the names of the best and of the worst images.

        By mean IoU, the most extreme first; ties go by name.
        """
        scored = [
            (iou, name) for name, iou, _ in self.scores if not math.isnan(iou)
        ]
        best = sorted(scored, key=lambda score: (-score[0], score[1]))
        worst = sorted(scored)
        return (
            [name for _, name in best[:number]],
            [name for _, name in worst[:number]],
        )


def count_images(
    segmenter: Segmenter,
    batches: Iterable[LabelledImages],
    classes: ClassSet = CITYSCAPES_CLASSES,
    write_prediction: WritePrediction | None = None,
) -> Iterator[FrameConfusions]:
    """Yields the confusion matrices of each batch's images.

    Prediction and counting stay on the device; the matrices alone leave it,
    unless predictions are asked for.

    Args:
        segmenter: uint8 [N, H, W, 3] to probabilities [N, H, W, C].
        batches: NumPy arrays as `LabelledImages` says.
        classes: of the labels and of the segmenter.
        write_prediction: called with every image's prediction.

    Raises:
        UserError: a label is neither a train id nor ignored.
    """
    for batch in batches:
        predictions, matrices = _compare(
            segmenter(batch.image), batch.label, classes
        )
        names = [name.decode() for name in batch.filename]
        if write_prediction is not None:
            for name, prediction in zip(
                names, predictions.numpy(), strict=True
            ):
                write_prediction(name, prediction)
        yield FrameConfusions(np.asarray(names, np.str_), matrices)


def show_images(
    segmenter: Segmenter,
    index: RecordIndex,
    names: Iterable[str],
) -> list[EvaluatedImage]:
    """Returns some images with their predictions, to be drawn.

    Args:
        segmenter: the one that was evaluated.
        index: holds the images.
        names: their filenames.
    """
    rows = {str(name): row for row, name in enumerate(index.filenames)}
    found = []
    for name in names:
        image, label = read_example(index, rows[name])
        if label is None:
            label = np.full(
                image.shape[:2], index.classes.ignore_label, np.uint8
            )
        predictions, (matrix,) = _compare(
            segmenter(image[None]), label[None, ..., None], index.classes
        )
        found.append(
            EvaluatedImage(
                name,
                image,
                label,
                predictions.numpy()[0],
                metrics.mean_iou(matrix),
                metrics.pixel_accuracy(matrix),
            )
        )
    return found


def summarize(evaluation: Evaluation) -> dict[str, Any]:
    """Returns the numbers of report.json; null stands for "undefined"."""
    matrix, classes = evaluation.matrix, evaluation.classes
    labelled = matrix.sum(axis=1)
    return {
        "num_images": len(evaluation.frames),
        "num_images_without_labelled_pixel": sum(
            math.isnan(score) for _, score, _ in evaluation.scores
        ),
        "num_pixels": int(matrix.sum()),
        "mean_iou": _number(metrics.mean_iou(matrix)),
        "pixel_accuracy": _number(metrics.pixel_accuracy(matrix)),
        "class_accuracy": _number(metrics.class_accuracy(matrix)),
        "frequency_weighted_iou": _number(
            metrics.frequency_weighted_iou(matrix)
        ),
        **_group_scores(evaluation),
        **_watched_shares(evaluation),
        "per_class_iou": _named(classes, metrics.per_class_iou(matrix)),
        "class_pixel_shares": _named(
            classes, labelled / max(labelled.sum(), 1)
        ),
        "confusion_matrix": matrix.tolist(),
    }


def _compare(
    scores: tf.Tensor, label: np.ndarray, classes: ClassSet
) -> tuple[tf.Tensor, np.ndarray]:
    """Returns predictions uint8 [B, H, W] and matrices int64 [B, C, C]."""
    predictions, counts = predict_and_count(scores, label, classes.ignore_label)
    return predictions, count_matrices(counts, label, classes)


def _group_scores(evaluation: Evaluation) -> dict[str, Any]:
    groups = metrics.groups_of(evaluation.classes, evaluation.groups)
    if not groups:
        return {}
    matrix = metrics.group_matrix(evaluation.matrix, evaluation.classes, groups)
    iou = metrics.per_class_iou(matrix)
    return {
        "mean_category_iou": _number(metrics.mean_iou(matrix)),
        "per_category_iou": dict(zip(groups, map(_number, iou), strict=True)),
    }


def _watched_shares(evaluation: Evaluation) -> dict[str, Any]:
    watched, classes = evaluation.watched, evaluation.classes
    if not watched.is_in(classes):
        return {}
    return {
        "watched_confusion": {
            "label": watched.label,
            "prediction": watched.prediction,
            "kept": _number(watched.kept(evaluation.matrix, classes)),
            "confused": _number(watched.confused(evaluation.matrix, classes)),
        }
    }


def _named(classes: ClassSet, values: np.ndarray) -> dict[str, float | None]:
    return dict(zip(classes.names, map(_number, values), strict=True))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
