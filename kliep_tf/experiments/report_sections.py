"""What the demo's report says, section by section."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kliep_tf.experiments import report_figures, report_numbers
from kliep_tf.experiments.report_figures import JudgedFrame
from kliep_tf.experiments.report_numbers import percent
from kliep_tf.experiments.report_page import (
    Bullets,
    Chart,
    Code,
    Legend,
    Paragraph,
    Pictures,
    Section,
    Table,
)

_ROWS = {
    "source": "untranslated",
    "without": "translated without weights",
    "with": "translated with weights",
}
# Classes below this in both domains only lengthen the table of shares.
_LEAST_SHARE = 0.0005


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
        _weights(numbers, weights_png),
        _classes(numbers),
        _making(numbers),
    ]


def _summary(numbers: Mapping[str, Any]) -> Section:
    verdict, *sentences = numbers["sentences"]
    arguments = numbers["training"]["with"]
    judge = report_numbers.judge_sentence(numbers["judge"])
    about = (
        "A CycleGAN was trained twice to make rendered frames look like "
        "camera frames: once as it is, and once with every loss term weighted "
        "by how typical its image is of the other domain (w to the power "
        f"{arguments['source_weight_exponent']:g} on source terms, psi to the "
        f"power {arguments['target_weight_exponent']:g} on target terms). "
        "Both translated all rendered frames, whose labels should still hold "
        "afterwards. A segmenter that learned from the camera's labels, the "
        "judge, then said what it sees in each pixel. The table holds that "
        "against the source's labels: sky that is judged vegetation was "
        "painted over, and its label is now wrong. The judge does not know the "
        "rendered look, so what it misses in untranslated frames can be their "
        "colours as well as their content."
    )
    return Section(
        "Summary",
        [
            Paragraph(verdict, important=True),
            Paragraph(about),
            _headline_table(numbers),
            Bullets([*sentences, judge]),
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
            "sky turned into vegetation",
            "sky turned into another class",
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
            Legend(report_figures.FLIP_COLORS),
            *map(_frame, frames),
        ],
    )


def _frame(frame: JudgedFrame) -> Pictures:
    png = report_figures.enlarged_png
    above = [(f"{frame.filename}, as rendered", png(frame.source))]
    below = [("labels", png(report_figures.label_colors(frame.label)))]
    for method, image in frame.translations.items():
        prediction = frame.predictions[method]
        overlay = report_figures.flip_overlay(image, frame.label, prediction)
        kept, vegetation = report_figures.sky_shares(frame.label, prediction)
        above.append((_ROWS[method], png(image)))
        words = "no sky by label"
        if not np.isnan(kept):
            words = (
                f"{percent(kept, 0)} of the sky kept, "
                f"{percent(vegetation, 0)} to vegetation"
            )
        below.append((words, png(overlay)))
    share = report_figures.sky_share(frame.label)
    caption = f"Frame {frame.filename}: {percent(share)} sky by label."
    return Pictures([*above, *below], caption)


def _weights(numbers: Mapping[str, Any], weights_png: bytes) -> Section:
    weights = numbers["weights"]
    least = f"{report_figures.LEAST_DRAWN:g}"
    about = (
        "The weights were estimated by KLIEP from class shares that a "
        "segmenter predicts which was trained on the rendered labels alone; "
        "no label of the camera's was used. Here the truth is known: the city "
        "was drawn from known densities. Points on the line are exact; what "
        "counts for training is above all that typical and untypical images "
        "are told apart, which the rank correlation says."
    )
    return Section(
        "The importance weights",
        [
            Paragraph(about),
            _weights_table(weights),
            Chart(
                report_figures.draw_true_weights(weights),
                "Estimated weights against the true density ratio, one point a "
                f"frame; weights below {least} are drawn there.",
            ),
            _shares_table(numbers["class_shares"]),
            Chart(
                weights_png,
                "From estimate_weights: histograms of both domains' weights, "
                "the choice of the bandwidth, and class shares.",
            ),
        ],
    )


def _weights_table(weights: Mapping[str, Any]) -> Table:
    rows = (
        ("images", "images", "{:d}"),
        ("rank correlation with the true ratio", "rank_correlation", "{:.3f}"),
        ("error against the true ratio", "normalised_error", "{:.3f}"),
        (
            "the same of equal weights",
            "normalised_error_of_equal_weights",
            "{:.3f}",
        ),
        ("effective sample size", "effective_sample_size", "{:.1%}"),
        (
            "the same of the true ratio",
            "true_effective_sample_size",
            "{:.1%}",
        ),
        ("largest weight (the mean is 1)", "largest_weight", "{:.2f}"),
        ("bandwidth", "bandwidth", "{:.4g}"),
        ("mean log ratio, nats", "mean_log_ratio", "{:.4f}"),
        ("duality gap, nats", "duality_gap", "{:.1e}"),
    )
    domains = ("source", "target")
    return Table(
        ["", "source (w)", "target (psi)"],
        [
            [name, *(_shown(weights[domain][key], form) for domain in domains)]
            for name, key, form in rows
        ],
        "Error: mean square of the difference between ratios of mean 1. The "
        "duality gap bounds what the solver's optimum lacks.",
    )


def _shares_table(shares: Mapping[str, Any]) -> Table:
    source, target = shares["source"], shares["target"]
    columns = (
        source["unweighted"],
        source["weighted"],
        target["unweighted"],
        target["weighted"],
    )
    names = sorted(
        columns[0], key=lambda name: -(columns[0][name] + columns[2][name])
    )
    return Table(
        [
            "class",
            "source",
            "weighted source",
            "target",
            "weighted target",
        ],
        [
            [name, *(percent(column[name], 2) for column in columns)]
            for name in names
            if max(columns[0][name], columns[2][name]) >= _LEAST_SHARE
        ],
        "Mean class shares by label. Weights work if the weighted source is "
        "nearer to the target than the source is, and the weighted target "
        "nearer to the source.",
    )


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
                "reliability, on real camera frames that it has not seen.",
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
                "Wall time, program start included; of interrupted stages, all "
                "attempts that could still be timed.",
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


def _shown(value: Any, form: str) -> str:
    return "undefined" if value is None else form.format(value)
