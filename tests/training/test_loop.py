"""What a run leaves on disk when it ends in the middle of something."""

import itertools
import os
import signal

import keras
import pytest
import tensorflow as tf

from kliep_tf.errors import Terminated, UserError
from kliep_tf.training import saved_models
from kliep_tf.training.checkpoints import Checkpoints
from kliep_tf.training.loop import LoopSettings, run_steps

SETTINGS = LoopSettings(
    num_steps=3, batch_size=1, checkpoint_every=3, log_every=1
)


class Killed(BaseException):
    """Nothing catches it: like a kill, it leaves no time to save."""


def run(directory, die_at, die=Killed):
    counter = tf.Variable(0)
    checkpoints = Checkpoints(directory / "ckpt", {"counter": counter}, keep=2)

    def train_step(batch):
        if batch == die_at:
            if die is Killed:
                raise Killed
            os.kill(os.getpid(), die)
        return {"loss": tf.cast(counter.assign_add(1), tf.float32)}

    run_steps(
        train_step,
        lambda start: itertools.count(start + 1),
        checkpoints,
        SETTINGS,
        directory / "board",
    )
    return int(counter)


def test_only_whole_checkpoint_is_not_written_over(tmp_path):
    """A kill while it is written again would leave none."""
    with pytest.raises(Killed):
        run(tmp_path, die_at=2)
    files = list((tmp_path / "ckpt").glob("ckpt-0.*"))
    before = {path: path.stat().st_mtime_ns for path in files}
    assert len(before) == 2
    with pytest.raises(Killed):
        run(tmp_path, die_at=2)
    assert {path: path.stat().st_mtime_ns for path in files} == before
    assert run(tmp_path, die_at=None) == 3


@pytest.mark.parametrize(
    ("number", "kind"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)],
)
def test_a_signal_ends_the_step_and_saves_it(tmp_path, number, kind):
    with pytest.raises(KeyboardInterrupt) as raised:
        run(tmp_path, die_at=2, die=number)
    assert raised.type is kind
    assert (tmp_path / "ckpt" / "ckpt-2.index").exists()
    assert run(tmp_path, die_at=None) == 3


@pytest.mark.parametrize(
    "kind", [tf.errors.UnknownError, tf.errors.InvalidArgumentError]
)
def test_batch_that_cannot_be_read_is_told_in_one_line(tmp_path, kind):
    def batches(start):
        yield start
        raise kind(None, None, "no image\nat all")

    with pytest.raises(UserError) as raised:
        run_steps(
            lambda batch: {"loss": tf.constant(0.0)},
            batches,
            Checkpoints(tmp_path / "ckpt", {}, keep=1),
            SETTINGS,
            tmp_path / "board",
            describe_batch=lambda step: f"frame_{step}",
        )
    assert str(raised.value) == (
        "step 2: expected readable examples, found a damaged one among frame_2 "
        "(no image)"
    )


def archive_of(factor):
    model = keras.Sequential([keras.Input([1]), keras.layers.Rescaling(factor)])
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", model.call, [tf.TensorSpec([None, 1])])
    return archive


def test_export_that_is_replaced_is_never_half_old_and_half_new(
    tmp_path, monkeypatch
):
    saved_models.write_archive(archive_of(1.0), tmp_path)
    assert saved_models.is_whole(tmp_path)

    def killed(*paths):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(saved_models.runs, "replace_durably", killed)
        saved_models.write_archive(archive_of(2.0), tmp_path)
    assert not saved_models.is_whole(tmp_path)
    saved_models.write_archive(archive_of(2.0), tmp_path)
    assert saved_models.is_whole(tmp_path)
    assert not (tmp_path / ".partial").exists()
