"""Table I: which system helps a segmenter of the target?

    python -m kliep_tf.experiments.table1 --output_dir=results/table1 \\
        --source_records=records/gta5 \\
        --target_records='records/cityscapes/train-*' \\
        --val_records='records/cityscapes/val-*'

Rows: no adaptation (a segmenter trained on the source as it is), a CycleGAN for
each weighting of --methods, the systems of --rows, further methods whose
translated records are given, and the oracle trained on the target's own labels.
Each row and seed is translated, trains a segmenter, adapts it where the row
says so, and is scored on the target's validation images.

    --rows=cycada,cycada:overlap,cycada+adda,adaptsegnet,cyclegan+adaptsegnet

are CyCADA without weights and with overlap weights, CyCADA and then ADDA,
AdaptSegNet on the source as it is and on a CycleGAN's translations. A row is
[NAME=]TRANSLATION[:WEIGHTING][+ADAPTATION[:WEIGHTING]] or
[NAME=]ADAPTATION[:WEIGHTING]; docs/systems.md lists the systems.

Writes table1.md, its plots, and table1.json. The same command again
continues; trainings are shared with other experiments through --cache_dir.
"""

import dataclasses

import numpy as np

from kliep_tf import cli
from kliep_tf.data.index import build_index
from kliep_tf.data.records import resolve_records
from kliep_tf.errors import UserError
from kliep_tf.experiments.comparison.rows import (
    Row,
    parse_methods,
    require_own_names,
)
from kliep_tf.experiments.comparison.setting import Setting, make_setting
from kliep_tf.experiments.comparison.setting_flags import labelled_records
from kliep_tf.experiments.comparison.study import (
    Study,
    StudyConfig,
    run_study,
)
from kliep_tf.experiments.comparison.systems import (
    SYSTEMS,
    parse_recipes,
    parse_rows,
)
from kliep_tf.experiments.running.jobs import Records

PROGRAM = "kliep_tf.experiments.table1"

NO_ADAPTATION, ORACLE = "no adaptation", "oracle"


@dataclasses.dataclass(frozen=True)
class Table1Config(StudyConfig):
    """The flags of this program."""

    methods: tuple[str, ...] = cli.flag(
        "NAME:A:B of each CycleGAN: its exponents on source and target; or "
        "NAME:overlap for overlap weights. :ESTIMATOR may follow, by default "
        "kliep, relative_kliep for overlap",
        default=("CycleGAN:0:0", "KLIEP (1,1):1:1", "KLIEP (.5,.5):0.5:0.5"),
    )
    rows: tuple[str, ...] = cli.flag(
        f"further rows, such as cycada:overlap+adda; systems: "
        f"{', '.join(SYSTEMS)}",
        default=(),
    )
    recipes: tuple[str, ...] = cli.flag(
        "SYSTEM=FLAGFILE of each system of --rows that is trained otherwise "
        "than by configs/SYSTEM_city.flags; a CycleGAN's is --train_flagfile",
        default=(),
    )
    teacher_weights: str = cli.flag(
        "backbone trained on photographs for the teacher of ROAD; without it "
        "ROAD's rows are its spatial adaptation alone, and the table says so",
        default="",
    )
    translated: tuple[str, ...] = cli.flag(
        "NAME=RECORDS of each further method: the source's labelled records "
        "with images that somebody else translated",
        default=(),
    )


def table1(config: Table1Config) -> None:
    """Runs what is missing and writes the report."""
    setting = make_setting(config)
    run_study(make_study(config, setting), setting, config)


def make_study(config: Table1Config, setting: Setting) -> Study:
    """Returns the rows, and what is compared."""
    rows = [
        Row(NO_ADAPTATION),
        *parse_methods(config.methods),
        *parse_rows(
            config.rows, parse_recipes(config.recipes), config.teacher_weights
        ),
        *_further_rows(config, setting.source),
        Row(ORACLE, images=setting.target, from_source=False),
    ]
    names = [row.name for row in rows]
    require_own_names(names, "--methods, --rows, --translated")
    plain = [row.name for row in rows if _is_plain_cyclegan(row)]
    return Study(
        program=PROGRAM,
        name="table1",
        title="Segmenters of the target that learn from the source's labels",
        rows=rows,
        bases=[NO_ADAPTATION, *plain[:1]],
        paper_table="Table I",
    )


def _is_plain_cyclegan(row: Row) -> bool:
    return row.system == "cyclegan" and not row.is_weighted


def _further_rows(config: Table1Config, source: Records) -> list[Row]:
    rows = []
    for text in config.translated:
        name, equals, pattern = text.partition("=")
        if not (name and equals and pattern):
            raise UserError(
                f"--translated: expected NAME=RECORDS, found {text!r}"
            )
        images = labelled_records(pattern, "translated")
        _require_images_of(source, images)
        rows.append(Row(name, images=images))
    return rows


def _require_images_of(source: Records, translated: Records) -> None:
    """Raises a UserError where a source image has no translation."""
    names, found = (
        build_index(resolve_records(records.pattern, records.flag)).filenames
        for records in (source, translated)
    )
    missing = np.setdiff1d(names, found)
    if missing.size:
        raise UserError(
            f"--translated={translated.pattern}: expected all {len(names)} "
            f"images of --{source.flag}, found {missing.size} missing, such as "
            f"{str(missing[0])!r}"
        )


if __name__ == "__main__":
    cli.run(table1, Table1Config)
