"""How a training ends early and goes on, whatever the method.

With the tiny method; that a model's own state is all in its checkpoint is
tested beside the model, in tests/translation/methods.
"""

import dataclasses
import random
import shutil
import signal
import time

import numpy as np
import pytest

from kliep_tf import runs
from kliep_tf.data import records
from kliep_tf.errors import UserError
from kliep_tf.train import train
from kliep_tf.training.checkpoints import checkpoint_steps
from tests import processes
from tests.programs.run_directories import (
    assert_same_checkpoints,
    checkpoint_values,
    copy_run,
    first_step_logged_last,
    flags,
    mark_incomplete,
    wait_for_checkpoint,
)

pytestmark = pytest.mark.usefixtures("tiny_method_registered")


def test_killed_run_continues_to_the_very_same_weights(tmp_path, method_config):
    config = dataclasses.replace(
        method_config,
        # Checkpoints all the time, so that many kills find one half written.
        steps=20,
        checkpoint_every=1,
        image_every=100,
    )
    whole, killed = (
        dataclasses.replace(config, run_dir=str(tmp_path / name))
        for name in ("whole", "killed")
    )
    train(whole)

    process = processes.start(
        ["-m", "tests.programs.tiny_training", *flags(killed)]
    )
    wait_for_checkpoint(process, tmp_path / "killed", 3)
    time.sleep(random.SystemRandom().uniform(0.0, 0.3))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    # Here and there a kill comes too late, and finds nothing to end.
    if process.returncode == -signal.SIGKILL:
        record = runs.read_config(tmp_path / "killed")
        assert record["status"] == "incomplete"
    reached = checkpoint_steps(tmp_path / "killed" / "checkpoints")[-1]

    train(killed)
    assert runs.read_config(tmp_path / "killed")["status"] == "complete"
    if reached < config.steps:
        assert first_step_logged_last(tmp_path / "killed", "tiny/sky") > 3
    assert_same_checkpoints(tmp_path / "killed", tmp_path / "whole")


def test_damaged_checkpoint_is_reported_and_the_one_before_used(
    tmp_path, method_config, method_run, capsys
):
    copy_run(method_run, tmp_path / "run")
    mark_incomplete(tmp_path / "run")
    newest = tmp_path / "run" / "checkpoints" / "ckpt-4.data-00000-of-00001"
    newest.write_bytes(newest.read_bytes()[:100])
    train(dataclasses.replace(method_config, run_dir=str(tmp_path / "run")))
    assert "ckpt-4: damaged" in capsys.readouterr().out
    assert_same_checkpoints(tmp_path / "run", method_run)


def test_lost_export_is_made_again(method_config, method_run, capsys):
    graph = method_run / "saved_model" / "saved_model.pb"
    graph.unlink()
    train(method_config)
    assert graph.exists()
    assert "already trained" not in capsys.readouterr().out


def test_damaged_example_is_told_in_one_line_with_its_step(
    tmp_path, method_config, source_records
):
    shutil.copytree(source_records, tmp_path / "records")
    path = tmp_path / "records" / records.shard_name("train", 0, 2)
    examples = list(records.read_shard(path))
    # Behind those that are shown as pictures.
    examples[5] = records.replace_image(examples[5], b"no image", "png")
    records.write_shard(path, examples)
    damaged = dataclasses.replace(
        method_config,
        source_records=str(tmp_path / "records"),
        run_dir=str(tmp_path / "run"),
        steps=12,  # an epoch of the source, two at a time
        image_every=100,
    )
    with pytest.raises(
        UserError, match=r"step \d+: expected readable .* among source .*00010"
    ) as raised:
        train(damaged)
    assert "\n" not in str(raised.value)


def test_nan_in_the_loss_stops_the_run_and_names_it(tmp_path, method_config):
    # Weights of such a size that three of them have no sum.
    growing = dataclasses.replace(
        method_config,
        run_dir=str(tmp_path / "run"),
        first_rate=3e38,
        steps=20,
        checkpoint_every=1,
    )
    names = r"on source \d{5}, \d{5} and target city_\d{5}, city_\d{5};"
    with pytest.raises(
        UserError, match=rf"step \d+: expected finite losses.* {names}"
    ):
        train(growing)
    # What is kept can be trained on.
    for name, value in checkpoint_values(tmp_path / "run").items():
        assert np.isfinite(value).all(), name
