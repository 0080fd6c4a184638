"""Scores of a segmenter, frame by frame and in all."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from kliep_tf.data import images, records
from kliep_tf.data.confusions import FrameConfusions
from kliep_tf.data.datasets import CLASS_NAMES
from kliep_tf.data.index import RecordIndex
from kliep_tf.data.pipeline import LabelledImages
from kliep_tf.segmentation import metrics
from kliep_tf.segmentation.counting import matrices_of, predict_and_count
from kliep_tf.segmentation.figures import Frame
from kliep_tf.segmentation.inference import Segmenter

# Takes a filename and uint8 [H, W] train ids.
WritePrediction = Callable[[str, np.ndarray], None]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What is known of a segmenter after it has seen a dataset.

    Attributes:
        frames: the confusion matrix of every frame.
    """

    frames: FrameConfusions

    @functools.cached_property
    def matrix(self) -> np.ndarray:
        """The confusion matrix of all frames, int64 [19, 19]."""
        return self.frames.matrices.sum(axis=0)

    @functools.cached_property
    def scores(self) -> list[tuple[str, float, float]]:
        """(filename, mean IoU, pixel accuracy) of every frame.

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
        """Returns the names of the best and of the worst frames.

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


def count_frames(
    segmenter: Segmenter,
    batches: Iterable[LabelledImages],
    write_prediction: WritePrediction | None = None,
) -> Iterator[FrameConfusions]:
    """Yields the confusion matrices of each batch's frames.

    Prediction and counting stay on the device; the matrices alone leave it,
    unless predictions are asked for.

    Args:
        segmenter: uint8 [N, H, W, 3] to probabilities [N, H, W, 19].
        batches: NumPy arrays as `LabelledImages` says.
        write_prediction: called with every frame's prediction.

    Raises:
        UserError: a label is neither a train id nor 255.
    """
    for batch in batches:
        predictions, counts = predict_and_count(
            segmenter(batch.image), batch.label
        )
        names = [name.decode() for name in batch.filename]
        matrices = matrices_of(counts, batch.label)
        if write_prediction is not None:
            for name, prediction in zip(
                names, predictions.numpy(), strict=True
            ):
                write_prediction(name, prediction)
        yield FrameConfusions(np.asarray(names, np.str_), matrices)


def show_frames(
    segmenter: Segmenter, index: RecordIndex, names: Iterable[str]
) -> list[Frame]:
    """Returns some frames with their predictions, to be drawn.

    Args:
        segmenter: the one that was evaluated.
        index: holds the frames.
        names: their filenames.
    """
    rows = {str(name): row for row, name in enumerate(index.filenames)}
    return [_show(segmenter, index.read(rows[name]), name) for name in names]


def summarize(evaluation: Evaluation) -> dict[str, Any]:
    """Returns the figures of report.json; null stands for "undefined"."""
    matrix = evaluation.matrix
    labelled = matrix.sum(axis=1)
    categories = metrics.category_matrix(matrix)
    return {
        "num_images": len(evaluation.frames),
        "num_images_without_labelled_pixel": sum(
            math.isnan(score) for _, score, _ in evaluation.scores
        ),
        "num_pixels": int(matrix.sum()),
        "mean_iou": _number(metrics.mean_iou(matrix)),
        "pixel_accuracy": _number(metrics.pixel_accuracy(matrix)),
        "frequency_weighted_iou": _number(
            metrics.frequency_weighted_iou(matrix)
        ),
        "mean_category_iou": _number(metrics.mean_iou(categories)),
        "per_class_iou": _named(CLASS_NAMES, metrics.per_class_iou(matrix)),
        "per_category_iou": _named(
            metrics.CATEGORIES, metrics.per_class_iou(categories)
        ),
        "class_pixel_shares": _named(
            CLASS_NAMES, labelled / max(labelled.sum(), 1)
        ),
        "confusion_matrix": matrix.tolist(),
    }


def _show(segmenter: Segmenter, serialized: bytes, name: str) -> Frame:
    example = records.parse_example(serialized)
    image = images.decode_image(example[records.ENCODED])
    label = images.decode_label(example[records.LABEL_ENCODED])[None].numpy()
    predictions, counts = predict_and_count(segmenter(image[None]), label)
    (matrix,) = matrices_of(counts, label)
    return Frame(
        name,
        image.numpy(),
        label[0, ..., 0],
        predictions[0].numpy(),
        metrics.mean_iou(matrix),
        metrics.pixel_accuracy(matrix),
    )


def _named(names: Iterable[str], values: np.ndarray) -> dict[str, float | None]:
    return {
        name: _number(value) for name, value in zip(names, values, strict=True)
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
