"""The program of Table III: its jobs and its report."""

from pathlib import Path

import pytest

from kliep_tf.experiments import cohorts
from kliep_tf.experiments.comparison import rows
from kliep_tf.experiments.comparison.setting import make_setting
from kliep_tf.experiments.running.jobs import in_order
from tests.experiments.real_programs import (
    leave_scores,
    parse_command,
    read_json,
)


def test_each_cohort_trains_on_its_third_and_translates_everything(
    tiny, ran, tmp_path
):
    config = cohorts.CohortsConfig(output_dir=str(tmp_path / "out"), **tiny)
    setting = make_setting(config)
    study = cohorts.make_study(config, setting)
    scored = rows.segmentations(setting, study.rows, [0])
    judged = rows.judgements(setting, study.rows, [0])
    cache = Path(config.cache_dir)
    jobs = in_order([*scored.values(), *judged.values()])
    parsed = [(job.module, parse_command(job, cache)) for job in jobs]
    assert [
        config.source_cohort
        for module, config in parsed
        if module == "kliep_tf.train"
    ] == ["low", "medium", "high"]
    # Whichever third the CycleGAN learned from, it translates the source.
    assert [
        config.source_records
        for module, config in parsed
        if module == "kliep_tf.translate"
    ] == 3 * [tiny["source_records"]]
    # The programs are those of Table I.
    shares = leave_scores(jobs, cache, like=ran)
    cohorts.cohorts(config)
    numbers = read_json(tmp_path / "out", "cohorts.json")
    for row in ("low", "medium", "high"):
        for table, evaluated in (
            ("segmentation", scored),
            ("consistency", judged),
        ):
            (value,) = numbers[table][row]["mean_iou"]["values"]
            # Nothing is seen as sky that is none: IoU is the share kept.
            share = shares[evaluated[row, 0].digest]
            assert value == pytest.approx(share), (table, row)
    report = (tmp_path / "out" / "cohorts.md").read_text()
    # The paper's own Table III: its first and its last number.
    assert "| Cityscapes | 97.3 |" in report
    assert report.count("| 30.2 |") == 1
