"""Rows scored by segmenters trained on their images: Tables I and III.

One engine for both: run what is missing, then write the table in the layout of
Table I, paired differences, semantic consistency, and pictures.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kliep_tf import cli, runs
from kliep_tf.experiments.comparison import recipes, rows, tables
from kliep_tf.experiments.comparison.experiment import run_comparison
from kliep_tf.experiments.comparison.reference_rows import (
    published_sections,
    read_reference_rows,
    reference_sections,
)
from kliep_tf.experiments.comparison.rows import Row
from kliep_tf.experiments.comparison.setting_flags import SettingConfig
from kliep_tf.experiments.reporting.frames import frames_across, read_frames
from kliep_tf.experiments.reporting.pages import (
    Chart,
    Code,
    Paragraph,
    Section,
)
from kliep_tf.experiments.reporting.plots import draw_panels
from kliep_tf.experiments.reporting.templates import Texts
from kliep_tf.experiments.running.jobs import (
    FlagValue,
    Job,
    Output,
    Records,
)
from kliep_tf.segmentation.inference import (
    average_views,
    load_segmenter,
    predict_labels,
)

_NUM_FRAMES = 4
_SHOWN_SEED = 0


@dataclasses.dataclass(frozen=True)
class StudyConfig(SettingConfig):
    """The flags of both tables."""

    reference_rows: str = cli.flag(
        "CSV file of further rows to show below the table, in per cent: a "
        "column name, then classes (road, ...) and mIoU; empty is unknown",
        default="",
    )


@dataclasses.dataclass(frozen=True)
class Study:
    """What distinguishes one table from another.

    Attributes:
        program: the module.
        name: of the files.
        title: of the report.
        rows: of the table, in order.
        bases: rows that the others are compared with.
        paper_table: what the paper calls its own, such as "Table I".
    """

    program: str
    name: str
    title: str
    rows: Sequence[Row]
    bases: Sequence[str]
    paper_table: str


def run_study(
    study: Study, setting: recipes.Setting, config: StudyConfig
) -> None:
    """Runs what is missing and writes the report."""
    scored = rows.segmentations(setting, study.rows, config.num_seeds)
    judged = rows.judgements(setting, study.rows, config.num_seeds)
    # Read before the first job: a slip in it must not show after days.
    reference, inputs = None, _given_images(study)
    if config.reference_rows:
        reference = read_reference_rows(config.reference_rows, setting.classes)
        inputs["reference_rows"] = runs.fingerprint([config.reference_rows])

    def describe(cache: Path) -> tuple[list[Section], dict[str, Any]]:
        scores = rows.read_numbers(setting, scored, cache)
        seen = rows.read_numbers(setting, judged, cache)
        command = cli.command_text(study.program, config)
        sections = [
            Section("Command", [Code(command)]),
            *_score_sections(study, setting, scores),
            *published_sections(study.paper_table, setting.classes),
            *reference_sections(
                config.reference_rows, reference, setting.classes
            ),
            _consistency_section(study, setting, seen),
            *_picture_sections(study, setting, scored, cache, config.val_scale),
        ]
        numbers = {
            "segmentation": rows.summarize(scores),
            "consistency": rows.summarize(seen),
        }
        if reference:
            numbers["reference"] = rows.summarize(reference.numbers)
        return sections, numbers

    run_comparison(
        study.program,
        study.name,
        study.title,
        setting,
        config,
        _parts(scored, judged),
        describe,
        inputs,
    )


def _given_images(study: Study) -> dict[str, str]:
    """Returns fingerprints of the rows' images that no flag of all names."""
    return {
        f"{row.name}: records": row.images.fingerprint
        for row in study.rows
        if row.images is not None
    }


def _score_sections(
    study: Study, setting: recipes.Setting, scores: tables.Numbers
) -> list[Section]:
    measures = rows.segmentation_measures(setting)
    title = "Segmenters on the target's validation images"
    png = tables.draw_measures(scores, measures)
    sections = [
        Section(
            title,
            [
                Paragraph(_say("scores")),
                tables.class_table(scores, setting.classes),
                Chart(png, title, f"{study.name}_scores.png"),
            ],
        )
    ]
    for base in study.bases:
        found = rows.differences(scores, base, list(measures))
        table = tables.differences_table(found, base, measures)
        sections.append(
            Section(
                f"Differences from {base}",
                [Paragraph(_say("differences")), table],
            )
        )
    return sections


def _consistency_section(
    study: Study, setting: recipes.Setting, seen: tables.Numbers
) -> Section:
    measures = rows.consistency_measures(setting)
    title = "Semantic consistency"
    png = tables.draw_measures(seen, measures)
    return Section(
        title,
        [
            Paragraph(_say("consistency")),
            tables.measures_table(seen, measures),
            Chart(png, title, f"{study.name}_consistency.png"),
        ],
    )


def _picture_sections(
    study: Study,
    setting: recipes.Setting,
    scored: Mapping[tuple[str, int], Job],
    cache: Path,
    val_scale: float,
) -> list[Section]:
    label = setting.watched.label
    translations = {
        row.name: _pattern(rows.images_of(setting, row, _SHOWN_SEED), cache)
        for row in study.rows
        if row.from_source
    }
    segmenters = {
        row.name: scored[row.name, _SHOWN_SEED].flags["segmenter"]
        for row in study.rows
    }
    models = {
        name: output.path(cache)
        for name, output in segmenters.items()
        if isinstance(output, Output)
    }
    pictures = {
        "translations": (
            "Source images and their translations",
            _say("translations", label),
            _draw_translations(setting, translations),
        ),
        "predictions": (
            "What the segmenters see",
            _say("predictions", setting.classes.name.capitalize()),
            _draw_predictions(setting, models, val_scale),
        ),
    }
    return [
        Section(
            title,
            [Paragraph(about), Chart(png, title, f"{study.name}_{name}.png")],
        )
        for name, (title, about, png) in pictures.items()
    ]


def _draw_translations(
    setting: recipes.Setting, translations: Mapping[str, str]
) -> bytes:
    pattern = setting.source.pattern
    names = _frames_to_show(setting, pattern)
    colors = setting.classes.colors()
    labels = [colors[frame.label] for frame in read_frames(pattern, names)]
    columns = {
        title: [frame.image for frame in read_frames(records, names)]
        for title, records in translations.items()
    }
    return draw_panels({"labels": labels, **columns}, names)


def _draw_predictions(
    setting: recipes.Setting, models: Mapping[str, str], scale: float
) -> bytes:
    names = _frames_to_show(setting, setting.val.pattern)
    frames = read_frames(setting.val.pattern, names)
    colors = setting.classes.colors()
    columns = {
        "image": [frame.image for frame in frames],
        "labels": [colors[frame.label] for frame in frames],
    }
    for title, model in models.items():
        segmenter = average_views(load_segmenter(model), (scale,), flip=False)
        columns[title] = [
            colors[predict_labels(segmenter, frame.image[None])[0]]
            for frame in frames
        ]
    return draw_panels(columns, names)


def _frames_to_show(setting: recipes.Setting, pattern: str) -> list[str]:
    label = setting.watched.label
    return frames_across(pattern, _NUM_FRAMES, setting.classes, label)


def _pattern(images: FlagValue, cache: Path) -> str:
    if isinstance(images, Output):
        return images.path(cache)
    assert isinstance(images, Records)
    return images.pattern


def _parts(
    scored: Mapping[tuple[str, int], Job], judged: Mapping[tuple[str, int], Job]
) -> dict[str, Job]:
    parts = {
        f"score of {row}, seed {seed}": job
        for (row, seed), job in scored.items()
    }
    parts |= {
        f"judge on {row}, seed {seed}": job
        for (row, seed), job in judged.items()
    }
    return parts


def _say(paragraph: str, *values: Any) -> str:
    return Texts("tables").say(paragraph, *values)
