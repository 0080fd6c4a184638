"""Who is who, told by TF_CONFIG, and what is said when it does not fit."""

import json

import pytest

from kliep_tf.errors import UserError
from kliep_tf.training.distribution import make_strategy
from kliep_tf.training.workers import Worker, this_worker
from tests import processes


def tf_config(index, *, count=2, job="worker"):
    addresses = [f"host{number}:1234" for number in range(count)]
    return json.dumps(
        {"cluster": {job: addresses}, "task": {"type": job, "index": index}}
    )


def test_one_process_is_its_own_chief(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config(1))
    assert this_worker("mirrored") == Worker(0, 1)
    assert this_worker("none").is_chief


def test_worker_0_is_the_chief(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config(0, count=3))
    assert this_worker("multi_worker") == Worker(0, 3)
    assert this_worker("multi_worker").is_chief
    monkeypatch.setenv("TF_CONFIG", tf_config(2, count=3))
    assert this_worker("multi_worker") == Worker(2, 3)
    assert not this_worker("multi_worker").is_chief


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not JSON",
        "{}",
        '{"cluster": {"worker": ["a:1"]}}',
        tf_config(2),
        tf_config("0"),
        tf_config(0, job="ps"),
    ],
)
def test_unusable_tf_config_is_shown_beside_a_usable_one(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError) as caught:
        this_worker("multi_worker")
    message = str(caught.value)
    assert "--distribution=multi_worker: expected TF_CONFIG" in message
    assert message.endswith(f"found {text or 'nothing'}")
    assert "\n" not in message


JOIN = """
from kliep_tf import cli
from kliep_tf.training.distribution import make_strategy
make_strategy("multi_worker", 2, join_seconds=2)
"""


def test_workers_that_do_not_come_are_not_waited_for_for_ever():
    config = {
        "cluster": {"worker": ["localhost:1", "localhost:2"]},
        "task": {"type": "worker", "index": 1},
    }
    ended = processes.run(
        ["-c", JOIN],
        TF_CONFIG=json.dumps(config),
        CUDA_VISIBLE_DEVICES="-1",
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "worker 1: waiting up to 2 s for all 2 workers of TF_CONFIG, then "
        "ending with status 1"
    ]


def test_batch_that_cannot_be_shared_is_refused_before_anybody_waits(
    monkeypatch, capfd
):
    monkeypatch.setenv("TF_CONFIG", tf_config(1))
    # Of 2, or of more where each worker has several GPUs.
    with pytest.raises(UserError, match="--batch_size=3: expected a multiple"):
        make_strategy("multi_worker", 3, join_seconds=2)
    assert "waiting" not in capfd.readouterr().err
