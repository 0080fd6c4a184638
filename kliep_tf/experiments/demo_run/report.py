"""The demo's report: what the two methods did to the source's meaning.

`report.html` is one self-contained page, `report.md` the same without its
pictures, `report.json` every number.
"""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kliep_tf import estimate_weights, runs
from kliep_tf.data import records
from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.features import Features
from kliep_tf.data.index import build_index
from kliep_tf.data.reading import make_example_dataset
from kliep_tf.data.summaries import class_set_of
from kliep_tf.data.weights import load_weights
from kliep_tf.density_ratio.extraction import ExtractionSettings
from kliep_tf.density_ratio.label_features import class_histogram
from kliep_tf.experiments.demo_run.numbers import (
    class_shares,
    share_distances,
    weight_numbers,
)
from kliep_tf.experiments.demo_run.plan import Plan
from kliep_tf.experiments.demo_run.plots import JudgedFrame
from kliep_tf.experiments.demo_run.sections import make_sections
from kliep_tf.experiments.demo_run.sentences import (
    WATCHED,
    comparison_sentences,
    headlines,
)
from kliep_tf.experiments.reporting.consistency import (
    consistency_numbers,
    read_confusion,
)
from kliep_tf.experiments.reporting.frames import read_frames, spread_evenly
from kliep_tf.experiments.reporting.pages import write_report
from kliep_tf.experiments.reporting.true_ratios import read_true_ratios
from kliep_tf.experiments.running.jobs import Output
from kliep_tf.json_files import read_json
from kliep_tf.segmentation.inference import load_segmenter, predict_labels

_NAME = "report"
REPORT_HTML, REPORT_JSON = f"{_NAME}.html", f"{_NAME}.json"

_TITLE = "Importance-weighted translation of the rendered city"
_NUM_FRAMES = 6


def write_demo_report(
    directory: str | os.PathLike,
    plan: Plan,
    timings: Mapping[str, Mapping[str, Any]],
) -> None:
    """Writes report.json, report.md and, last, report.html.

    Args:
        directory: of the demo, where all jobs of the plan are complete.
        plan: says what lies where.
        timings: of each stage, as `StageBoard.timings` returns them.
    """
    root = Path(directory)
    patterns = {
        "source": Output(plan.source).path(root),
        "target": Output(plan.target["train"], "train-*").path(root),
    }
    paths = {
        domain: records.resolve_records(pattern, "records")
        for domain, pattern in patterns.items()
    }
    classes = class_set_of([*paths["source"], *paths["target"]])
    histograms = {
        domain: _histogram(own, classes) for domain, own in paths.items()
    }
    numbers = _collect(root, plan, histograms, classes)
    numbers["stages"] = [
        {
            "name": name,
            "title": job.title,
            "command": shlex.join(job.command(root)),
            **timings[name],
        }
        for name, job in plan.stages.items()
    ]
    numbers["versions"] = runs.versions()
    names = choose_frames(histograms["source"], classes)
    frames = _judge_frames(root, plan, patterns["source"], names)
    weights_png = plan.weights.output_dir(root) / estimate_weights.FIGURE
    sections = make_sections(numbers, frames, weights_png.read_bytes(), classes)
    write_report(root, _NAME, _TITLE, sections, numbers, html=True)


def read_headlines(directory: str | os.PathLike) -> list[str]:
    """Returns the lines that sum a written report up."""
    numbers = read_json(
        Path(directory, REPORT_JSON),
        "the report of a demo",
        {"headlines": [str]},
        allow_nan=True,
    )
    return numbers["headlines"]


def choose_frames(
    histogram: Features, classes: ClassSet, number: int = _NUM_FRAMES
) -> list[str]:
    """Returns names of frames spread evenly over the order of their sky share.

    The choice depends on the labels alone, never on a result.

    Args:
        histogram: [N, C] class shares by labels.
        classes: of the labels.
        number: of frames, at most.
    """
    shares = histogram.values[:, classes.index(WATCHED.label)]
    return spread_evenly(histogram.filenames, shares, number)


def _collect(
    root: Path,
    plan: Plan,
    histograms: Mapping[str, Features],
    classes: ClassSet,
) -> dict[str, Any]:
    """Returns what report.json holds of the results."""
    judged = {
        name: consistency_numbers(
            read_confusion(job.output_dir(root), classes), classes, WATCHED
        )
        for name, job in plan.evaluations.items()
    }
    training = {
        method: runs.read_config(job.output_dir(root))["arguments"]
        for method, job in plan.trainings.items()
    }
    numbers: dict[str, Any] = {
        "judge": judged.pop("val"),
        "consistency": judged,
        "sentences": comparison_sentences(judged["without"], judged["with"]),
        "weights": {},
        "class_shares": {},
        "training": training,
    }
    scenes = {
        "source": Output(plan.render, "gta5/scenes.csv"),
        "target": Output(plan.render, "cityscapes/scenes.csv"),
    }
    for domain, output in scenes.items():
        weights = load_weights(plan.weights.output_dir(root), domain)
        truth = read_true_ratios(output.path(root), domain)
        numbers["weights"][domain] = weight_numbers(weights, truth)
        histogram = histograms[domain]
        numbers["class_shares"][domain] = class_shares(
            histogram.values,
            weights.lookup([str(name) for name in histogram.filenames]),
            training["with"][f"{domain}_weight_exponent"],
            training["with"].get("max_weight", 0.0),
            classes,
        )
    numbers["share_distances"] = share_distances(numbers["class_shares"])
    numbers["headlines"] = headlines(numbers)
    return numbers


def _histogram(paths: Sequence[str], classes: ClassSet) -> Features:
    return class_histogram(
        make_example_dataset(paths),
        len(build_index(paths)),
        ExtractionSettings(classes=classes),
    )


def _judge_frames(
    root: Path, plan: Plan, source: str, names: Sequence[str]
) -> list[JudgedFrame]:
    """Returns these frames with what the judge sees in their translations."""
    judge = load_segmenter(Output(plan.judge, runs.SAVED_MODEL).path(root))
    sources = read_frames(source, names)
    translated = {
        method: [
            frame.image
            for frame in read_frames(str(job.output_dir(root)), names)
        ]
        for method, job in plan.translations.items()
    }
    return [
        JudgedFrame(
            filename=name,
            source=frame.image,
            label=frame.label,
            translations={
                method: found[row] for method, found in translated.items()
            },
            predictions={
                method: predict_labels(judge, found[row][np.newaxis])[0]
                for method, found in translated.items()
            },
        )
        for row, (name, frame) in enumerate(zip(names, sources, strict=True))
    ]
