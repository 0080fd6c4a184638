"""Rows scored by segmenters trained on their images: Tables I and III.

One engine for both: run what is missing, then write the table in the layout of
Table I, paired differences, semantic consistency, and pictures.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kliep_tf import cli, fingerprints, runs
from kliep_tf.experiments.comparison import rows, tables
from kliep_tf.experiments.comparison.commands import check_commands
from kliep_tf.experiments.comparison.experiment import run_comparison
from kliep_tf.experiments.comparison.pictures import picture_sections
from kliep_tf.experiments.comparison.reference_rows import (
    published_sections,
    read_reference_rows,
    reference_sections,
)
from kliep_tf.experiments.comparison.rows import Row
from kliep_tf.experiments.comparison.setting import Setting
from kliep_tf.experiments.comparison.setting_flags import SettingConfig
from kliep_tf.experiments.reporting.pages import (
    Block,
    Bullets,
    Chart,
    Code,
    Paragraph,
    Section,
)
from kliep_tf.experiments.reporting.templates import Texts
from kliep_tf.experiments.running.jobs import (
    Job,
    Output,
)


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


def run_study(study: Study, setting: Setting, config: StudyConfig) -> None:
    """Runs what is missing and writes the report."""
    scored = rows.segmentations(setting, study.rows, config.seeds)
    judged = rows.judgements(setting, study.rows, config.seeds)
    # Before the first job: a slip must not show after days.
    check_commands([*scored.values(), *judged.values()], setting.judge)
    reference, inputs = None, _given_images(study)
    if config.reference_rows:
        reference = read_reference_rows(config.reference_rows, setting.classes)
        inputs["reference_rows"] = fingerprints.of([config.reference_rows])

    def describe(cache: Path) -> tuple[list[Section], dict[str, Any]]:
        scores = rows.read_numbers(setting, scored, cache)
        seen = rows.read_numbers(setting, judged, cache)
        command = cli.command_text(study.program, config)
        sections = [
            Section("Command", [Code(command)]),
            *_score_sections(study, setting, scores),
            *_remark_sections(remarks_of(scored, cache)),
            *_pair_sections(study, setting, scores, seen),
            *published_sections(study.paper_table, setting.classes),
            *reference_sections(
                config.reference_rows, reference, setting.classes
            ),
            _consistency_section(study, setting, seen),
            *picture_sections(
                study.name, setting, study.rows, scored, cache, config.val_scale
            ),
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


def remarks_of(scored: Mapping[tuple[str, int], Job], cache: Path) -> list[str]:
    """Returns what trainings of segmenters say of themselves, with their rows.

    Args:
        scored: by row and seed, a finished evaluation.
        cache: the directory of all outputs.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for (row, seed), job in scored.items():
        trained = job.flags["segmenter"]
        assert isinstance(trained, Output)
        record = runs.read_config(trained.job.output_dir(cache))
        remark = record.get("results", {}).get("remark")
        if remark:
            found.setdefault((row, remark), []).append(str(seed))
    return [
        _say("remark", row, remark, seeds)
        for (row, remark), seeds in found.items()
    ]


def _given_images(study: Study) -> dict[str, str]:
    """Returns fingerprints of the rows' images that no flag of all names."""
    return {
        f"{row.name}: records": row.images.fingerprint
        for row in study.rows
        if row.images is not None
    }


def _score_sections(
    study: Study, setting: Setting, scores: tables.Numbers
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


def _remark_sections(remarks: Sequence[str]) -> list[Section]:
    if not remarks:
        return []
    return [Section("Remarks of the trainings", [Bullets(remarks)])]


def _pair_sections(
    study: Study,
    setting: Setting,
    scores: tables.Numbers,
    seen: tables.Numbers,
) -> list[Section]:
    """Returns each system with weights against itself without them."""
    pairs = rows.pairs_by_weights(study.rows)
    blocks: list[Block] = []
    for numbers, measures, about in (
        (scores, rows.segmentation_measures(setting), "pairs"),
        (seen, rows.consistency_measures(setting), "pairs_seen"),
    ):
        found = {
            f"{row} minus {base}": rows.difference(
                numbers[row], numbers[base], list(measures)
            )
            for row, base in pairs.items()
            if row in numbers and base in numbers
        }
        if found:
            blocks.append(Paragraph(_say(about)))
            blocks.append(tables.pairs_table(found, measures))
    title = "With weights against without"
    return [Section(title, blocks)] if blocks else []


def _consistency_section(
    study: Study, setting: Setting, seen: tables.Numbers
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
