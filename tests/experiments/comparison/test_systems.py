"""Rows in words: which jobs they ask for, and what is refused."""

import pytest

from kliep_tf import runs
from kliep_tf.errors import UserError
from kliep_tf.evaluate import EvaluateConfig
from kliep_tf.experiments import table1
from kliep_tf.experiments.comparison import rows
from kliep_tf.experiments.comparison.commands import check_commands
from kliep_tf.experiments.comparison.setting import make_setting
from kliep_tf.experiments.comparison.study import remarks_of
from kliep_tf.experiments.comparison.systems import SYSTEMS, parse_rows
from kliep_tf.experiments.running.jobs import Job, Output
from kliep_tf.experiments.table1 import Table1Config
from tests.conftest import ROOT

NO_METHODS = {"output_dir": "x", "methods": ()}


def scored(common, *texts: str, **flags) -> dict[str, Job]:
    """Returns by row the training of its first segmenter."""
    config = Table1Config(**NO_METHODS, **common, rows=texts, **flags)
    setting = make_setting(config)
    study = table1.make_study(config, setting)
    jobs = rows.segmentations(setting, study.rows, [0])
    return {row: job.flags["segmenter"].job for (row, _), job in jobs.items()}


def test_rows_are_named_by_their_systems_and_weights():
    found = parse_rows(
        ("cyclegan:1:0.5+adda", "mine=adaptsegnet", "adaptsegnet:overlap"), {}
    )
    assert [row.name for row in found] == [
        "CycleGAN (1,0.5) + ADDA",
        "mine",
        "AdaptSegNet (overlap)",
    ]
    assert [row.is_weighted for row in found] == [True, False, True]


def test_an_adaptation_learns_from_the_images_of_the_row_without_it(common):
    jobs = scored(common, "cyclegan", "cyclegan+adaptsegnet", "adaptsegnet")
    images = {
        row: job.flags.get("source_records") or job.flags["train_records"]
        for row, job in jobs.items()
    }
    translated = images["CycleGAN + AdaptSegNet"].job.digest
    assert translated == images["CycleGAN"].job.digest
    assert images["AdaptSegNet"] == images["no adaptation"]
    adapted = jobs["AdaptSegNet"]
    assert adapted.flags["target_records"].pattern == common["target_records"]
    assert "weights_dir" not in adapted.flags


def test_adda_begins_with_the_segmenter_of_the_row_without_it(common):
    jobs = scored(common, "cyclegan", "cyclegan+adda")
    begun = jobs["CycleGAN + ADDA"].flags["segmenter_run"]
    assert begun == Output(begun.job)
    assert begun.job.digest == jobs["CycleGAN"].digest


def test_cycada_begins_with_the_segmenter_of_no_adaptation(common):
    jobs = scored(common, "cycada", "cycada:1:1", "cycada+adda")
    trained = [
        jobs[row].flags["train_records"].job.flags["saved_model"].job
        for row in ("CyCADA", "CyCADA (1,1)")
    ]
    for job in trained:
        segmenter = job.flags["task_segmenter"].job
        assert segmenter.digest == jobs["no adaptation"].digest
    assert [job.flags["method"] for job in trained] == ["cycada", "cycada"]
    # After CyCADA, ADDA has CyCADA's segmenter.
    begun = jobs["CyCADA + ADDA"].flags["segmenter_run"].job
    assert begun.digest == jobs["CyCADA"].digest


def test_both_forms_of_unit_have_one_flagfile(common):
    jobs = scored(common, "unit", "unit_2017")
    trained = {
        row: job.flags["train_records"].job.flags["saved_model"].job
        for row, job in jobs.items()
        if row.startswith("UNIT")
    }
    assert {row: job.flags["unit_form"] for row, job in trained.items()} == {
        "UNIT 2018": "2018",
        "UNIT 2017": "2017",
    }


def test_weights_of_an_adaptation_are_its_own(common):
    jobs = scored(common, "cyclegan+adaptsegnet:0.5:0.5")
    (adapted,) = (job for job in jobs.values() if "adapt" in job.module)
    assert adapted.flags["source_weight_exponent"] == 0.5
    assert adapted.flags["weights_dir"].job.module.endswith("estimate_weights")
    trained = adapted.flags["source_records"].job.flags["saved_model"].job
    assert trained.flags["source_weight_exponent"] == 0
    assert "weights_dir" not in trained.flags


def test_rows_with_weights_are_paired_with_the_same_without():
    found = parse_rows(
        (
            "cyclegan",
            "cyclegan:overlap",
            "cyclegan+adda",
            "cyclegan:1:1+adda:1:1",
            "road:1:1",
        ),
        {},
    )
    assert rows.pairs_by_weights(found) == {
        "CycleGAN (overlap)": "CycleGAN",
        "CycleGAN (1,1) + ADDA (1,1)": "CycleGAN + ADDA",
    }


def test_road_takes_a_teacher_or_does_without(common, tmp_path):
    flags = scored(common, "road")["ROAD"].flags
    assert flags["distillation_weight"] == 0
    teacher = tmp_path / "teacher.npz"
    teacher.write_bytes(b"weights")
    jobs = scored(common, "road", teacher_weights=str(teacher))
    assert "distillation_weight" not in jobs["ROAD"].flags
    assert jobs["ROAD"].flags["teacher_weights"].path == str(teacher)


def test_what_a_training_remarks_is_told_with_its_row_and_seeds(tmp_path):
    maker = Job("", "adapt", "run_dir", {})
    job = Job("", "evaluate", "output_dir", {"segmenter": Output(maker)})
    config = EvaluateConfig("", "", "")
    with runs.claim(maker.output_dir(tmp_path), "adapt", config) as claim:
        claim.finish(remark="half of it was left out")
    scored = {("ROAD", 0): job, ("ROAD", 1): job}
    assert remarks_of(scored, tmp_path) == [
        "ROAD, seeds 0 and 1: half of it was left out."
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("cycle", "expected a system of cyclegan, .*found 'cycle'"),
        ("", "expected a system of cyclegan"),
        ("=cyclegan", "expected a name before ="),
        ("cyclegan+cyclegan", "a translation and an adaptation"),
        ("adda+cyclegan", "a translation and an adaptation"),
        ("cyclegan+adda+road", "a translation and an adaptation"),
        ("cyclegan:1", "expected the weighting A:B.*found '1'"),
        ("adda:wide", "expected the weighting A:B.*found 'wide'"),
    ],
)
def test_rows_of_another_form_are_refused(row, message):
    with pytest.raises(UserError, match=rf"--rows: .*{message}"):
        parse_rows((row,), {})


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("cyclegan=a.flags", "found 'cyclegan=a.flags'"),
        ("adda", "found 'adda'"),
        ("adda=none.flags", "--recipes=adda=none.flags: expected a flagfile"),
    ],
)
def test_recipes_of_another_form_are_refused(common, recipe, message):
    with pytest.raises(UserError, match=message):
        scored(common, "adda", recipes=(recipe,))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--network=drn_c_26", "--network=tiny, as all .*, found drn_c_26"),
        ("--network=tiny\n--stepz=3", "Unknown command line flag 'stepz'"),
    ],
)
def test_a_flagfile_is_refused_before_the_first_job(
    common, tmp_path, line, message
):
    flagfile = tmp_path / "adaptsegnet.flags"
    flagfile.write_text(line)
    jobs = scored(common, "adaptsegnet", recipes=(f"adaptsegnet={flagfile}",))
    with pytest.raises(UserError, match=f"{flagfile}.*{message}"):
        check_commands(jobs.values(), jobs["oracle"])


def test_every_system_has_a_flagfile_for_the_city():
    for name, system in SYSTEMS.items():
        if name != "cyclegan":
            method = system.method
            assert (ROOT / system.flagfile).name == f"{method}_city.flags"
            assert (ROOT / system.flagfile).is_file()


def test_a_row_may_not_have_the_name_of_another(common):
    config = Table1Config(**NO_METHODS, **common, rows=("road", "road"))
    setting = make_setting(config)
    with pytest.raises(UserError, match="2 rows named 'ROAD'"):
        table1.make_study(config, setting)
