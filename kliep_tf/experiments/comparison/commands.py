"""Commands of all jobs, looked at before the first of them runs.

A slip in a flagfile must not show after days, and a row whose flagfile names
another network than the others' must not show at all.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kliep_tf import cli
from kliep_tf.adapt_segmenter import AdaptSegmenterConfig
from kliep_tf.errors import UserError
from kliep_tf.estimate_flags import EstimateConfig
from kliep_tf.evaluate import EvaluateConfig
from kliep_tf.experiments.comparison.recipes import ADAPT_SEGMENTER
from kliep_tf.experiments.comparison.setting import TRAIN, TRAIN_SEGMENTER
from kliep_tf.experiments.running.jobs import Job, in_order
from kliep_tf.segmenter_flags import TrainSegmenterConfig
from kliep_tf.train_flags import TrainConfig
from kliep_tf.translate import TranslateConfig

CONFIGS: dict[str, type] = {
    ADAPT_SEGMENTER: AdaptSegmenterConfig,
    TRAIN: TrainConfig,
    TRAIN_SEGMENTER: TrainSegmenterConfig,
    "kliep_tf.estimate_weights": EstimateConfig,
    "kliep_tf.evaluate": EvaluateConfig,
    "kliep_tf.translate": TranslateConfig,
}


def parsed(job: Job, root: Path = Path("cache")) -> Any:
    """Returns the config that a job's program reads from its command.

    Raises:
        UserError: the program would not take it.
    """
    try:
        return cli.parse(CONFIGS[job.module], job.command(root)[2:])
    except UserError as error:
        where = job.flagfile or job.title
        raise UserError(f"{where}: {error}") from error


def check_commands(jobs: Iterable[Job], judge: Job) -> None:
    """Raises a UserError for a command that its program would not take.

    And for an adaptation of another network than the judge's, which all other
    segmenters of a table have.
    """
    network = parsed(judge).network
    for job in in_order(jobs):
        config = parsed(job)
        if job.module == ADAPT_SEGMENTER and config.network != network:
            raise UserError(
                f"{job.flagfile}: expected --network={network}, as all "
                f"segmenters of the table have, found {config.network}"
            )
