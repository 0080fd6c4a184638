"""Rows scored by segmenters trained on their images: Tables I and III.

One engine for both: run what is missing, then write the table in the layout of
Table I, paired differences, semantic consistency, and pictures.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kliep_tf import cli, runs
from kliep_tf.data.datasets import color_table
from kliep_tf.experiments.comparison import figures, recipes, rows, tables
from kliep_tf.experiments.comparison.reference_rows import read_reference_rows
from kliep_tf.experiments.comparison.rows import Row
from kliep_tf.experiments.comparison.run import run_comparison
from kliep_tf.experiments.comparison.setting_flags import SettingConfig
from kliep_tf.experiments.reporting.frames import frames_across_sky, read_frames
from kliep_tf.experiments.reporting.markdown import Section
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

_REMARK = (
    "The rows of the paper (arXiv 2105.12549, {table}) are GTA5 to Cityscapes "
    "at full size with DRN-26 and DeepLab; figures of another pair of domains, "
    "another network or another size do not compare with them."
)
_NUM_FRAMES = 4
_SHOWN_SEED = 0


@dataclasses.dataclass(frozen=True)
class StudyConfig(SettingConfig):
    """The flags of both tables."""

    reference_rows: str = cli.flag(
        "CSV file of published rows to show below the table, in per cent: a "
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
    scored = rows.segmentations(setting, study.rows)
    judged = rows.judgements(setting, study.rows)
    # Read before the first job: a slip in it must not show after days.
    reference, inputs = {}, _given_images(study)
    if config.reference_rows:
        reference = read_reference_rows(config.reference_rows)
        inputs["reference_rows"] = runs.fingerprint([config.reference_rows])

    def describe(cache: Path) -> tuple[list[Section], dict[str, Any]]:
        scores = rows.read_numbers(scored, cache)
        seen = rows.read_numbers(judged, cache)
        sections = [
            Section(
                "Command",
                f"```\n{cli.command_text(study.program, config)}\n```",
            ),
            *_score_sections(study, scores),
            *_reference_sections(config.reference_rows, reference),
            *_consistency_sections(study, seen),
            *_picture_sections(study, setting, scored, cache, config.val_scale),
        ]
        numbers = {
            "segmentation": rows.summarize(scores),
            "consistency": rows.summarize(seen),
        }
        if reference:
            numbers["reference"] = rows.summarize(reference)
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
    """Returns fingerprints of the rows' images that no job makes."""
    return {
        f"{row.name}: records": images.fingerprint
        for row in study.rows
        for images in row.images.values()
        if isinstance(images, Records)
    }


def _score_sections(study: Study, scores: tables.Numbers) -> list[Section]:
    measures = rows.SEGMENTATION_MEASURES
    sections = [
        Section(
            "Segmenters on the target's validation images",
            "Intersection over union in per cent, means over seeds; the mean "
            "IoU, over the classes that are labelled, with its 95 % interval "
            "(Student's t). One segmenter a row and seed.\n\n"
            f"{tables.class_table(scores)}\n\n"
            f"{_REMARK.format(table=study.paper_table)}",
            figures.draw_measures(scores, measures),
            "scores",
        )
    ]
    for base in study.bases:
        found = rows.differences(scores, base, list(measures))
        sections.append(
            Section(
                f"Differences from {base}",
                "In percentage points, seed by seed, with the p-value of a "
                "paired t-test, not corrected for the number of comparisons."
                "\n\n" + tables.differences_table(found, base, measures),
            )
        )
    return sections


def _reference_sections(path: str, reference: tables.Numbers) -> list[Section]:
    if not reference:
        return []
    return [
        Section(
            "Published rows, for reference",
            f"From `{path}`, in per cent, as given there. Data, image sizes, "
            "networks and trainings are others than above: these rows say "
            "what has been reported and do not compare with ours."
            f"\n\n{tables.class_table(reference)}",
        )
    ]


def _consistency_sections(study: Study, seen: tables.Numbers) -> list[Section]:
    measures = rows.CONSISTENCY_MEASURES
    return [
        Section(
            "Semantic consistency",
            "What a segmenter of the target sees in the source's images, "
            "against the source's labels, in per cent.\n\n"
            + tables.measures_table(seen, measures),
            figures.draw_measures(seen, measures),
            "consistency",
        )
    ]


def _picture_sections(
    study: Study,
    setting: recipes.Setting,
    scored: Mapping[tuple[str, int], Job],
    cache: Path,
    val_scale: float,
) -> list[Section]:
    translations = {
        row.name: _pattern(row.images[_SHOWN_SEED], cache)
        for row in study.rows
        if row.from_source
    }
    names = frames_across_sky(setting.source.pattern, _NUM_FRAMES)
    val_names = frames_across_sky(setting.val.pattern, _NUM_FRAMES)
    segmenters = {
        row.name: scored[row.name, _SHOWN_SEED].flags["segmenter"]
        for row in study.rows
    }
    return [
        Section(
            "Source images and their translations",
            "Of the first seed; frames chosen by their labelled share of sky.",
            _draw_translations(setting.source.pattern, translations, names),
            "translations",
        ),
        Section(
            "What the segmenters see",
            "On validation images of the target, first seed, in the colours "
            "of Cityscapes; black is not labelled.",
            _draw_predictions(
                setting.val.pattern,
                {
                    name: str(output.job.output_dir(cache) / output.part)
                    for name, output in segmenters.items()
                },
                val_names,
                val_scale,
            ),
            "predictions",
        ),
    ]


def _draw_translations(
    source: str, translations: Mapping[str, str], names: Sequence[str]
) -> bytes:
    frames = read_frames(source, names)
    columns = {"labels": [color_table()[frame.label] for frame in frames]}
    for title, pattern in translations.items():
        columns[title] = [frame.image for frame in read_frames(pattern, names)]
    return figures.draw_panels(columns, names)


def _draw_predictions(
    val: str, models: Mapping[str, str], names: Sequence[str], scale: float
) -> bytes:
    frames = read_frames(val, names)
    columns = {
        "image": [frame.image for frame in frames],
        "labels": [color_table()[frame.label] for frame in frames],
    }
    for title, model in models.items():
        segmenter = average_views(load_segmenter(model), (scale,), flip=False)
        columns[title] = [
            color_table()[predict_labels(segmenter, frame.image[None])[0]]
            for frame in frames
        ]
    return figures.draw_panels(columns, names)


def _pattern(images: FlagValue, cache: Path) -> str:
    if isinstance(images, Output):
        return str(images.job.output_dir(cache))
    return images.pattern


def _parts(scored, judged) -> dict[str, Job]:
    parts = {
        f"score of {row}, seed {seed}": job
        for (row, seed), job in scored.items()
    }
    parts |= {
        f"judge on {row}, seed {seed}": job
        for (row, seed), job in judged.items()
    }
    return parts
