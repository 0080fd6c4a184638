"""What the demo's report says, section by section."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kliep_tf.data.class_sets import ClassSet
from kliep_tf.experiments.demo_run import plots
from kliep_tf.experiments.demo_run.plots import JudgedFrame
from kliep_tf.experiments.demo_run.sentences import (
    KEYS,
    WATCHED,
    judge_sentence,
    texts,
    translation_sentence,
    watched_sentence,
)
from kliep_tf.experiments.demo_run.weights import weights_section
from kliep_tf.experiments.reporting.pages import (
    Bullets,
    Code,
    Legend,
    Paragraph,
    Pictures,
    Section,
    Table,
)
from kliep_tf.experiments.reporting.plots import class_colors, enlarged_png
from kliep_tf.experiments.reporting.templates import percent

_ROWS = {
    "source": "untranslated",
    "without": "translated without weights",
    "with": "translated with weights",
}


def make_sections(
    numbers: Mapping[str, Any],
    frames: Sequence[JudgedFrame],
    weights_png: bytes,
    classes: ClassSet,
) -> list[Section]:
    """Returns the report, the summary first.

    Args:
        numbers: what report.json holds.
        frames: the frames to be shown.
        weights_png: the plot of estimate_weights.
        classes: of the labels.
    """
    return [
        _summary(numbers),
        _frames(frames, classes),
        weights_section(numbers, weights_png),
        _classes(numbers),
        _making(numbers),
    ]


def _summary(numbers: Mapping[str, Any]) -> Section:
    verdict, *sentences = numbers["sentences"]
    arguments = numbers["training"]["with"]
    rows = numbers["consistency"]
    about = texts().say(
        "about",
        arguments["source_weight_exponent"],
        arguments["target_weight_exponent"],
    )
    translation = translation_sentence(rows)
    judge = judge_sentence(numbers["judge"])
    # Without a heading: it stands right under the title.
    return Section(
        "",
        [
            Paragraph(f"{watched_sentence(rows)} {verdict}", important=True),
            Paragraph(about),
            _headline_table(numbers),
            Bullets([*sentences, translation, judge]),
        ],
    )


def _headline_table(numbers: Mapping[str, Any]) -> Table:
    label = WATCHED.label
    columns = {
        KEYS.kept: f"{label} seen as {label}",
        KEYS.turned: f"{label} to {WATCHED.prediction}",
        KEYS.lost: f"{label} to another class",
        "mean_iou": "mean IoU",
        "pixel_accuracy": "pixel accuracy",
    }
    entries = {name: numbers["consistency"][key] for key, name in _ROWS.items()}
    entries["judge, on new camera frames"] = numbers["judge"]
    return Table(
        ["", *columns.values()],
        [
            [name, *(percent(entry[key]) for key in columns)]
            for name, entry in entries.items()
        ],
        texts().say("headline_table"),
    )


def _frames(frames: Sequence[JudgedFrame], classes: ClassSet) -> Section:
    colors = class_colors([frame.label for frame in frames], classes)
    return Section(
        "Frames and flipped labels",
        [
            Paragraph(texts().say("frames", len(frames), WATCHED.label)),
            Legend("Flipped labels", plots.flip_colors(WATCHED)),
            Legend("Labels", colors),
            *(_frame(frame, classes) for frame in frames),
        ],
    )


def _frame(frame: JudgedFrame, classes: ClassSet) -> Pictures:
    png = enlarged_png
    above = [(f"{frame.filename}, as rendered", png(frame.source))]
    below = [
        ("labels (black: ignored)", png(classes.colors()[frame.label])),
    ]
    for method, image in frame.translations.items():
        prediction = frame.predictions[method]
        kept, turned = plots.watched_shares(
            frame.label, prediction, classes, WATCHED
        )
        overlay = plots.flip_overlay(
            image, frame.label, prediction, classes, WATCHED
        )
        above.append((_ROWS[method], png(image)))
        words = f"no {WATCHED.label} by label"
        if not np.isnan(kept):
            words = (
                f"{percent(kept, 0)} of the {WATCHED.label} kept, "
                f"{percent(turned, 0)} to {WATCHED.prediction}"
            )
        below.append((words, png(overlay)))
    share = plots.labelled_share(frame.label, WATCHED.label, classes)
    caption = (
        f"Frame {frame.filename}: {percent(share)} {WATCHED.label} by label."
    )
    return Pictures([*above, *below], caption)


def _classes(numbers: Mapping[str, Any]) -> Section:
    rows = numbers["consistency"]
    without, with_weights = (
        rows[method]["per_class"] for method in ("without", "with")
    )
    judge = numbers["judge"]["per_class"]
    names = sorted(without, key=lambda name: -without[name]["labelled_share"])
    return Section(
        "Class by class",
        [
            Table(
                [
                    "class",
                    "share of labels",
                    "IoU without",
                    "IoU with",
                    "kept without",
                    "kept with",
                    "kept by the judge on camera frames",
                ],
                [
                    [
                        name,
                        percent(without[name]["labelled_share"], 2),
                        percent(without[name]["iou"]),
                        percent(with_weights[name]["iou"]),
                        percent(without[name]["kept"]),
                        percent(with_weights[name]["kept"]),
                        percent(judge[name]["kept"]),
                    ]
                    for name in names
                ],
                texts().say("classes"),
            )
        ],
    )


def _making(numbers: Mapping[str, Any]) -> Section:
    stages = numbers["stages"]
    rows = [
        [stage["title"], f"{stage['seconds']:.1f}", str(stage["attempts"])]
        for stage in stages
    ]
    total = sum(stage["seconds"] for stage in stages)
    versions = ", ".join(
        f"{name} {version}" for name, version in numbers["versions"].items()
    )
    return Section(
        "How it was made",
        [
            Table(
                ["stage", "seconds", "attempts"],
                [*rows, ["all", f"{total:.1f}", ""]],
                texts().say("stages"),
            ),
            Paragraph(_difference_of_runs(numbers["training"])),
            Code("\n".join(stage["command"] for stage in stages)),
            Paragraph(f"Versions: {versions}."),
        ],
    )


def _difference_of_runs(training: Mapping[str, Mapping[str, Any]]) -> str:
    """Names the arguments in which the two trainings differ."""
    without, with_weights = training["without"], training["with"]
    names = [
        f"{name} ({without[name]} and {with_weights[name]})"
        for name in without
        if without[name] != with_weights[name] and name != "run_dir"
    ]
    return texts().say(
        "trainings",
        without["steps"],
        without["batch_size"],
        without["seed"],
        names,
    )
