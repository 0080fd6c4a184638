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
from kliep_tf.experiments.demo_run.plan import METHODS, DemoConfig, paths, plan
from kliep_tf.experiments.running.flagfiles import TRAIN_FLAGFILE, find_flagfile
from kliep_tf.experiments.running.stages import Stage, Timings, run_stages

PROGRAM = "kliep_tf.experiments.demo"

_REPORT_STAGE = "report"


def demo(config: DemoConfig) -> None:
    """Runs all stages and writes the report."""
    flagfile = Path(
        find_flagfile(
            config.train_flagfile,
            TRAIN_FLAGFILE,
            "train_flagfile",
            "kliep_tf.train",
        )
    )
    digest = hashlib.sha256(flagfile.read_bytes()).hexdigest()[:16]
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


def _run(config: DemoConfig, flagfile: Path) -> None:
    """Runs the programs, then writes the report on what they left."""
    stages = plan(config, flagfile)
    total = len(stages) + 1
    timings = Timings(config.output_dir)
    run_stages(stages, timings, total)
    print(f"\n[{total}/{total}] write the report", flush=True)
    started = timings.start(_REPORT_STAGE)
    inputs = _report_inputs(config, stages, timings)
    report.write_report(config.output_dir, inputs)
    timings.stop(_REPORT_STAGE, started, complete=True)


def _report_inputs(
    config: DemoConfig, stages: list[Stage], timings: Timings
) -> report.ReportInputs:
    at = paths(config)
    return report.ReportInputs(
        source_records=at["source_records"],
        target_records=at["target_train"],
        translated_records={
            method: at[f"translated_{method}"] for method in METHODS
        },
        weights_dir=at["weights"],
        judge=at["judge_model"],
        evaluations={
            name: at[f"judged_{name}"] for name in ("val", "source", *METHODS)
        },
        true_ratios={
            "source": at["gta5_scenes"],
            "target": at["cityscapes_scenes"],
        },
        train_runs={method: at[f"train_{method}"] for method in METHODS},
        stages=stages,
        timings=timings.as_dict(),
    )


if __name__ == "__main__":
    cli.run(demo, DemoConfig)
