import json
import signal
import subprocess
import sys
import time

import pytest

from kliep_tf.errors import UserError
from kliep_tf.experiments.running.stages import (
    TIMINGS,
    Stage,
    Timings,
    run_stages,
)
from tests.conftest import ROOT

# Modules of the standard library: one that succeeds, one that fails.
GOOD = Stage("good", "tell the platform", "platform", ())
BAD = Stage("bad", "list a missing archive", "zipfile", ("-l", "no.zip"))


def test_commands_are_printed_numbered_and_copyable(tmp_path, capfd):
    stage = Stage("a", "say something", "platform", ("two words", "x-*"))
    run_stages([stage], Timings(tmp_path), total=7)
    lines = capfd.readouterr().out.splitlines()
    assert lines[1] == "[1/7] say something"
    assert lines[2].endswith("-m platform 'two words' 'x-*'")


def test_a_failing_stage_ends_the_run_and_is_named(tmp_path, capfd):
    timings = Timings(tmp_path)
    with pytest.raises(UserError) as caught:
        run_stages([GOOD, BAD, GOOD], timings, total=3)
    assert "[2/3] list a missing archive: zipfile ended with" in str(
        caught.value
    )
    assert "[3/3]" not in capfd.readouterr().out
    assert timings.as_dict()["good"]["complete"]
    assert not timings.as_dict()["bad"]["complete"]


def test_complete_stages_keep_their_time(tmp_path):
    run_stages([GOOD], Timings(tmp_path), total=1)
    path = tmp_path / TIMINGS
    before = json.loads(path.read_text())["stages"]["good"]
    assert before["seconds"] > 0
    run_stages([GOOD], Timings(tmp_path), total=1)
    assert json.loads(path.read_text())["stages"]["good"] == before


def test_attempts_add_up_until_one_succeeds(tmp_path):
    timings = Timings(tmp_path)
    timings.stop("a", timings.start("a") - 10.0, complete=False)
    timings = Timings(tmp_path)
    timings.stop("a", timings.start("a") - 5.0, complete=True)
    entry = Timings(tmp_path).as_dict()["a"]
    assert entry["attempts"] == 2
    assert entry["complete"]
    assert entry["seconds"] == pytest.approx(15.0, abs=1.0)


def test_foreign_timings_are_refused(tmp_path):
    (tmp_path / TIMINGS).write_text("[]")
    with pytest.raises(UserError, match=r"timings\.json"):
        Timings(tmp_path)


def test_ctrl_c_leaves_a_stage_the_time_to_save(tmp_path):
    out = tmp_path / "out"
    code = (
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from kliep_tf.experiments.running.stages import *\n"
        "words = ('--seconds=60', '--saving=1', "
        f"'--output_dir={out}')\n"
        "name = 'tests.experiments.running.tiny_program'\n"
        "stage = Stage('nap', 'sleep', name, words)\n"
        f"run_stages([stage], Timings({str(tmp_path)!r}), total=1)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    deadline = time.monotonic() + 120
    while not (out / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) != 0
    assert (out / "saved").exists()
    assert not Timings(tmp_path).as_dict()["nap"]["complete"]
