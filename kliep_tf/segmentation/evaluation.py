"""Scores of a segmenter over a dataset, and the report that tells them."""

import csv
import dataclasses
import io
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kliep_tf import runs
from kliep_tf.data.datasets import CLASS_NAMES, NUM_CLASSES
from kliep_tf.data.pipeline import LabelledImages
from kliep_tf.segmentation import metrics
from kliep_tf.segmentation.figures import Frame, draw_confusion, draw_frames
from kliep_tf.segmentation.inference import Segmenter, predict_labels

REPORT_JSON, REPORT_MD = "report.json", "report.md"
FRAMES_CSV = "frames.csv"
CONFUSION_PNG, BEST_PNG, WORST_PNG = "confusion.png", "best.png", "worst.png"


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What is known of a segmenter after it has seen a dataset.

    Attributes:
        matrix: int64 [19, 19], labels in rows.
        scores: (filename, mean IoU, pixel accuracy) of every image, NaN where
            it has no labelled pixel.
        best: the frames of the highest mean IoU, best first.
        worst: the frames of the lowest mean IoU, worst first.
    """

    matrix: np.ndarray
    scores: list[tuple[str, float, float]]
    best: list[Frame]
    worst: list[Frame]


def evaluate_segmenter(
    segmenter: Segmenter,
    batches: Iterable[LabelledImages],
    num_shown: int = 3,
) -> Evaluation:
    """Returns the scores of a segmenter over labelled batches.

    Args:
        segmenter: uint8 [N, H, W, 3] to probabilities [N, H, W, 19].
        batches: NumPy arrays as `LabelledImages` says.
        num_shown: how many of the best and of the worst frames are kept.

    Raises:
        UserError: a label is neither a train id nor 255.
    """
    matrix = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)
    scores, best, worst = [], [], []
    for batch in batches:
        predictions = predict_labels(segmenter, batch.image)
        for image, label, name, prediction in zip(
            batch.image,
            batch.label[..., 0],
            batch.filename,
            predictions,
            strict=True,
        ):
            counts = metrics.confusion_matrix(label, prediction, NUM_CLASSES)
            matrix += counts
            iou, accuracy = (
                metrics.mean_iou(counts),
                metrics.pixel_accuracy(counts),
            )
            scores.append((name.decode(), iou, accuracy))
            if math.isnan(iou):
                continue
            # Copies: a view would keep its whole batch in memory.
            frame = Frame(
                name.decode(),
                image.copy(),
                label.copy(),
                prediction.copy(),
                iou,
                accuracy,
            )
            best = _first(num_shown, [*best, frame], sign=-1)
            worst = _first(num_shown, [*worst, frame], sign=1)
    return Evaluation(matrix, scores, best, worst)


def summarize(evaluation: Evaluation) -> dict[str, Any]:
    """Returns the figures of report.json; null stands for "undefined"."""
    matrix = evaluation.matrix
    iou = metrics.per_class_iou(matrix)
    labelled = matrix.sum(axis=1)
    return {
        "num_images": len(evaluation.scores),
        "num_images_without_labelled_pixel": sum(
            math.isnan(score) for _, score, _ in evaluation.scores
        ),
        "num_pixels": int(matrix.sum()),
        "mean_iou": _number(metrics.mean_iou(matrix)),
        "pixel_accuracy": _number(metrics.pixel_accuracy(matrix)),
        "per_class_iou": {
            name: _number(value)
            for name, value in zip(CLASS_NAMES, iou, strict=True)
        },
        "class_pixel_shares": {
            name: _number(value)
            for name, value in zip(
                CLASS_NAMES, labelled / max(labelled.sum(), 1), strict=True
            )
        },
        "confusion_matrix": matrix.tolist(),
    }


def write_report(
    directory: Path, evaluation: Evaluation, about: Mapping[str, str]
) -> None:
    """Writes report.json, report.md, frames.csv and the figures.

    Args:
        directory: must exist.
        evaluation: of at least one labelled pixel.
        about: what was evaluated, by name: the segmenter, the records.
    """
    figures = {
        CONFUSION_PNG: draw_confusion(evaluation.matrix),
        BEST_PNG: draw_frames(evaluation.best, "Best frames"),
        WORST_PNG: draw_frames(evaluation.worst, "Worst frames"),
    }
    for name, figure in figures.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        runs.write_atomically(directory / name, buffer.getvalue())
    runs.write_atomically(directory / FRAMES_CSV, _table(evaluation.scores))
    summary = {**about, **summarize(evaluation)}
    runs.write_atomically(directory / REPORT_MD, _markdown(summary, about))
    text = json.dumps(summary, indent=1) + "\n"
    runs.write_atomically(directory / REPORT_JSON, text)


def _first(number: int, frames: list[Frame], *, sign: int) -> list[Frame]:
    """Returns the frames of the least sign * mean IoU; ties go by name."""
    frames = sorted(frames, key=lambda f: (sign * f.mean_iou, f.filename))
    return frames[:number]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _table(scores: list[tuple[str, float, float]]) -> str:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["filename", "mean_iou", "pixel_accuracy"])
    writer.writerows(
        (name, f"{iou:.6g}", f"{accuracy:.6g}")
        for name, iou, accuracy in scores
    )
    return table.getvalue()


def _markdown(summary: Mapping[str, Any], about: Mapping[str, str]) -> str:
    def percent(value: float | None) -> str:
        return "absent" if value is None else f"{100 * value:.2f}"

    lines = ["# Evaluation of a segmenter", ""]
    lines += [f"- {name}: `{value}`" for name, value in about.items()]
    lines += [
        f"- images: {summary['num_images']}",
        f"- mean IoU: **{percent(summary['mean_iou'])} %** over the classes "
        "that occur",
        f"- pixel accuracy: {percent(summary['pixel_accuracy'])} %",
        "",
        "| class | IoU, % | share of labelled pixels, % |",
        "|---|---:|---:|",
    ]
    for name, iou in summary["per_class_iou"].items():
        share = percent(summary["class_pixel_shares"][name])
        lines.append(f"| {name} | {percent(iou)} | {share} |")
    lines += [
        f"| **mean** | **{percent(summary['mean_iou'])}** | |",
        "",
        f"![Confusion matrix]({CONFUSION_PNG})",
        "",
        f"![Best frames]({BEST_PNG})",
        "",
        f"![Worst frames]({WORST_PNG})",
        "",
        f"Every image's scores: [{FRAMES_CSV}]({FRAMES_CSV}).",
        "",
    ]
    return "\n".join(lines)
