"""What the programs that experiments run leave, without running them.

Reports, records and SavedModels are written here in the programs' formats, and
every command is held to the flags of its program.
"""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from kliep_tf import cli, runs
from kliep_tf.data.datasets import CLASS_NAMES, NUM_CLASSES
from kliep_tf.estimate_weights import EstimateConfig
from kliep_tf.evaluate import EvaluateConfig
from kliep_tf.experiments.comparison import rows
from kliep_tf.experiments.running.jobs import Job, in_order
from kliep_tf.train import TrainConfig
from kliep_tf.train_segmenter import TrainSegmenterConfig
from kliep_tf.translate import TranslateConfig

METHODS = ("plain:0:0", "weighted:1:0.5")
CONFIGS = {
    "kliep_tf.estimate_weights": EstimateConfig,
    "kliep_tf.train": TrainConfig,
    "kliep_tf.translate": TranslateConfig,
    "kliep_tf.train_segmenter": TrainSegmenterConfig,
    "kliep_tf.evaluate": EvaluateConfig,
}
SKY, VEGETATION = CLASS_NAMES.index("sky"), CLASS_NAMES.index("vegetation")


def confusion_of(job: Job) -> list[list[int]]:
    """A confusion matrix of its own for each evaluation."""
    matrix = np.zeros((NUM_CLASSES, NUM_CLASSES), int)
    matrix[SKY, SKY] = 10 + int(job.digest, 16) % 90
    matrix[SKY, VEGETATION] = 100 - matrix[SKY, SKY]
    return matrix.tolist()


def leave_what_programs_do(jobs, cache: Path, records: Path, model: Path):
    for job in in_order(jobs):
        if job.is_complete(cache):
            continue
        directory = job.output_dir(cache)
        config = EvaluateConfig("", "", "")
        with runs.claim(directory, job.module, config) as claim:
            if job.module == "kliep_tf.translate":
                shutil.copytree(records, directory, dirs_exist_ok=True)
            if job.module == "kliep_tf.train_segmenter":
                shutil.copytree(model, directory / runs.SAVED_MODEL)
            if job.module == "kliep_tf.evaluate":
                report = {"confusion_matrix": confusion_of(job)}
                (directory / "report.json").write_text(json.dumps(report))
            claim.finish()


def study_jobs(study, setting):
    scored = rows.segmentations(setting, study.rows)
    judged = rows.judgements(setting, study.rows)
    return scored, judged


def read_json(directory: Path, name: str):
    return json.loads((directory / name).read_text())


def check_commands(jobs: Iterable[Job]) -> None:
    """Every program is run, each with flags that it has."""
    modules = set()
    for job in in_order(jobs):
        words = job.command(Path("cache"))[2:]
        cli.parse(CONFIGS[job.module], words)
        modules.add(job.module)
    assert modules == set(CONFIGS)
