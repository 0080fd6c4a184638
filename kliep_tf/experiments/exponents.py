"""Which exponents of the weights keep the meaning of what is translated?

    python -m kliep_tf.experiments.exponents --output_dir=results/exponents \\
        --source_records=records/gta5 \\
        --target_records='records/cityscapes/train-*' \\
        --val_records='records/cityscapes/val-*'

Trains CycleGANs that differ in their exponents (a on the source terms, b on
the target terms) and in nothing else, each over several seeds, translates the
whole source through each, and lets a segmenter that learned from the target's
labels say what it sees: the share of the sky that it still takes for sky, what
became vegetation, the mean IoU against the source's labels. Writes
exponents.md, its plots, and exponents.json. The same command again
continues; trainings are shared with other experiments through --cache_dir.
"""

import dataclasses
from pathlib import Path
from typing import Any

from kliep_tf import cli
from kliep_tf.experiments.comparison import recipes, rows, tables
from kliep_tf.experiments.comparison.experiment import run_comparison
from kliep_tf.experiments.comparison.setting import Setting, make_setting
from kliep_tf.experiments.comparison.setting_flags import SettingConfig
from kliep_tf.experiments.reporting.pages import (
    Chart,
    Code,
    Paragraph,
    Section,
)
from kliep_tf.experiments.reporting.templates import Texts
from kliep_tf.experiments.running.jobs import Job

PROGRAM = "kliep_tf.experiments.exponents"

_NAME = "exponents"
_TITLE = "Exponents of the importance weights"
_UNTRANSLATED = "untranslated"
_JUDGE = "judge on new target frames"


@dataclasses.dataclass(frozen=True)
class ExponentsConfig(SettingConfig):
    """The flags of this program."""

    methods: tuple[str, ...] = cli.flag(
        "NAME:A:B of each row, its exponents on source and target, or "
        "NAME:overlap for overlap weights; :ESTIMATOR may follow, by default "
        "kliep, relative_kliep for overlap. The first row is what the others "
        "are compared with",
        default=(
            "CycleGAN:0:0",
            "KLIEP (1,1):1:1",
            "KLIEP (1,0):1:0",
            "KLIEP (.5,.5):0.5:0.5",
        ),
    )
    num_seeds: int = cli.flag("trainings of each row", default=5)


def exponents(config: ExponentsConfig) -> None:
    """Runs what is missing and writes the report."""
    setting = make_setting(config)
    jobs = make_jobs(config, setting)

    def describe(cache: Path) -> tuple[list[Section], dict[str, Any]]:
        numbers = rows.read_numbers(setting, jobs, cache)
        summary = {"rows": rows.summarize(numbers)}
        return _sections(config, setting, numbers), summary

    parts = {f"{row}, seed {seed}": job for (row, seed), job in jobs.items()}
    run_comparison(PROGRAM, _NAME, _TITLE, setting, config, parts, describe)


def make_jobs(
    config: ExponentsConfig, setting: Setting
) -> dict[tuple[str, int], Job]:
    """Returns the judge's work by row and seed."""
    compared = [
        rows.Row(_UNTRANSLATED),
        *rows.parse_methods(config.methods),
    ]
    names = [*(row.name for row in compared), _JUDGE]
    rows.require_own_names(names, "--methods")
    jobs = rows.judgements(setting, compared, config.seeds)
    jobs[_JUDGE, 0] = recipes.validation(
        setting, setting.judge, "the judge on new frames of the target"
    )
    return jobs


def _sections(
    config: ExponentsConfig,
    setting: Setting,
    numbers: tables.Numbers,
) -> list[Section]:
    measures = rows.consistency_measures(setting)
    base = rows.parse_methods(config.methods)[0].name
    trained = {
        row: found
        for row, found in numbers.items()
        if row not in (_UNTRANSLATED, _JUDGE)
    }
    differences = rows.differences(trained, base, list(measures))
    say = Texts("tables").say
    seen = "What the judge sees in the translations"
    png = tables.draw_measures(numbers, measures)
    return [
        Section("Command", [Code(cli.command_text(PROGRAM, config))]),
        Section(
            seen,
            [
                Paragraph(say("exponents")),
                tables.measures_table(numbers, measures),
                Chart(png, seen, f"{_NAME}_consistency.png"),
            ],
        ),
        Section(
            "Paired differences",
            [
                Paragraph(say("paired_exponents", base)),
                tables.differences_table(differences, base, measures),
            ],
        ),
        Section(
            "Every seed",
            [
                tables.seeds_table(
                    trained, measures, list(trained), config.seeds
                )
            ],
        ),
    ]


if __name__ == "__main__":
    cli.run(exponents, ExponentsConfig)
