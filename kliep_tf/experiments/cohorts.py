"""Table III: does it matter which source images the translation learns from?

    python -m kliep_tf.experiments.cohorts --output_dir=results/cohorts \\
        --source_records=records/gta5 \\
        --target_records='records/cityscapes/train-*' \\
        --val_records='records/cityscapes/val-*'

The source is split by importance into three equal parts: low, medium, high. One
plain CycleGAN is trained on each part (against the whole target) and all of
them translate the whole source; segmenters are trained on the results and
scored on the target's validation images. Writes cohorts.md, its plots, and
cohorts.json. The same command again continues; trainings are shared with other
experiments through --cache_dir.
"""

import dataclasses

from kliep_tf import cli
from kliep_tf.data.weightings import COHORTS
from kliep_tf.experiments.comparison import recipes
from kliep_tf.experiments.comparison.rows import Row
from kliep_tf.experiments.comparison.setting import Setting, make_setting
from kliep_tf.experiments.comparison.study import (
    Study,
    StudyConfig,
    run_study,
)
from kliep_tf.experiments.comparison.weightings import by_exponents

PROGRAM = "kliep_tf.experiments.cohorts"


@dataclasses.dataclass(frozen=True)
class CohortsConfig(StudyConfig):
    """The flags of this program."""


def cohorts(config: CohortsConfig) -> None:
    """Runs what is missing and writes the report."""
    setting = make_setting(config)
    run_study(make_study(config, setting), setting, config)


def make_study(config: CohortsConfig, setting: Setting) -> Study:
    """Returns the rows, and what is compared: the same for all flags."""
    plain = by_exponents(0.0, 0.0)
    rows = [Row(name, recipes.cyclegan(plain, name)) for name in COHORTS]
    return Study(
        program=PROGRAM,
        name="cohorts",
        title="Translations learned from parts of the source by importance",
        rows=rows,
        bases=[rows[0].name],
        paper_table="Table III",
    )


if __name__ == "__main__":
    cli.run(cohorts, CohortsConfig)
