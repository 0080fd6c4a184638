"""Two processes on one machine train as one would, and survive a kill."""

import dataclasses
import json
import signal
import socket

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf import runs
from kliep_tf.errors import UserError
from kliep_tf.train import train
from tests import processes
from tests.programs import tiny_training
from tests.programs.run_directories import (
    board_values,
    checkpoint_values,
    first_step_logged_last,
    flags,
    wait_for_checkpoint,
)

# Seconds; against a hang, with room for a machine that does other things too.
_PATIENCE = 1200


@pytest.fixture
def two_worker_config(tiny_config, tmp_path):
    return dataclasses.replace(
        tiny_config,
        run_dir=str(tmp_path / "run"),
        # Workers do not estimate weights; that each example's weight comes
        # with its share of the batch is tested in tests/data/test_shares.py.
        source_weight_exponent=0.0,
        target_weight_exponent=0.0,
        distribution="multi_worker",
        batch_size=2,
        # Small steps: a network this tiny, with larger ones, carries rounding
        # into the third digit of its losses within ten of them.
        learning_rate=1e-5,
        steps=24,
        image_every=100,
    )


def free_ports(number):
    """Returns ports that nothing listens on now."""
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("localhost", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start_workers(config, module="kliep_tf.train"):
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    return [
        processes.start(
            ["-m", module, *flags(config)],
            CUDA_VISIBLE_DEVICES="-1",
            TF_CONFIG=json.dumps(
                {
                    "cluster": {"worker": addresses},
                    "task": {"type": "worker", "index": index},
                }
            ),
        )
        for index in range(2)
    ]


def end(workers):
    for worker in workers:
        _, stderr = worker.communicate(timeout=_PATIENCE)
        assert worker.returncode == 0, stderr


def test_two_workers_train_as_one_process(two_worker_config, tmp_path):
    workers = start_workers(two_worker_config)
    end(workers)
    assert (tmp_path / "run" / "saved_model" / "saved_model.pb").exists()
    events = list((tmp_path / "run" / "tensorboard").iterdir())
    assert not [path for path in events if f".{workers[1].pid}." in path.name]

    alone = dataclasses.replace(
        two_worker_config, run_dir=str(tmp_path / "one"), distribution="none"
    )
    train(alone)
    assert_trained_alike(tmp_path / "one", tmp_path / "run")


def test_two_workers_go_on_after_one_was_killed(
    source_records, target_records, tmp_path, tiny_method_registered
):
    config = dataclasses.replace(
        tiny_training.make_config(
            source_records, target_records, tmp_path / "run"
        ),
        distribution="multi_worker",
        # Long enough that the kill finds the run in its middle.
        steps=50,
        checkpoint_every=4,
    )
    chief, other = start_workers(config, tiny_training.__name__)
    wait_for_checkpoint(chief, tmp_path / "run", 8)
    other.send_signal(signal.SIGKILL)
    other.communicate()
    # A closed connection tells at once, a missing heartbeat in ten seconds.
    _, stderr = chief.communicate(timeout=_PATIENCE)
    assert chief.returncode == 74
    last = stderr.splitlines()[-1]
    assert last.startswith(
        "error: worker 0: expected all 2 workers to stay, found one lost; "
        "start all of them again"
    )
    assert runs.read_config(tmp_path / "run")["status"] == "incomplete"

    end(start_workers(config, tiny_training.__name__))
    assert first_step_logged_last(tmp_path / "run", "tiny/sky") > 8
    alone = dataclasses.replace(
        config, run_dir=str(tmp_path / "one"), distribution="none"
    )
    train(alone)
    expected = checkpoint_values(tmp_path / "one")
    found = checkpoint_values(tmp_path / "run")
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(
            found[name], value, rtol=1e-4, atol=1e-6, err_msg=name
        )


def assert_trained_alike(one, other):
    expected, found = logged_losses(one), logged_losses(other)
    assert expected.keys() == found.keys()
    assert {step for step, _ in expected} == set(range(1, 25))
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-3, err_msg=key)
    expected, found = checkpoint_values(one), checkpoint_values(other)
    assert expected.keys() == found.keys()
    kernels = [
        name
        for name, value in expected.items()
        # A bias before instance normalisation has no gradient but rounding,
        # which Adam blows up to full steps.
        if "_trainable_variables" in name and value.ndim > 1
    ]
    assert len(kernels) > 20  # of four networks
    for name in kernels:
        difference = np.abs(found[name] - expected[name])
        # Less than one of the 24 steps: what rounding turns round is little.
        assert difference.mean() < 1e-5, name
    for name, value in expected.items():
        if value.dtype.kind in "iu":  # steps, and fakes seen by the pools
            np.testing.assert_array_equal(found[name], value, err_msg=name)


def logged_losses(run_dir):
    """Returns the losses by (step, name); of a step done twice, the latter."""
    losses = {}
    for _, step, value in board_values(run_dir):
        if value.tag.split("/")[0] in (
            "cycle",
            "identity",
            "generator",
            "discriminator",
        ):
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
