"""The program of Table I around the programs that it runs."""

import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from kliep_tf.errors import UserError
from kliep_tf.experiments import table1
from kliep_tf.experiments.comparison import recipes
from tests.conftest import write_records
from tests.experiments.finished_programs import (
    METHODS,
    SKY,
    check_commands,
    confusion_of,
    leave_what_programs_do,
    read_json,
    study_jobs,
)


def test_every_command_has_the_flags_of_its_program(common):
    config = table1.Table1Config(output_dir="x", **common)
    setting = recipes.make_setting(config)
    scored, judged = study_jobs(table1.make_study(config, setting), setting)
    check_commands([*scored.values(), *judged.values()])


@pytest.mark.parametrize("val_scale", [1.0, 0.5])
def test_table1_scores_every_row(
    common, source_records, saved_model, tmp_path, val_scale
):
    copied = Path(shutil.copytree(source_records, tmp_path / "copied"))
    published = tmp_path / "published.csv"
    published.write_text("name,sky,mIoU\ntheirs,12.5,34.5\n")
    config = table1.Table1Config(
        output_dir=str(tmp_path / "out"),
        methods=METHODS,
        translated=(f"copied={copied}",),
        reference_rows=str(published),
        val_scale=val_scale,
        **common,
    )
    setting = recipes.make_setting(config)
    scored, judged = study_jobs(table1.make_study(config, setting), setting)
    cache = Path(config.cache_dir)
    jobs = [*scored.values(), *judged.values()]
    leave_what_programs_do(jobs, cache, source_records, saved_model)
    table1.table1(config)
    numbers = read_json(tmp_path / "out", "table1.json")
    scores = numbers["segmentation"]
    assert list(scores) == [
        "no adaptation",
        "plain",
        "weighted",
        "copied",
        "oracle",
    ]
    # The same images and seeds: the same segmenters, trained once.
    assert scores["copied"] == scores["no adaptation"]
    # 100 sky pixels, none predicted by mistake: IoU is the share kept.
    sky = np.array(confusion_of(scored["plain", 1]))[SKY, SKY] / 100
    assert scores["plain"]["sky"]["values"][1] == pytest.approx(sky)
    assert "oracle" not in numbers["consistency"]
    assert numbers["reference"]["theirs"]["sky"]["values"] == [0.125]
    report = (tmp_path / "out" / "table1.md").read_text()
    ours, below = report.split("## Published rows, for reference")
    assert "| theirs |" not in ours
    assert "| theirs |" in below
    for name in ("scores", "consistency", "translations", "predictions"):
        assert (tmp_path / "out" / f"table1_{name}.png").exists()
    entry = read_json(tmp_path / "out", "jobs.json")["score of oracle, seed 0"]
    assert entry["command"].startswith("python -m kliep_tf.evaluate ")
    os.utime(next(copied.glob("*.tfrecord")), ns=(1, 1))
    with pytest.raises(UserError, match="copied: records have changed"):
        table1.table1(config)


def test_the_judge_is_the_first_oracle(common):
    config = table1.Table1Config(output_dir="x", **common)
    setting = recipes.make_setting(config)
    scored, _ = study_jobs(table1.make_study(config, setting), setting)
    assert scored["oracle", 0].needs[0].digest == setting.judge.digest
    assert scored["oracle", 1].needs[0].digest != setting.judge.digest


@pytest.mark.parametrize("flag", ["source_records", "val_records"])
def test_missing_records_are_named_by_their_flag(common, flag, tmp_path):
    config = table1.Table1Config(
        output_dir=str(tmp_path / "out"), **(common | {flag: "none/all-*"})
    )
    with pytest.raises(UserError, match=rf"--{flag}=none/all-\*: expected"):
        table1.table1(config)


@pytest.mark.parametrize("name", ["oracle", "plain"])
def test_a_row_of_another_rows_name_is_refused(common, source_records, name):
    config = table1.Table1Config(
        output_dir="x",
        methods=METHODS,
        translated=(f"{name}={source_records}",),
        **common,
    )
    setting = recipes.make_setting(config)
    with pytest.raises(UserError, match=f"2 rows named '{name}'"):
        table1.make_study(config, setting)


def test_translated_records_that_lack_an_image_are_refused(common, tmp_path):
    records = write_records(tmp_path, number=2, sky=0.5, bright=True)
    config = table1.Table1Config(
        output_dir="x", translated=(f"theirs={records}",), **common
    )
    setting = recipes.make_setting(config)
    with pytest.raises(UserError, match="missing, such as '"):
        table1.make_study(config, setting)


def test_translated_records_need_a_name(common):
    config = dataclasses.replace(
        table1.Table1Config(output_dir="x", **common), translated=("records",)
    )
    setting = recipes.make_setting(config)
    with pytest.raises(UserError, match="expected NAME=RECORDS"):
        table1.make_study(config, setting)
