import json

import pytest

from kliep_tf.errors import UserError
from kliep_tf.experiments.running.boards import TIMINGS, StageBoard, Timings
from kliep_tf.experiments.running.jobs import Job
from kliep_tf.experiments.running.scheduling import run_jobs
from tests.conftest import ROOT
from tests.experiments.running.tiny_program import TinyConfig, write_number


def make(number, **flags):
    return Job(
        f"write {number}",
        "tests.experiments.running.tiny_program",
        "output_dir",
        {"number": number, **flags},
        place=f"number {number}",
    )


def run(directory, *jobs):
    stages = {f"stage{number}": job for number, job in enumerate(jobs)}
    board = StageBoard(directory, stages, total=len(jobs) + 1)
    run_jobs(jobs, directory, board)
    return board.timings()


@pytest.fixture(autouse=True)
def from_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_stages_are_numbered_copyable_and_not_run_again(tmp_path, capfd):
    timings = run(tmp_path, make(1), make(2))
    lines = capfd.readouterr().out.splitlines()
    assert lines[1] == "[1/3] write 1"
    assert lines[2].endswith(f"'--output_dir={tmp_path}/number 1' --number=1")
    assert lines[4] == "[2/3] write 2"
    assert [entry["attempts"] for entry in timings.values()] == [1, 1]
    assert all(entry["complete"] for entry in timings.values())
    assert all(entry["seconds"] > 0 for entry in timings.values())
    assert run(tmp_path, make(1), make(2)) == timings
    assert capfd.readouterr().out.splitlines() == [
        "[1/3] write 1: already done",
        "[2/3] write 2: already done",
    ]


def test_a_failing_stage_ends_the_run_and_is_named(tmp_path, capfd):
    with pytest.raises(
        UserError, match=r"write 2: .* ended with status 1; what"
    ):
        run(tmp_path, make(1), make(2, fail=True), make(3))
    captured = capfd.readouterr()
    # What it says passes through.
    assert "error: told to fail" in captured.err
    assert "[3/4]" not in captured.out
    entries = json.loads((tmp_path / TIMINGS).read_text())["stages"]
    assert entries["stage0"]["complete"]
    assert not entries["stage1"]["complete"]


def test_attempts_add_up_until_one_succeeds(tmp_path):
    for seconds, complete in ((10.0, False), (5.0, True)):
        timings = Timings(tmp_path)
        timings.start("a", "digest")
        timings.stop("a", seconds, complete=complete)
    assert Timings(tmp_path).as_dict()["a"] == {
        "seconds": 15.0,
        "attempts": 2,
        "complete": True,
    }


def test_foreign_timings_are_refused(tmp_path):
    (tmp_path / TIMINGS).write_text("[]")
    with pytest.raises(UserError, match=r"timings\.json"):
        Timings(tmp_path)


@pytest.mark.parametrize("digest", [{}, {"digest": "another"}])
def test_outputs_of_other_commands_are_refused_in_one_line(tmp_path, digest):
    # As an earlier version leaves it: complete, by whatever command.
    config = TinyConfig(str(tmp_path / "number 1"), number=1)
    write_number(config)
    entry = {"seconds": 1.0, "attempts": 1, "complete": True, **digest}
    (tmp_path / TIMINGS).write_text(json.dumps({"stages": {"stage0": entry}}))
    with pytest.raises(UserError, match="another version of this program made"):
        run(tmp_path, make(1))
