"""The program of Table III, whole."""

from pathlib import Path

import pytest

from kliep_tf.experiments import cohorts
from kliep_tf.experiments.comparison import rows
from kliep_tf.experiments.comparison.setting import make_setting
from kliep_tf.experiments.running.jobs import in_order
from tests.experiments.real_programs import (
    confusion_of,
    leave_scores,
    read_json,
    run_here,
    sky_iou,
)


def test_each_cohort_trains_on_its_third_and_translates_everything(
    tiny, tmp_path
):
    config = cohorts.CohortsConfig(output_dir=str(tmp_path / "out"), **tiny)
    setting = make_setting(config)
    study = cohorts.make_study(config, setting)
    scored = rows.segmentations(setting, study.rows, 1)
    judged = rows.judgements(setting, study.rows, 1)
    cache = Path(config.cache_dir)
    jobs = in_order([*scored.values(), *judged.values()])
    trainings = [job for job in jobs if job.module == "kliep_tf.train"]
    assert [job.flags["source_cohort"] for job in trainings] == [
        "low",
        "medium",
        "high",
    ]
    # One row for real; what it takes for the others is the same.
    run_here([scored["low", 0], judged["low", 0]], cache)
    shares = leave_scores(jobs, cache)
    cohorts.cohorts(config)
    numbers = read_json(tmp_path / "out", "cohorts.json")
    sky = {
        row: found["sky"]["values"][0]
        for row, found in numbers["segmentation"].items()
    }
    assert sky == {
        "low": pytest.approx(sky_iou(confusion_of(scored["low", 0], cache))),
        "medium": pytest.approx(shares[scored["medium", 0].digest]),
        "high": pytest.approx(shares[scored["high", 0].digest]),
    }
    # All 4 images of the source, whichever the CycleGAN learned from.
    assert confusion_of(judged["low", 0], cache).sum() == 4 * 32 * 48
    report = (tmp_path / "out" / "cohorts.md").read_text()
    # The paper's own Table III: its first and its last number.
    assert "| Cityscapes | 97.3 |" in report
    assert report.count("| 30.2 |") == 1
