"""The whole demo, tiny: all but one of its stages are there; continued."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest

from kliep_tf import runs
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.errors import UserError
from kliep_tf.experiments import demo as program
from kliep_tf.experiments.demo_run.flags import DemoConfig
from kliep_tf.experiments.demo_run.plan import plan
from kliep_tf.experiments.running import flagfiles
from kliep_tf.experiments.running.boards import StageBoard
from tests.conftest import ROOT
from tests.experiments.real_programs import leave_copy, run_here
from tests.programs.run_directories import mark_incomplete

SKY, VEGETATION = map(CITYSCAPES_CLASSES.index, ("sky", "vegetation"))
TINY = {
    "num_source": 6,
    "num_target": 6,
    "num_val": 3,
    "image_height": 32,
    "image_width": 64,
    "steps": 2,
    "generator_filters": 2,
    "discriminator_filters": 2,
    "num_residual_blocks": 1,
    "segmenter_steps": 5,
    "judge_steps": 5,
    # Choosing it takes longer than all of the rest of the estimate.
    "bandwidth": "0.1",
}


def config_for(directory: Path, **changes) -> DemoConfig:
    return DemoConfig(output_dir=str(directory), **(TINY | changes))


@pytest.fixture(scope="module")
def finished(tiny_table, ran, tmp_path_factory):
    """The output directory of a whole demo, and what its end printed.

    Trainings are those of other tests; what a program has made here for real
    serves the stages that differ in their flags alone.
    """
    directory = tmp_path_factory.mktemp("demo") / "out"
    config = config_for(directory)
    planned = plan(config, str(ROOT / "configs" / "demo.flags"))
    cache = Path(tiny_table["cache_dir"])
    trained = {job.module: job.output_dir(cache) for job in ran}
    with runs.claim(directory, program.PROGRAM, config):
        board = StageBoard(directory, planned.stages, total=16)

        def run(*jobs):
            run_here(jobs, directory, board)

        def leave(job, made):
            leave_copy(job, directory, made, board)

        # Its process, which the demo starts below, imports no TensorFlow.
        run_here([planned.render], directory)
        run(planned.source, *planned.target.values())
        for job in (
            planned.segmenter,
            planned.judge,
            *planned.trainings.values(),
        ):
            leave(job, trained[job.module])
        run(planned.evaluations["source"], planned.evaluations["with"])
        translated = planned.translations["with"].output_dir(directory)
        leave(planned.translations["without"], translated)
        judged = planned.evaluations["with"].output_dir(directory)
        leave(planned.evaluations["without"], judged)
        leave(planned.evaluations["val"], judged)
        mark_incomplete(planned.render.output_dir(directory))
        assert not planned.render.is_complete(directory)
    output = io.StringIO()
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(output):
        program.demo(config)
    return directory, output.getvalue()


def read_json(directory: Path, name: str = "report.json"):
    return json.loads((directory / name).read_text())


def test_last_lines_are_the_headlines_and_the_report(finished):
    directory, output = finished
    lines = output.splitlines()
    assert lines[-1] == str((directory / "report.html").resolve())
    headlines = read_json(directory)["headlines"]
    assert lines[-1 - len(headlines) : -1] == headlines
    assert headlines[0].startswith("sky still seen as sky: ")


def test_the_same_command_continues_and_times_every_stage(finished):
    directory, output = finished
    lines = output.splitlines()
    for number in range(2, 16):
        (line,) = (each for each in lines if each.startswith(f"[{number}/16]"))
        assert line.endswith(": already done")
    drawn = "draw the city twice: as rendered, as a camera sees it"
    assert f"[1/16] {drawn}" in lines
    assert "[16/16] write the report" in lines
    stages = read_json(directory, "timings.json")["stages"]
    assert len(stages) == 16
    assert all(entry["complete"] for entry in stages.values())
    assert all(entry["attempts"] == 1 for entry in stages.values())
    assert read_json(directory)["stages"][0]["command"] in lines


def test_report_is_one_page_with_both_methods_and_pictures(finished):
    directory, _ = finished
    page = (directory / "report.html").read_text()
    assert "translated without weights" in page
    assert "translated with weights" in page
    # Six frames of six pictures each, the scatter and the weights' figure.
    assert page.count("data:image/png;base64,") == 6 * 6 + 2
    for word in ("http:", "https:", "<script", "<link"):
        assert word not in page
    text = (directory / "report.md").read_text()
    assert "| translated with weights | " in text


@pytest.mark.parametrize(
    ("name", "evaluated"),
    [
        ("source", "source"),
        ("without", "without"),
        ("with", "with"),
        ("judge", "camera_val"),
    ],
)
def test_numbers_are_those_of_the_confusion_matrices(finished, name, evaluated):
    directory, _ = finished
    report = read_json(directory / "judged" / evaluated)
    matrix = np.array(report["confusion_matrix"], float)
    sky = matrix[SKY] / matrix[SKY].sum()
    numbers = read_json(directory)
    found = (
        numbers["judge"] if name == "judge" else numbers["consistency"][name]
    )
    assert found["sky_kept"] == pytest.approx(sky[SKY])
    assert found["sky_to_vegetation"] == pytest.approx(sky[VEGETATION])
    assert found["sky_to_other"] == pytest.approx(
        1 - sky[SKY] - sky[VEGETATION]
    )
    hits = matrix.diagonal()
    union = matrix.sum(0) + matrix.sum(1) - hits
    iou = (hits / np.maximum(union, 1))[union > 0].mean()
    assert found["mean_iou"] == pytest.approx(iou)
    assert found["mean_iou"] == pytest.approx(report["mean_iou"])
    assert found["pixel_accuracy"] == pytest.approx(hits.sum() / matrix.sum())


def test_all_source_labels_are_judged_in_a_translation(finished):
    directory, _ = finished
    rows = read_json(directory)["consistency"]
    labels = [
        np.sum(rows[name]["confusion_matrix"], axis=1).tolist()
        for name in ("source", "with")
    ]
    assert labels[0] == labels[1]
    assert 0.9 * 6 * 32 * 64 < sum(labels[0]) <= 6 * 32 * 64


def test_the_trainings_differ_in_their_exponents_alone(finished):
    directory, _ = finished
    without, with_weights = (
        runs.read_config(directory / "train" / method)["arguments"]
        for method in ("without", "with")
    )
    different = {
        name for name in without if without[name] != with_weights[name]
    }
    assert different == {
        "run_dir",
        "source_weight_exponent",
        "target_weight_exponent",
    }
    assert without["source_weight_exponent"] == 0
    assert with_weights["source_weight_exponent"] > 0


def test_true_ratios_are_those_of_the_scenes(finished):
    directory, _ = finished
    weights = read_json(directory)["weights"]
    scenes = (directory / "city/gta5/scenes.csv").read_text().splitlines()
    column = scenes[0].split(",").index("density_ratio")
    expected = [float(line.split(",")[column]) for line in scenes[1:]]
    assert sorted(weights["source"]["true"]) == pytest.approx(sorted(expected))
    assert len(weights["target"]["true"]) == 6


def test_second_run_says_already_done_and_runs_nothing(finished, capfd):
    directory, output = finished
    before = read_json(directory, "timings.json")
    program.demo(config_for(directory))
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == f"{directory}: already done"
    assert lines[1:] == output.splitlines()[-len(lines) + 1 :]
    assert read_json(directory, "timings.json") == before


def test_other_arguments_are_refused(finished):
    directory, _ = finished
    with pytest.raises(UserError, match="made with --steps=2, now asked for"):
        program.demo(config_for(directory, steps=4))


def test_missing_train_flagfile_is_named(tmp_path):
    config = DemoConfig(
        output_dir=str(tmp_path / "out"), train_flagfile="no.flags"
    )
    with pytest.raises(UserError, match=r"--train_flagfile=no\.flags"):
        program.demo(config)
    assert not (tmp_path / "out").exists()


def test_away_from_a_checkout_the_flagfile_is_asked_for(tmp_path, monkeypatch):
    elsewhere = tmp_path / "kliep_tf" / "experiments" / "running"
    monkeypatch.setattr(flagfiles, "__file__", str(elsewhere / "flagfiles.py"))
    with pytest.raises(UserError, match="run from one, or name a flagfile"):
        program.demo(DemoConfig(output_dir=str(tmp_path / "out")))
