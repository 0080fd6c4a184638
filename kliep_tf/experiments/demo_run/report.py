"""The demo's report: what the two methods did to the source's meaning.

`report.html` is one self-contained page, `report.md` the same without its
pictures, `report.json` every number.
"""

import dataclasses
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kliep_tf import estimate_weights, runs
from kliep_tf.data import records
from kliep_tf.data.datasets import CLASS_NAMES
from kliep_tf.data.features import Features
from kliep_tf.data.index import build_index
from kliep_tf.data.reading import make_example_dataset
from kliep_tf.data.weights import load_weights
from kliep_tf.density_ratio.extraction import ExtractionSettings
from kliep_tf.density_ratio.label_features import class_histogram
from kliep_tf.experiments.demo_run.figures import JudgedFrame
from kliep_tf.experiments.demo_run.numbers import (
    class_shares,
    share_distances,
    weight_numbers,
)
from kliep_tf.experiments.demo_run.page import to_html, to_markdown
from kliep_tf.experiments.demo_run.sections import make_sections
from kliep_tf.experiments.demo_run.sentences import (
    comparison_sentences,
    headlines,
)
from kliep_tf.experiments.reporting.consistency import (
    consistency_numbers,
    read_confusion,
)
from kliep_tf.experiments.reporting.frames import read_frames, spread_evenly
from kliep_tf.experiments.reporting.true_ratios import read_true_ratios
from kliep_tf.experiments.running.stages import Stage
from kliep_tf.segmentation.inference import load_segmenter, predict_labels

REPORT_HTML, REPORT_MD = "report.html", "report.md"
REPORT_JSON = "report.json"

_TITLE = "Importance-weighted translation of the rendered city"
_NUM_FRAMES = 6


@dataclasses.dataclass(frozen=True)
class ReportInputs:
    """What the programs left, and where.

    Attributes:
        source_records: labelled records, a directory or a glob.
        target_records: labelled records.
        translated_records: by method ("without" and "with" weights).
        weights_dir: of estimate_weights.
        judge: the SavedModel of the segmenter that judges.
        evaluations: output directories of evaluate for val, source and both
            methods.
        true_ratios: the rendered city's scenes.csv by domain.
        train_runs: run directories of train by method.
        stages: all programs, in order.
        timings: by stage, as `Timings.as_dict` returns them.
    """

    source_records: str
    target_records: str
    translated_records: Mapping[str, str]
    weights_dir: str
    judge: str
    evaluations: Mapping[str, str]
    true_ratios: Mapping[str, str]
    train_runs: Mapping[str, str]
    stages: Sequence[Stage]
    timings: Mapping[str, Mapping[str, Any]]


def write_report(directory: str | os.PathLike, inputs: ReportInputs) -> None:
    """Writes report.json, report.md and, last, report.html."""
    histograms = {
        "source": _histogram(inputs.source_records),
        "target": _histogram(inputs.target_records),
    }
    numbers = _collect(inputs, histograms)
    frames = _judge_frames(inputs, choose_frames(histograms["source"]))
    weights_png = Path(inputs.weights_dir, estimate_weights.FIGURE)
    sections = make_sections(numbers, frames, weights_png.read_bytes())
    directory = Path(directory)
    text = json.dumps(numbers, indent=1) + "\n"
    runs.write_atomically(directory / REPORT_JSON, text)
    text = to_markdown(_TITLE, sections)
    runs.write_atomically(directory / REPORT_MD, text)
    text = to_html(_TITLE, sections)
    runs.write_atomically(directory / REPORT_HTML, text)


def read_headlines(directory: str | os.PathLike) -> list[str]:
    """Returns the lines that sum a written report up."""
    numbers = json.loads(Path(directory, REPORT_JSON).read_text())
    return numbers["headlines"]


def choose_frames(histogram: Features, number: int = _NUM_FRAMES) -> list[str]:
    """Returns names of frames spread evenly over the order of their sky share.

    The choice depends on the labels alone, never on a result.

    Args:
        histogram: [N, 19] class shares by labels.
        number: of frames, at most.
    """
    sky = histogram.values[:, CLASS_NAMES.index("sky")]
    return spread_evenly(histogram.filenames, sky, number)


def _collect(
    inputs: ReportInputs, histograms: Mapping[str, Features]
) -> dict[str, Any]:
    """Returns everything that report.json holds."""
    judged = {
        name: consistency_numbers(read_confusion(path))
        for name, path in inputs.evaluations.items()
    }
    numbers = {
        "judge": judged.pop("val"),
        "consistency": judged,
        "sentences": comparison_sentences(judged["without"], judged["with"]),
        "weights": {},
        "class_shares": {},
        "training": {
            method: runs.read_config(path)["arguments"]
            for method, path in inputs.train_runs.items()
        },
    }
    for domain, path in inputs.true_ratios.items():
        weights = load_weights(inputs.weights_dir, domain)
        truth = read_true_ratios(path, domain)
        numbers["weights"][domain] = weight_numbers(weights, truth)
        arguments = numbers["training"]["with"]
        histogram = histograms[domain]
        numbers["class_shares"][domain] = class_shares(
            histogram.values,
            weights.lookup([str(name) for name in histogram.filenames]),
            arguments[f"{domain}_weight_exponent"],
            arguments.get("max_weight", 0.0),
        )
    numbers["share_distances"] = share_distances(numbers["class_shares"])
    numbers["headlines"] = headlines(numbers)
    numbers["stages"] = [
        {
            "name": stage.name,
            "title": stage.title,
            "command": shlex.join(stage.command),
            **inputs.timings[stage.name],
        }
        for stage in inputs.stages
    ]
    numbers["versions"] = runs.versions()
    return numbers


def _histogram(pattern: str) -> Features:
    paths = records.resolve_records(pattern, "records")
    return class_histogram(
        make_example_dataset(paths),
        len(build_index(paths)),
        ExtractionSettings(),
    )


def _judge_frames(
    inputs: ReportInputs, names: Sequence[str]
) -> list[JudgedFrame]:
    """Returns these frames with what the judge sees in their translations."""
    judge = load_segmenter(inputs.judge)
    sources = read_frames(inputs.source_records, names)
    translated = {
        method: [frame.image for frame in read_frames(pattern, names)]
        for method, pattern in inputs.translated_records.items()
    }
    return [
        JudgedFrame(
            filename=name,
            source=source.image,
            label=source.label,
            translations={
                method: found[row] for method, found in translated.items()
            },
            predictions={
                method: predict_labels(judge, found[row][np.newaxis])[0]
                for method, found in translated.items()
            },
        )
        for row, (name, source) in enumerate(zip(names, sources, strict=True))
    ]
