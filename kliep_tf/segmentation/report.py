"""The report of an evaluation: JSON, Markdown, a table of frames, figures."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kliep_tf import runs
from kliep_tf.data.datasets import CLASS_NAMES
from kliep_tf.segmentation.evaluation import Evaluation, summarize
from kliep_tf.segmentation.figures import Frame, draw_confusion, draw_frames

REPORT_JSON, REPORT_MD = "report.json", "report.md"
FRAMES_CSV = "frames.csv"
CONFUSION_PNG, BEST_PNG, WORST_PNG = "confusion.png", "best.png", "worst.png"


def write_report(
    directory: Path,
    evaluation: Evaluation,
    best: list[Frame],
    worst: list[Frame],
    about: Mapping[str, str],
) -> None:
    """Writes report.json, report.md, frames.csv and the figures.

    Args:
        directory: must exist.
        evaluation: of at least one labelled pixel.
        best: the frames of the highest mean IoU, best first.
        worst: the frames of the lowest mean IoU, worst first.
        about: what was evaluated, by name: the segmenter, the records.
    """
    figures = {
        CONFUSION_PNG: draw_confusion(evaluation.matrix),
        BEST_PNG: draw_frames(best, "Best frames"),
        WORST_PNG: draw_frames(worst, "Worst frames"),
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


def table_row(summary: Mapping[str, Any], name: str) -> list[str]:
    """Returns Markdown lines: a header and one row, IoU in percent by class.

    The layout of the paper's Table I: the 19 classes, then the mean IoU.

    Args:
        summary: as `summarize` returns it.
        name: of the row.
    """
    values = [*summary["per_class_iou"].values(), summary["mean_iou"]]
    cells = ["-" if value is None else f"{100 * value:.1f}" for value in values]
    return [
        f"| | {' | '.join(CLASS_NAMES)} | mIoU |",
        "|---|" + "---:|" * len(cells),
        f"| {name} | {' | '.join(cells)} |",
    ]


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
    lines = ["# Evaluation of a segmenter", ""]
    lines += [f"- {name}: `{value}`" for name, value in about.items()]
    lines += [
        f"- images: {summary['num_images']}",
        f"- mean IoU: **{_percent(summary['mean_iou'])} %** over the classes "
        "that occur",
        f"- pixel accuracy: {_percent(summary['pixel_accuracy'])} %",
        "- frequency-weighted IoU: "
        f"{_percent(summary['frequency_weighted_iou'])} %",
        f"- mean IoU of the categories: "
        f"{_percent(summary['mean_category_iou'])} %",
        "",
        *_class_lines(summary),
        "",
        *_category_lines(summary),
        "",
        "As a row of a table, IoU in percent:",
        "",
        *table_row(summary, "segmenter"),
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


def _class_lines(summary: Mapping[str, Any]) -> list[str]:
    lines = [
        "| class | IoU, % | share of labelled pixels, % |",
        "|---|---:|---:|",
    ]
    for name, iou in summary["per_class_iou"].items():
        share = _percent(summary["class_pixel_shares"][name])
        lines.append(f"| {name} | {_percent(iou)} | {share} |")
    lines.append(f"| **mean** | **{_percent(summary['mean_iou'])}** | |")
    return lines


def _category_lines(summary: Mapping[str, Any]) -> list[str]:
    lines = ["| category | IoU, % |", "|---|---:|"]
    for name, iou in summary["per_category_iou"].items():
        lines.append(f"| {name} | {_percent(iou)} |")
    lines.append(f"| **mean** | **{_percent(summary['mean_category_iou'])}** |")
    return lines


def _percent(value: float | None) -> str:
    return "absent" if value is None else f"{100 * value:.2f}"
