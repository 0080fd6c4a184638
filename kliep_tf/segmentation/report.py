"""The report of an evaluation: JSON, Markdown, a table of images, plots."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kliep_tf import runs
from kliep_tf.segmentation.evaluation import Evaluation, summarize
from kliep_tf.segmentation.plots import (
    EvaluatedImage,
    draw_confusion,
    draw_images,
)

# Scores by the names under which others report them; keys of report.json.
MEASURES = {
    "PixelAcc": "pixel_accuracy",
    "ClassAcc": "class_accuracy",
    "mIoU": "mean_iou",
    "fwIoU": "frequency_weighted_iou",
}

REPORT_JSON, REPORT_MD = "report.json", "report.md"
FRAMES_CSV = "frames.csv"
CONFUSION_PNG, BEST_PNG, WORST_PNG = "confusion.png", "best.png", "worst.png"


def write_report(
    directory: Path,
    evaluation: Evaluation,
    best: list[EvaluatedImage],
    worst: list[EvaluatedImage],
    about: Mapping[str, str],
    ceiling: Mapping[str, Any] | None = None,
) -> None:
    """Writes report.json, report.md, frames.csv and the plots.

    Args:
        directory: must exist.
        evaluation: of at least one labelled pixel.
        best: the images of the highest mean IoU, best first.
        worst: the images of the lowest mean IoU, worst first.
        about: what was evaluated, by name: the segmenter, the records.
        ceiling: report.json of the same segmenter on untranslated images, to
            be shown beside.
    """
    classes = evaluation.classes
    plots = {
        CONFUSION_PNG: draw_confusion(evaluation.matrix, classes),
        BEST_PNG: draw_images(best, "Best images", classes),
        WORST_PNG: draw_images(worst, "Worst images", classes),
    }
    for name, figure in plots.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        runs.write_atomically(directory / name, buffer.getvalue())
    runs.write_atomically(directory / FRAMES_CSV, _table(evaluation.scores))
    summary = {**about, **summarize(evaluation)}
    if ceiling is not None:
        names = ("records", *MEASURES.values(), "watched_confusion")
        summary["ceiling"] = {
            name: ceiling[name] for name in names if name in ceiling
        }
    runs.write_atomically(directory / REPORT_MD, _markdown(summary, about))
    text = json.dumps(summary, indent=1) + "\n"
    runs.write_atomically(directory / REPORT_JSON, text)


def table_row(summary: Mapping[str, Any], name: str) -> list[str]:
    """Returns Markdown lines: a header and one row, IoU in percent by class.

    The layout of the paper's Table I: the classes, then the mean IoU.

    Args:
        summary: as `summarize` returns it.
        name: of the row.
    """
    values = [*summary["per_class_iou"].values(), summary["mean_iou"]]
    cells = ["-" if value is None else f"{100 * value:.1f}" for value in values]
    return [
        f"| | {' | '.join(summary['per_class_iou'])} | mIoU |",
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
        "",
        *_measure_lines(summary),
        "",
        *_class_lines(summary),
        "",
        *_category_lines(summary),
        "As a row of a table, IoU in percent:",
        "",
        *table_row(summary, "segmenter"),
        "",
        f"![Confusion matrix]({CONFUSION_PNG})",
        "",
        f"![Best images]({BEST_PNG})",
        "",
        f"![Worst images]({WORST_PNG})",
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
    if "per_category_iou" not in summary:
        return []
    lines = ["| category | IoU, % |", "|---|---:|"]
    for name, iou in summary["per_category_iou"].items():
        lines.append(f"| {name} | {_percent(iou)} |")
    mean = _percent(summary["mean_category_iou"])
    return [*lines, f"| **mean** | **{mean}** |", ""]


def _measure_lines(summary: Mapping[str, Any]) -> list[str]:
    """A table of the scores, the ceiling's beside them where it is given."""
    columns = {"score, %": summary}
    if "ceiling" in summary:
        columns["ceiling, %"] = summary["ceiling"]
    rows = {
        name: [column.get(key) for column in columns.values()]
        for name, key in MEASURES.items()
    }
    watched = summary.get("watched_confusion")
    if watched is not None:
        label, prediction = watched["label"], watched["prediction"]
        shares = [
            column.get("watched_confusion", {}) for column in columns.values()
        ]
        rows[f"{label} predicted as {label}"] = [s.get("kept") for s in shares]
        rows[f"{label} predicted as {prediction}"] = [
            s.get("confused") for s in shares
        ]
    lines = [
        f"| | {' | '.join(columns)} |",
        "|---|" + "---:|" * len(columns),
        *(
            f"| {name} | {' | '.join(map(_percent, values))} |"
            for name, values in rows.items()
        ),
        "",
        "Of the labelled pixels, ignored ones left out: PixelAcc, the share "
        "predicted as labelled; ClassAcc, the mean of that share over the "
        "labelled classes; mIoU, the mean IoU of the classes that occur; "
        "fwIoU, their IoU weighted by their labelled pixels.",
    ]
    if "ceiling" in summary:
        lines[-1] += (
            " The ceiling is the same segmenter on "
            f"`{summary['ceiling'].get('records')}`."
        )
    return lines


def _percent(value: float | None) -> str:
    return "absent" if value is None else f"{100 * value:.2f}"
