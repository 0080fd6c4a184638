"""The whole demo, tiny, as a user runs it; then what it left."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from kliep_tf import runs
from kliep_tf.data.datasets import CLASS_NAMES
from kliep_tf.errors import UserError
from kliep_tf.experiments import demo as program
from kliep_tf.experiments.demo_run.plan import DemoConfig
from kliep_tf.experiments.running import flagfiles
from tests.conftest import run_program

SKY, VEGETATION = CLASS_NAMES.index("sky"), CLASS_NAMES.index("vegetation")
TINY = {
    "num_source": 12,
    "num_target": 12,
    "num_val": 6,
    "image_height": 32,
    "image_width": 64,
    "steps": 3,
    "generator_filters": 4,
    "discriminator_filters": 4,
    "num_residual_blocks": 1,
    "segmenter_steps": 10,
    "judge_steps": 10,
    # Choosing it takes longer than all of the rest of the estimate.
    "bandwidth": "0.1",
}


def config_for(directory: Path, **changes) -> DemoConfig:
    return DemoConfig(output_dir=str(directory), **(TINY | changes))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The output directory of a whole demo, and what it printed."""
    directory = tmp_path_factory.mktemp("demo") / "out"
    words = [f"--{name}={value}" for name, value in TINY.items()]
    result = run_program(program.PROGRAM, f"--output_dir={directory}", *words)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    return directory, result.stdout


def read_json(directory: Path, name: str = "report.json"):
    return json.loads((directory / name).read_text())


def test_last_lines_are_the_headlines_and_the_report(finished):
    directory, output = finished
    lines = output.splitlines()
    assert lines[-1] == str((directory / "report.html").resolve())
    headlines = read_json(directory)["headlines"]
    assert lines[-1 - len(headlines) : -1] == headlines
    assert headlines[0].startswith("sky still seen as sky: ")


def test_every_stage_is_numbered_printed_and_timed(finished):
    directory, output = finished
    for number in range(1, 17):
        assert f"[{number}/16] " in output
    stages = read_json(directory, "timings.json")["stages"]
    assert len(stages) == 16
    assert all(entry["complete"] for entry in stages.values())
    assert all(entry["seconds"] > 0 for entry in stages.values())
    for stage in read_json(directory)["stages"]:
        assert stage["command"] in output


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


def test_all_source_labels_are_judged_in_both_translations(finished):
    directory, _ = finished
    rows = read_json(directory)["consistency"]
    labels = [
        np.sum(rows[name]["confusion_matrix"], axis=1).tolist()
        for name in ("source", "without", "with")
    ]
    assert labels[0] == labels[1] == labels[2]
    assert 0.9 * 12 * 32 * 64 < sum(labels[0]) <= 12 * 32 * 64


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
    assert len(weights["target"]["true"]) == 12


def test_second_run_says_already_done_at_once(finished, capfd):
    directory, output = finished
    started = time.monotonic()
    program.demo(config_for(directory))
    # No program is started, which alone takes seconds.
    assert time.monotonic() - started < 2
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == f"{directory}: already done"
    assert lines[1:] == output.splitlines()[-len(lines) + 1 :]


def test_other_arguments_are_refused(finished):
    directory, _ = finished
    with pytest.raises(UserError, match="made with --steps=3, now asked for"):
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
