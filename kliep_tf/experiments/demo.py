"""Goes the whole way on the rendered city, from raw folders to a report.

    python -m kliep_tf.experiments.demo --output_dir=demo

Draws the city, converts it, estimates importance weights, trains the CycleGAN
once without and once with them, translates the source through both, and lets
a segmenter that knows the camera's looks compare what it sees with the source's
labels. Every stage is one of the project's programs, printed as it can be
typed. The same command again continues where it stopped.

The recipe of the training is a flagfile of kliep_tf.train; flags of the demo
that say "by default the flagfile's" win over it.
"""

import hashlib
from pathlib import Path

from kliep_tf import cli, runs
from kliep_tf.experiments.demo_run import report
from kliep_tf.experiments.demo_run.flags import DemoConfig
from kliep_tf.experiments.demo_run.plan import plan
from kliep_tf.experiments.running.boards import StageBoard
from kliep_tf.experiments.running.flagfiles import DEMO_FLAGFILE, find_flagfile
from kliep_tf.experiments.running.scheduling import run_jobs

PROGRAM = "kliep_tf.experiments.demo"


def demo(config: DemoConfig) -> None:
    """Runs all stages and writes the report."""
    flagfile = find_flagfile(
        config.train_flagfile,
        DEMO_FLAGFILE,
        "train_flagfile",
        "kliep_tf.train",
    )
    digest = hashlib.sha256(Path(flagfile).read_bytes()).hexdigest()[:16]
    page = Path(config.output_dir, report.REPORT_HTML).resolve()
    with runs.claim(
        config.output_dir,
        PROGRAM,
        config,
        inputs={"the flagfile of the training": digest},
    ) as claim:
        if claim.finished and page.exists():
            print(f"{config.output_dir}: already done")
        else:
            _run(config, flagfile)
            claim.finish()
    print()
    for line in report.read_headlines(page.parent):
        print(line)
    print(page)


def _run(config: DemoConfig, flagfile: str) -> None:
    """Runs the programs, then writes the report on what they left."""
    planned = plan(config, flagfile)
    stages = planned.stages
    board = StageBoard(config.output_dir, stages, total=len(stages) + 1)
    run_jobs(list(stages.values()), config.output_dir, board)
    with board.own_stage("report", "write the report"):
        report.write_demo_report(config.output_dir, planned, board.timings())


if __name__ == "__main__":
    cli.run(demo, DemoConfig)
