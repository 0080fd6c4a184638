"""What two replicas compute is what one computes of the same batch.

CyCADA stands for CycleGAN where its semantic losses are to be reduced as well.
"""

import numpy as np
import pytest

from tests import processes
from tests.worker_pairs import end, start_workers

MODULE = "tests.translation.methods.cyclegan.two_devices"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Every figure and value by run, step and name."""
    path = tmp_path_factory.mktemp("replicas") / "results.npz"
    ended = processes.run(["-m", MODULE, path])
    assert ended.returncode == 0, ended.stderr
    return dict(np.load(path))


def of(results, name):
    """Returns the results of a run's steps, or of one of them."""
    name = f"{name}/"
    return {
        key.removeprefix(name): value
        for key, value in results.items()
        if key.startswith(name)
    }


def assert_equal_results(found, expected):
    assert found and found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(
            found[name], value, rtol=1e-4, atol=2e-5, err_msg=name
        )


@pytest.mark.parametrize("step", "123")
def test_two_replicas_step_as_one(step, results):
    """Weights, averages, and every figure: losses, accuracies, norms."""
    assert_equal_results(of(results, f"two/{step}"), of(results, f"one/{step}"))


def test_two_replicas_step_as_one_where_they_are_compiled(results):
    assert_equal_results(
        of(results, "two small, compiled/1"), of(results, "one small/1")
    )


def test_two_workers_step_as_one(results, tmp_path):
    """CPUs of two processes, as MultiWorkerMirroredStrategy has them."""
    path = tmp_path / "results.npz"
    end(start_workers(["-m", MODULE, path, "worker"]))
    found = dict(np.load(path))
    assert {key.split("/")[0] for key in found} == {"1", "2"}
    assert_equal_results(found, of(results, "one small"))


def test_two_replicas_go_on_from_a_checkpoint_to_the_very_same_values(results):
    again = of(results, "two/again")
    assert {key.split("/")[0] for key in again} == {"2", "3"}
    for name, value in again.items():
        np.testing.assert_array_equal(results[f"two/{name}"], value, name)


def test_figures_of_replicas_are_there_to_be_compared(results):
    for step in "123":
        assert of(results, f"one/{step}").keys() >= {
            "weights/0",
            "averages/0",
            "moments/0",
            "cycle/source",
            "identity/target",
            "generator/source_to_target",
            "discriminator/source",
            "accuracy/target_discriminator",
            "accuracy/source_discriminator",
            "gradient_norm/generator",
            "gradient_norm/discriminator",
        }
    semantic = [results[f"one/{step}/semantic/source"] for step in "123"]
    assert semantic[1] > 0 == semantic[0]
