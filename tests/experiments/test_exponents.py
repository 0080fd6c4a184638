"""The exponents' program, whole, and its report alone."""

from pathlib import Path

import numpy as np
import pytest

from kliep_tf.errors import UserError
from kliep_tf.experiments import exponents
from kliep_tf.experiments.comparison.setting import make_setting
from tests.conftest import respelled
from tests.experiments.real_programs import (
    MODULES,
    SKY,
    VEGETATION,
    confusion_of,
    leave_scores,
    parse_command,
    read_json,
)

METHODS = ("plain:0:0", "weighted:1:0.5")


def test_report_says_what_the_judge_saw(tiny, ran, tmp_path, capsys):
    config = exponents.ExponentsConfig(
        output_dir=str(tmp_path / "out"),
        methods=("weighted:1:0.5:ulsif",),
        **tiny,
    )
    jobs = exponents.make_jobs(config, make_setting(config))
    cache = Path(config.cache_dir)
    # It is a job of the table, too, and so has run.
    judged = jobs["weighted", 0]
    assert judged.digest in {job.digest for job in ran}
    # 4 images of 32x48, all of it labelled, all of it judged.
    assert confusion_of(judged, cache).sum() == 4 * 32 * 48
    leave_scores(list(jobs.values()), cache)
    exponents.exponents(config)
    rows = read_json(tmp_path / "out", "exponents.json")["rows"]
    assert set(rows) == {
        "untranslated",
        "weighted",
        "judge on new target frames",
    }
    for (row, _), job in jobs.items():
        matrix = confusion_of(job, cache)
        kept = matrix[SKY, SKY] / matrix[SKY].sum()
        lost = matrix[SKY, VEGETATION] / matrix[SKY].sum()
        assert rows[row]["sky_kept"]["values"] == [pytest.approx(kept)]
        assert rows[row]["sky_to_vegetation"]["values"] == [pytest.approx(lost)]
    report = (tmp_path / "out" / "exponents.md").read_text()
    assert "python -m kliep_tf.experiments.exponents" in report
    assert (tmp_path / "out" / "exponents_consistency.png").exists()
    capsys.readouterr()
    exponents.exponents(respelled(config, tmp_path))
    assert "already done" in capsys.readouterr().out


def test_every_command_has_the_flags_of_its_program(common):
    config = exponents.ExponentsConfig(output_dir="x", **common)
    jobs = exponents.make_jobs(config, make_setting(config))
    found = {job.module for job in jobs.values()}
    for job in jobs.values():
        parse_command(job, Path("cache"))
    assert found < MODULES


def test_means_and_differences_are_over_the_seeds(common, tmp_path):
    config = exponents.ExponentsConfig(
        output_dir=str(tmp_path / "out"), methods=METHODS, **common
    )
    jobs = exponents.make_jobs(config, make_setting(config))
    shares = leave_scores(list(jobs.values()), Path(config.cache_dir))
    exponents.exponents(config)
    rows = read_json(tmp_path / "out", "exponents.json")["rows"]
    kept = [shares[jobs["weighted", seed].digest] for seed in (0, 1)]
    assert rows["weighted"]["sky_kept"]["values"] == pytest.approx(kept)
    assert rows["weighted"]["sky_kept"]["mean"] == pytest.approx(np.mean(kept))
    report = (tmp_path / "out" / "exponents.md").read_text()
    assert "| minus plain |" in report
    # The same images for all seeds are judged once.
    assert len(rows["untranslated"]["sky_kept"]["values"]) == 1


def test_a_row_of_another_rows_name_is_refused(common):
    methods = ("untranslated:1:1", "plain:0:0")
    config = exponents.ExponentsConfig(
        output_dir="x", methods=methods, **common
    )
    with pytest.raises(UserError, match="2 rows named 'untranslated'"):
        exponents.make_jobs(config, make_setting(config))


def test_a_report_does_not_outlive_the_flagfile_that_it_is_of(common, tmp_path):
    flagfile = tmp_path / "train.flags"
    flagfile.write_text("--steps=1\n")
    config = exponents.ExponentsConfig(
        output_dir=str(tmp_path / "out"),
        methods=METHODS,
        train_flagfile=str(flagfile),
        **common,
    )
    jobs = exponents.make_jobs(config, make_setting(config))
    leave_scores(list(jobs.values()), Path(config.cache_dir))
    exponents.exponents(config)
    flagfile.write_text("--steps=2\n")
    with pytest.raises(UserError, match="train_flagfile has changed"):
        exponents.exponents(config)
