"""The programs that experiments run, for real, in the process of the tests.

A process of its own costs each program some seconds of imports, and what it
adds, the scheduler's tests look at. Commands are parsed as programs do.
"""

import json
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from kliep_tf import cli, runs
from kliep_tf.adapt_segmenter import AdaptSegmenterConfig, adapt_segmenter
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.estimate_weights import EstimateConfig, estimate
from kliep_tf.evaluate import EvaluateConfig, evaluate
from kliep_tf.experiments.comparison import rows
from kliep_tf.experiments.running.boards import Board
from kliep_tf.experiments.running.jobs import Job, in_order
from kliep_tf.train import TrainConfig, train
from kliep_tf.train_segmenter import TrainSegmenterConfig, train_segmenter
from kliep_tf.translate import TranslateConfig, translate
from tfrecords_tools.convert_cityscapes import (
    ConvertCityscapesConfig,
    convert_cityscapes,
)
from tfrecords_tools.convert_gta5 import ConvertGta5Config, convert_gta5
from tfrecords_tools.render_demo import RenderDemoConfig, render_demo

PROGRAMS = {
    "kliep_tf.estimate_weights": (estimate, EstimateConfig),
    "kliep_tf.train": (train, TrainConfig),
    "kliep_tf.translate": (translate, TranslateConfig),
    "kliep_tf.train_segmenter": (train_segmenter, TrainSegmenterConfig),
    "kliep_tf.evaluate": (evaluate, EvaluateConfig),
    "kliep_tf.adapt_segmenter": (adapt_segmenter, AdaptSegmenterConfig),
    "tfrecords_tools.render_demo": (render_demo, RenderDemoConfig),
    "tfrecords_tools.convert_gta5": (convert_gta5, ConvertGta5Config),
    "tfrecords_tools.convert_cityscapes": (
        convert_cityscapes,
        ConvertCityscapesConfig,
    ),
}
# Those of every table.
ADAPT_SEGMENTER = "kliep_tf.adapt_segmenter"
MODULES = {name for name in PROGRAMS if name.startswith("kliep_tf.")}
MODULES -= {ADAPT_SEGMENTER}

SKY, VEGETATION = map(CITYSCAPES_CLASSES.index, ("sky", "vegetation"))


def parse_command(job: Job, root: Path) -> Any:
    """Returns the config that the job's program reads from its command."""
    _, config_class = PROGRAMS[job.module]
    return cli.parse(config_class, job.command(root)[2:])


def run_here(
    jobs: Iterable[Job], root: Path, board: Board | None = None
) -> None:
    """Runs what is not complete, makers first.

    Files of tests share a cache, and may run in processes of their own: one of
    them runs jobs at a time, the other finds them done.
    """
    with _lock(root):
        _run(jobs, root, board)


def _lock(root: Path) -> filelock.FileLock:
    return filelock.FileLock(root.with_suffix(".lock"))


def _run(jobs: Iterable[Job], root: Path, board: Board | None) -> None:
    for job in in_order(jobs):
        if job.is_complete(root):
            continue
        started = time.monotonic()
        if board:
            board.begins(job)
        function, _ = PROGRAMS[job.module]
        function(parse_command(job, root))
        assert job.is_complete(root), job.name
        if board:
            board.ends(job, time.monotonic() - started, 0)


def jobs_of(study, setting, seeds: Sequence[int]) -> list[Job]:
    """Returns all jobs of a table, makers first."""
    scored = rows.segmentations(setting, study.rows, seeds)
    judged = rows.judgements(setting, study.rows, seeds)
    return in_order([*scored.values(), *judged.values()])


def confusion_of(job: Job, root: Path) -> np.ndarray:
    """Returns what an evaluation counted, labels in rows."""
    report = read_json(job.output_dir(root), "report.json")
    return np.array(report["confusion_matrix"])


def sky_iou(matrix: np.ndarray) -> float:
    hits = matrix[SKY, SKY]
    return hits / (matrix[SKY].sum() + matrix[:, SKY].sum() - hits)


def read_json(directory: str | Path, name: str) -> Any:
    return json.loads(Path(directory, name).read_text())


def leave_scores(
    jobs: Sequence[Job], root: Path, like: Sequence[Job] = ()
) -> dict[str, float]:
    """Writes evaluations of made-up shares of sky kept, for reports alone.

    Other jobs that were not run take what one of the same program has made.

    Args:
        jobs: these, and all they need.
        root: the directory of all outputs.
        like: jobs beside them whose outputs are there to be copied.

    Returns:
        The share of each evaluation made up, by digest.
    """
    with _lock(root):
        return _leave_scores(in_order(jobs), root, like)


def _leave_scores(
    jobs: Sequence[Job], root: Path, like: Sequence[Job]
) -> dict[str, float]:
    shares = {}
    made = {
        job.module: job.output_dir(root)
        for job in (*like, *jobs)
        if job.is_complete(root)
    }
    for number, job in enumerate(jobs):
        if job.is_complete(root):
            continue
        if job.module == "kliep_tf.evaluate":
            shares[job.digest] = (number + 10) / 100
            _leave_score(job, root, kept=number + 10)
        else:
            leave_copy(job, root, made.get(job.module))
    return shares


def leave_copy(
    job: Job, root: Path, made: Path | None, board: Board | None = None
) -> None:
    """Finishes a job with a copy of an output, or with nothing."""
    if board:
        board.begins(job)
    with runs.claim(
        job.output_dir(root), job.module, parse_command(job, root)
    ) as claim:
        if made:
            shutil.copytree(
                made,
                claim.directory,
                ignore=shutil.ignore_patterns(runs.CONFIG, ".lock"),
                dirs_exist_ok=True,
            )
        claim.finish()
    if board:
        board.ends(job, 0.0, 0)


def _leave_score(job: Job, root: Path, kept: int) -> None:
    matrix = np.zeros((19, 19), int)
    matrix[SKY, SKY], matrix[SKY, VEGETATION] = kept, 100 - kept
    with runs.claim(
        job.output_dir(root), job.module, parse_command(job, root)
    ) as claim:
        text = json.dumps({"confusion_matrix": matrix.tolist()})
        (claim.directory / "report.json").write_text(text)
        claim.finish()
