"""What a killed run leaves is swept, and no step is drawn twice."""

import collections
import itertools
from pathlib import Path

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_file_loader import (
    EventFileLoader,
)

from kliep_tf.data.tensors import read_tensors
from kliep_tf.training.checkpoints import Checkpoints
from kliep_tf.training.loop import LoopSettings, run_steps


class Killed(BaseException):
    """Nothing catches it: like a kill, it leaves no time to save."""


def run(directory, die_at=None):
    """Six steps, a checkpoint every second one, a figure each."""
    counter = tf.Variable(0)

    def train_step(batch):
        if batch == die_at:
            raise Killed
        return {"loss": tf.cast(counter.assign_add(1), tf.float32)}

    with tf.summary.create_file_writer(str(directory / "board")).as_default():
        tf.summary.text("run/config", "the same each time", 0)
    run_steps(
        train_step,
        lambda start: itertools.count(start + 1),
        Checkpoints(directory / "ckpt", {"counter": counter}, keep=2),
        LoopSettings(
            num_steps=6, batch_size=1, checkpoint_every=2, log_every=1
        ),
        directory / "board",
    )


def points(directory):
    """Counts (tag, step) by TensorBoard's own reader."""
    found = collections.Counter()
    for path in directory.glob("*.tfevents.*"):
        for event in EventFileLoader(str(path)).Load():
            found.update((one.tag, event.step) for one in event.summary.value)
    return found


@pytest.mark.parametrize("die_at", [1, 2, 4])
def test_no_step_is_written_twice(tmp_path, die_at):
    with pytest.raises(Killed):
        run(tmp_path, die_at)
    # Step 3 lies behind the checkpoint of step 2, and is made again.
    assert (points(tmp_path / "board")["loss", 3] == 1) == (die_at == 4)
    run(tmp_path)
    expected = {(tag, step): 1 for step in range(1, 7) for tag in SCALARS}
    assert points(tmp_path / "board") == expected | {("run/config", 0): 1}


SCALARS = ("loss", "speed/images_per_second")


def test_event_file_that_a_kill_has_cut_is_mended(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, die_at=4)
    path = max((tmp_path / "board").iterdir(), key=lambda p: p.stat().st_size)
    path.write_bytes(path.read_bytes()[:-5])
    run(tmp_path)
    assert points(tmp_path / "board")["loss", 6] == 1
    assert max(points(tmp_path / "board").values()) == 1


def test_what_saves_left_behind_is_swept(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, die_at=4)
    directory = tmp_path / "ckpt"
    before = sorted(path.name for path in directory.iterdir())
    # A kill inside of a save, one behind its files, one inside of the state's.
    (directory / "ckpt-4_temp").mkdir()
    (directory / "ckpt-4_temp" / "part-00000-of-00001").write_text("half")
    (directory / "ckpt-3.index").write_text("whole")
    (directory / "ckpt-3.data-00000-of-00001").write_text("whole")
    (directory / "checkpoint.tmp0123").write_text("half")
    with pytest.raises(Killed):
        run(tmp_path, die_at=3)
    assert sorted(path.name for path in directory.iterdir()) == before


def test_without_the_managers_file_checkpoints_are_left_alone(tmp_path):
    directory = tmp_path / "ckpt"
    directory.mkdir()
    (directory / "ckpt-7.index").write_text("somebody's")
    Checkpoints(directory, {}, keep=2).sweep()
    assert (directory / "ckpt-7.index").exists()


def test_folder_that_looks_like_a_pattern_is_a_folder(tmp_path):
    directory = tmp_path / "a [1]*?"
    with pytest.raises(Killed):
        run(directory, die_at=4)
    run(directory)
    assert points(directory / "board")["loss", 6] == 1
    # The last two, as anywhere else.
    indices = sorted(path.name for path in directory.glob("ckpt/*.index"))
    assert indices == ["ckpt-4.index", "ckpt-6.index"]
    found = read_tensors(directory / "ckpt" / "ckpt-6")
    assert found["counter/.ATTRIBUTES/VARIABLE_VALUE"] == 6


def test_run_that_was_moved_goes_on(tmp_path, monkeypatch):
    with pytest.raises(Killed):
        run(tmp_path / "first", die_at=4)
    (tmp_path / "first").rename(tmp_path / "second")
    monkeypatch.chdir(tmp_path)
    run(Path("./second"))
    read = read_tensors("second/ckpt/ckpt-6")
    assert read["counter/.ATTRIBUTES/VARIABLE_VALUE"] == 6
    # Steps 1 and 2 were made before, and not again.
    assert points(tmp_path / "second" / "board")["loss", 2] == 1


def test_checkpoints_of_one_state_are_the_same_bytes(tmp_path):
    contents = []
    for saved_at in ((2, 4), (1, 2, 3, 4)):  # undisturbed, and stopped twice
        directory = tmp_path / str(len(saved_at))
        checkpoints = Checkpoints(directory, {}, keep=3)
        for step in saved_at:
            checkpoints.step.assign(step)
            checkpoints.save()
        contents.append((directory / "ckpt-4.data-00000-of-00001").read_bytes())
    assert contents[0] == contents[1]
