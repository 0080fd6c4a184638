"""Runs one stage that takes a while, for tests that stop it."""

import signal
from pathlib import Path

from kliep_tf.experiments.running.boards import StageBoard
from kliep_tf.experiments.running.jobs import Job
from kliep_tf.experiments.running.scheduling import run_jobs


def make_stage(seconds: float) -> Job:
    """Returns a job that waits, and takes a second to save."""
    return Job(
        "sleep",
        "tests.experiments.running.tiny_program",
        "output_dir",
        {"seconds": seconds, "saving": 1.0},
        place="nap",
    )


def run_stage(directory: Path, seconds: float) -> None:
    """Runs it, in a process of its own."""
    # As in a shell's foreground, whatever runs these tests.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stages = {"nap": make_stage(seconds)}
    board = StageBoard(directory, stages, total=1)
    run_jobs(list(stages.values()), directory, board)
