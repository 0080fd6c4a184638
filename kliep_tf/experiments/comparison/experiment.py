"""One comparison from its claim to its report."""

import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kliep_tf import runs
from kliep_tf.experiments.comparison.setting import Setting
from kliep_tf.experiments.comparison.setting_flags import SettingConfig
from kliep_tf.experiments.reporting.pages import Section, write_report
from kliep_tf.experiments.running.boards import LogBoard
from kliep_tf.experiments.running.dask_jobs import run_jobs_on_dask
from kliep_tf.experiments.running.flagfiles import flagfile_digest
from kliep_tf.experiments.running.jobs import Job, Tensors, write_manifest
from kliep_tf.experiments.running.scheduling import run_jobs

# Takes the cache; returns the report's sections and the numbers of its JSON.
Describe = Callable[[Path], tuple[Sequence[Section], Mapping[str, Any]]]


def run_comparison(
    program: str,
    name: str,
    title: str,
    setting: Setting,
    config: SettingConfig,
    jobs: Mapping[str, Job],
    describe: Describe,
    more_inputs: Mapping[str, str] = types.MappingProxyType({}),
) -> None:
    """Runs the jobs that are missing and writes the report.

    Args:
        program: the module, which claims the output directory.
        name: of the files.
        title: of the report.
        setting: what the rows share.
        config: the program's flags.
        jobs: by the part that each plays, for the manifest.
        describe: called when all jobs are done.
        more_inputs: fingerprints of what is read besides the setting.
    """
    inputs = {**_fingerprints(setting), **more_inputs}
    with runs.claim(config.output_dir, program, config, inputs=inputs) as claim:
        report = claim.directory / f"{name}.md"
        if claim.finished and report.exists():
            print(f"{report}: already done")
            return
        cache = Path(config.cache_dir or claim.directory / "cache")
        wanted, board = list(jobs.values()), LogBoard(cache)
        if config.executor == "dask":
            run_jobs_on_dask(
                wanted,
                cache,
                board,
                scheduler=config.dask_scheduler,
                parallel=config.parallel,
            )
        else:
            run_jobs(
                wanted,
                cache,
                board,
                parallel=config.parallel,
                devices=config.devices,
            )
        write_manifest(claim.directory / "jobs.json", jobs, cache)
        sections, numbers = describe(cache)
        write_report(claim.directory, name, title, sections, numbers)
        claim.finish()
        print(report)


def _fingerprints(setting: Setting) -> dict[str, str]:
    """Returns what a report's config.json keeps of its inputs, by flag."""
    found = {
        "source_records": setting.source.fingerprint,
        "target_records": setting.target.fingerprint,
        "val_records": setting.val.fingerprint,
        "train_flagfile": flagfile_digest(setting.train_flagfile),
        "segmenter_flagfile": flagfile_digest(setting.segmenter_flagfile),
    }
    for flag, value in setting.segmenter_flags.items():
        if isinstance(value, Tensors):
            found[flag] = value.fingerprint
    return found
