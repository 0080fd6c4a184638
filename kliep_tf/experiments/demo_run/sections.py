"""What the demo's report says, section by section."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kliep_tf.experiments.demo_run import figures
from kliep_tf.experiments.demo_run.figures import JudgedFrame
from kliep_tf.experiments.demo_run.page import (
    Bullets,
    Code,
    Legend,
    Paragraph,
    Pictures,
    Section,
    Table,
)
from kliep_tf.experiments.demo_run.sentences import (
    judge_sentence,
    percent,
    sky_sentence,
    translation_sentence,
)
from kliep_tf.experiments.demo_run.weights import weights_section

_ROWS = {
    "source": "untranslated",
    "without": "translated without weights",
    "with": "translated with weights",
}


def make_sections(
    numbers: Mapping[str, Any],
    frames: Sequence[JudgedFrame],
    weights_png: bytes,
) -> list[Section]:
    """Returns the report, the summary first.

    Args:
        numbers: what report.json holds.
        frames: the frames to be shown.
        weights_png: the figure of estimate_weights.
    """
    return [
        _summary(numbers),
        _frames(frames),
        weights_section(numbers, weights_png),
        _classes(numbers),
        _making(numbers),
    ]


def _summary(numbers: Mapping[str, Any]) -> Section:
    verdict, *sentences = numbers["sentences"]
    arguments = numbers["training"]["with"]
    judge = judge_sentence(numbers["judge"])
    rows = numbers["consistency"]
    sky = sky_sentence(rows)
    translation = translation_sentence(rows)
    about = (
        "A CycleGAN was trained twice to make rendered frames look like "
        "camera frames: once as it is, and once with every loss term weighted "
        "by how typical its image is of the other domain (w to the power "
        f"{arguments['source_weight_exponent']:g} on source terms, psi to the "
        f"power {arguments['target_weight_exponent']:g} on target terms). "
        "Both translated all rendered frames, whose labels should still hold "
        "afterwards. A segmenter that learned from the camera's labels, the "
        "judge, then said what it sees in each pixel. The table holds that "
        "against the source's labels: sky that is judged vegetation has most "
        "likely been painted over, and its label is now wrong. The judge does "
        "not know the rendered look, so what it misses in untranslated frames "
        "can be their colours as well as their content."
    )
    return Section(
        "Summary",
        [
            Paragraph(f"{sky} {verdict}", important=True),
            Paragraph(about),
            _headline_table(numbers),
            Bullets([*sentences, translation, judge]),
        ],
    )


def _headline_table(numbers: Mapping[str, Any]) -> Table:
    keys = (
        "sky_kept",
        "sky_to_vegetation",
        "sky_to_other",
        "mean_iou",
        "pixel_accuracy",
    )
    entries = {name: numbers["consistency"][key] for key, name in _ROWS.items()}
    entries["judge, on new camera frames"] = numbers["judge"]
    return Table(
        [
            "",
            "sky seen as sky",
            "sky to vegetation",
            "sky to another class",
            "mean IoU",
            "pixel accuracy",
        ],
        [
            [name, *(percent(entry[key]) for key in keys)]
            for name, entry in entries.items()
        ],
        "By the judge; rendered frames against their labels, camera frames "
        "against theirs. One training each: no spread over seeds is known.",
    )


def _frames(frames: Sequence[JudgedFrame]) -> Section:
    rule = (
        f"{len(frames)} rendered frames, spread evenly over the order of their "
        "share of sky by label, least first. Results played no part in the "
        "choice. Below each picture is what the judge makes of it: grey where "
        "it sees the labelled class, coloured where it does not. Thin "
        "outlines are common to every segmenter; areas are what matters."
    )
    return Section(
        "Frames and flipped labels",
        [
            Paragraph(rule),
            Legend("Flipped labels", figures.FLIP_COLORS),
            Legend("Labels", figures.class_colors(frames)),
            *map(_frame, frames),
        ],
    )


def _frame(frame: JudgedFrame) -> Pictures:
    png = figures.enlarged_png
    above = [(f"{frame.filename}, as rendered", png(frame.source))]
    below = [
        (
            "labels (black: ignored)",
            png(figures.label_colors(frame.label)),
        )
    ]
    for method, image in frame.translations.items():
        prediction = frame.predictions[method]
        overlay = figures.flip_overlay(image, frame.label, prediction)
        kept, vegetation = figures.sky_shares(frame.label, prediction)
        above.append((_ROWS[method], png(image)))
        words = "no sky by label"
        if not np.isnan(kept):
            words = (
                f"{percent(kept, 0)} of the sky kept, "
                f"{percent(vegetation, 0)} to vegetation"
            )
        below.append((words, png(overlay)))
    share = figures.sky_share(frame.label)
    caption = f"Frame {frame.filename}: {percent(share)} sky by label."
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
                "IoU and share kept of each class, translations against the "
                "source's labels. The last column is the judge's own "
                "reliability, on camera frames that it has not seen.",
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
                "Wall time, program start included, without the report itself; "
                "of interrupted stages, all attempts that could be timed.",
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
    return (
        f"Both trainings took {without['steps']} steps of "
        f"{without['batch_size']} images a domain from seed "
        f"{without['seed']}. Their flags, without and with weights, differ in: "
        f"{', '.join(names) or 'nothing'}."
    )
