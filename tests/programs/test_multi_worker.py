"""Two processes on one machine train as one would, and survive a kill.

With the tiny method; CycleGAN's own step is done by two workers in
tests/translation/methods/cyclegan/test_replicas.py.
"""

import dataclasses
import signal

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf import runs
from kliep_tf.errors import UserError
from kliep_tf.train import train
from tests.programs import tiny_training
from tests.programs.run_directories import (
    board_values,
    checkpoint_values,
    first_step_logged_last,
    flags,
    wait_for_checkpoint,
)
from tests.worker_pairs import PATIENCE, end, start_workers


def test_two_workers_train_as_one_process_even_after_a_kill(
    source_records, target_records, tmp_path, tiny_method_registered
):
    """Without weights, which workers do not estimate.

    That each comes with its share of the batch: tests/data/test_shares.py.
    """
    config = dataclasses.replace(
        tiny_training.make_config(
            source_records, target_records, tmp_path / "run"
        ),
        distribution="multi_worker",
        # Long enough that the kill finds the run in its middle.
        steps=50,
        checkpoint_every=4,
    )
    command = ["-m", tiny_training.__name__, *flags(config)]
    chief, other = start_workers(command)
    wait_for_checkpoint(chief, tmp_path / "run", 8)
    other.send_signal(signal.SIGKILL)
    other.communicate()
    # A closed connection tells at once, a missing heartbeat in ten seconds.
    _, stderr = chief.communicate(timeout=PATIENCE)
    assert chief.returncode == 74
    last = stderr.splitlines()[-1]
    assert last.startswith(
        "error: worker 0: expected all 2 workers to stay, found one lost; "
        "start all of them again"
    )
    assert runs.read_config(tmp_path / "run")["status"] == "incomplete"

    workers = start_workers(command)
    end(workers)
    assert first_step_logged_last(tmp_path / "run", "tiny/sky") > 8
    assert (tmp_path / "run" / "saved_model" / "saved_model.pb").exists()
    events = list((tmp_path / "run" / "tensorboard").iterdir())
    for worker, writes in (
        (chief, True),
        (workers[0], True),
        (other, False),
        (workers[1], False),
    ):
        names = [path for path in events if f".{worker.pid}." in path.name]
        assert bool(names) == writes

    alone = dataclasses.replace(
        config, run_dir=str(tmp_path / "one"), distribution="none"
    )
    train(alone)
    assert_trained_alike(tmp_path / "one", tmp_path / "run")


def assert_trained_alike(one, other):
    expected, found = logged_losses(one), logged_losses(other)
    assert expected.keys() == found.keys()
    assert {step for step, _ in expected} == set(range(1, 51))
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-3, err_msg=key)
    expected, found = checkpoint_values(one), checkpoint_values(other)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(
            found[name], value, rtol=1e-4, atol=1e-6, err_msg=name
        )


def logged_losses(run_dir):
    """Returns the losses by (step, name); of a step done twice, the latter."""
    losses = {}
    for _, step, value in board_values(run_dir):
        if value.tag.startswith("tiny/"):
            losses[step, value.tag] = float(tf.make_ndarray(value.tensor))
    return losses


def test_workers_do_not_estimate_weights(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setenv(
        "TF_CONFIG",
        '{"cluster": {"worker": ["localhost:1", "localhost:2"]}, '
        '"task": {"type": "worker", "index": 0}}',
    )
    config = dataclasses.replace(
        tiny_config,
        run_dir=str(tmp_path / "run"),
        distribution="multi_worker",
        batch_size=2,
    )
    with pytest.raises(UserError, match=r"run kliep_tf.estimate_weights first"):
        train(config)
