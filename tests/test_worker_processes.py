import os
import time

import pytest

from kliep_tf import worker_processes as workers
from kliep_tf.errors import UserError


def test_results_come_in_order_and_are_asked_for_in_bounds():
    taken = []

    def items():
        for number in range(500):
            taken.append(number)
            yield number

    with workers.map_in_workers(abs, items(), 2) as results:
        assert next(results) == 0
        assert len(taken) < 100
        assert list(results) == list(range(1, 500))


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_error_comes_in_its_turn(num_workers):
    with workers.map_in_workers(int, ["1", "x", "3"], num_workers) as results:
        assert next(results) == 1
        with pytest.raises(ValueError, match="'x'"):
            next(results)


def test_a_worker_killed_before_all_is_submitted_is_told_likewise():
    def items():
        for _ in range(60):
            yield 9
            time.sleep(0.05)

    with (
        pytest.raises(UserError, match="worker process was ended"),
        workers.map_in_workers(os._exit, items(), 1) as results,
    ):
        next(results)


def test_a_killed_worker_is_told_in_one_line():
    with (
        pytest.raises(UserError, match="worker process was ended"),
        workers.map_in_workers(os._exit, [9], 1) as results,
    ):
        next(results)


def test_each_worker_has_its_environment():
    found = []
    for value in ("0", "1"):
        environments = [{"KLIEP_TF_TEST": value}]
        names = ["KLIEP_TF_TEST"]
        with workers.map_in_workers(
            os.getenv, names, 1, environments
        ) as results:
            found += results
    assert found == ["0", "1"]
    assert "KLIEP_TF_TEST" not in os.environ
