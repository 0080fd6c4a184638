"""The program of Table I: its jobs, its rows and its report."""

import collections
import dataclasses
import shutil
from pathlib import Path

import pytest

from kliep_tf.data import records
from kliep_tf.errors import UserError
from kliep_tf.experiments import table1
from kliep_tf.experiments.comparison import rows
from kliep_tf.experiments.comparison.setting import make_setting
from tests.conftest import write_records
from tests.experiments.real_programs import (
    ADAPT_SEGMENTER,
    MODULES,
    confusion_of,
    jobs_of,
    leave_scores,
    parse_command,
    read_json,
    sky_iou,
)

METHODS = ("plain:0:0", "weighted:1:0.5")


def make_study(config):
    setting = make_setting(config)
    return table1.make_study(config, setting), setting


def test_every_row_is_scored_whichever_programs_it_takes(
    tiny_table, ran, tmp_path
):
    config = table1.Table1Config(output_dir=str(tmp_path / "out"), **tiny_table)
    study, setting = make_study(config)
    cache = Path(config.cache_dir)
    jobs = jobs_of(study, setting, seeds=[0])
    modules = collections.Counter(job.module for job in jobs)
    assert set(modules) == {*MODULES, ADAPT_SEGMENTER}
    # The row of both has the CycleGAN of the row without AdaptSegNet.
    assert modules["kliep_tf.train"] == modules["kliep_tf.translate"] == 1
    assert modules[ADAPT_SEGMENTER] == 2
    # One job of each program has run; more of a kind need not.
    assert {job.module for job in ran} == set(modules)
    leave_scores(jobs, cache)
    table1.table1(config)
    numbers = read_json(tmp_path / "out", "table1.json")
    scores = numbers["segmentation"]
    rows_shown = ["no adaptation", "weighted", "adapted", "both", "oracle"]
    assert list(scores) == rows_shown
    scored = rows.segmentations(setting, study.rows, [0])
    for (row, _), job in scored.items():
        expected = sky_iou(confusion_of(job, cache))
        assert scores[row]["sky"]["values"] == [pytest.approx(expected)]
    # All 4 images of 32x48 are validated on.
    assert confusion_of(scored["both", 0], cache).sum() == 4 * 32 * 48
    # Images of the target, and images that a row above has, are not judged.
    assert list(numbers["consistency"]) == ["no adaptation", "weighted"]
    for name in ("scores", "consistency", "translations", "predictions"):
        assert (tmp_path / "out" / f"table1_{name}.png").exists()
    entry = read_json(tmp_path / "out", "jobs.json")["score of oracle, seed 0"]
    assert entry["command"].startswith("python -m kliep_tf.evaluate ")
    report = (tmp_path / "out" / "table1.md").read_text()
    # The paper's corrupt row is shown as printed, and said to be corrupt.
    assert "| no adaptation (PID), DeepLabv3 | 79.2 |" in report
    assert "no adaptation (PID), DeepLabv3: corrupt" in report


def test_given_translations_and_published_rows_join_the_table(
    tiny, ran, tmp_path
):
    copied = Path(shutil.copytree(tiny["source_records"], tmp_path / "copied"))
    published = tmp_path / "published.csv"
    published.write_text("name,sky,mIoU\ntheirs,12.5,34.5\n")
    config = table1.Table1Config(
        output_dir=str(tmp_path / "out"),
        methods=(),
        translated=(f"copied={copied}",),
        val_scale=0.5,
        reference_rows=str(published),
        **tiny,
    )
    study, setting = make_study(config)
    leave_scores(jobs_of(study, setting, [0]), Path(config.cache_dir), like=ran)
    table1.table1(config)
    numbers = read_json(tmp_path / "out", "table1.json")
    scores = numbers["segmentation"]
    # The same images and seed: the same segmenter, trained once.
    scored = rows.segmentations(setting, study.rows, [0])
    assert scored["copied", 0].digest == scored["no adaptation", 0].digest
    assert scores["copied"] == scores["no adaptation"]
    assert numbers["reference"]["theirs"]["sky"]["values"] == [0.125]
    report = (tmp_path / "out" / "table1.md").read_text()
    ours, below = report.split("## Published rows, for reference")
    assert "| theirs |" not in ours
    assert "| theirs |" in below
    shard = next(copied.glob("*.tfrecord"))
    records.write_shard(shard, reversed(list(records.read_shard(shard))))
    with pytest.raises(UserError, match="copied: records have changed"):
        table1.table1(config)


def test_every_command_has_the_flags_of_its_program(common):
    config = table1.Table1Config(output_dir="x", **common)
    jobs = jobs_of(*make_study(config), config.seeds)
    for job in jobs:
        parse_command(job, Path("cache"))
    assert {job.module for job in jobs} == MODULES


def test_the_judge_is_the_first_oracle(common):
    config = table1.Table1Config(output_dir="x", **common)
    study, setting = make_study(config)
    scored = rows.segmentations(setting, study.rows, config.seeds)
    assert scored["oracle", 0].needs[0].digest == setting.judge.digest
    assert scored["oracle", 1].needs[0].digest != setting.judge.digest


def test_seeds_that_ran_apart_are_those_of_one_run(common):
    config = table1.Table1Config(output_dir="x", **common)

    def scores(first: int, number: int) -> dict:
        apart = dataclasses.replace(config, first_seed=first, num_seeds=number)
        study, setting = make_study(apart)
        found = rows.segmentations(setting, study.rows, apart.seeds)
        return {key: job.digest for key, job in found.items()}

    assert scores(0, 1) | scores(1, 2) == scores(0, 3)
    assert {seed for _, seed in scores(1, 2)} == {1, 2}


@pytest.mark.parametrize(
    "change", [{"first_seed": -1}, {"first_seed": 2**30 - 2}]
)
def test_seeds_that_no_generator_takes_are_refused(common, change):
    config = table1.Table1Config(output_dir="x", **common | change)
    with pytest.raises(UserError, match=r"--first_seed=.*: expected 0 to"):
        make_study(config)


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
    setting = make_setting(config)
    with pytest.raises(UserError, match=f"2 rows named '{name}'"):
        table1.make_study(config, setting)


def test_translated_records_that_lack_an_image_are_refused(common, tmp_path):
    directory = write_records(tmp_path, number=2, sky=0.5, bright=True)
    config = table1.Table1Config(
        output_dir="x", translated=(f"theirs={directory}",), **common
    )
    setting = make_setting(config)
    with pytest.raises(UserError, match="missing, such as '"):
        table1.make_study(config, setting)


def test_translated_records_need_a_name(common):
    config = dataclasses.replace(
        table1.Table1Config(output_dir="x", **common), translated=("records",)
    )
    setting = make_setting(config)
    with pytest.raises(UserError, match="expected NAME=RECORDS"):
        table1.make_study(config, setting)
