"""The exponents' program around the programs that it runs."""

from pathlib import Path

import numpy as np
import pytest

from kliep_tf.errors import UserError
from kliep_tf.experiments import exponents
from kliep_tf.experiments.comparison import recipes
from tests.experiments.finished_programs import (
    METHODS,
    SKY,
    check_commands,
    confusion_of,
    leave_what_programs_do,
    read_json,
)


def test_every_command_has_the_flags_of_its_program(common):
    config = exponents.ExponentsConfig(output_dir="x", **common)
    jobs = exponents.make_jobs(config, recipes.make_setting(config))
    check_commands(jobs.values())


def test_exponents_reports_what_the_judge_saw(
    common, source_records, saved_model, tmp_path, capsys
):
    config = exponents.ExponentsConfig(
        output_dir=str(tmp_path / "out"), methods=METHODS, **common
    )
    jobs = exponents.make_jobs(config, recipes.make_setting(config))
    cache = Path(config.cache_dir)
    leave_what_programs_do(jobs.values(), cache, source_records, saved_model)
    exponents.exponents(config)
    rows = read_json(tmp_path / "out", "exponents.json")["rows"]
    kept = [
        np.array(confusion_of(jobs["weighted", seed]))[SKY, SKY] / 100
        for seed in (0, 1)
    ]
    assert rows["weighted"]["sky_kept"]["values"] == pytest.approx(kept)
    assert rows["weighted"]["sky_kept"]["mean"] == pytest.approx(np.mean(kept))
    assert len(rows["untranslated"]["sky_kept"]["values"]) == 1
    report = (tmp_path / "out" / "exponents.md").read_text()
    assert "python -m kliep_tf.experiments.exponents" in report
    assert "| minus plain |" in report
    assert (tmp_path / "out" / "exponents_consistency.png").exists()
    exponents.exponents(config)
    assert "already done" in capsys.readouterr().out


def test_a_row_of_another_rows_name_is_refused(common):
    methods = ("untranslated:1:1", "plain:0:0")
    config = exponents.ExponentsConfig(
        output_dir="x", methods=methods, **common
    )
    with pytest.raises(UserError, match="2 rows named 'untranslated'"):
        exponents.make_jobs(config, recipes.make_setting(config))


def test_a_report_does_not_outlive_the_flagfile_that_it_is_of(
    common, source_records, saved_model, tmp_path
):
    flagfile = tmp_path / "train.flags"
    flagfile.write_text("--steps=1\n")
    config = exponents.ExponentsConfig(
        output_dir=str(tmp_path / "out"),
        methods=METHODS,
        train_flagfile=str(flagfile),
        **common,
    )
    jobs = exponents.make_jobs(config, recipes.make_setting(config))
    cache = Path(config.cache_dir)
    leave_what_programs_do(jobs.values(), cache, source_records, saved_model)
    exponents.exponents(config)
    flagfile.write_text("--steps=2\n")
    with pytest.raises(UserError, match="train_flagfile has changed"):
        exponents.exponents(config)
