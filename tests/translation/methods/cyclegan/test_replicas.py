"""What two replicas compute is what one computes of the same batch.

CyCADA stands for CycleGAN where its semantic losses are to be reduced as well.
"""

import numpy as np
import pytest

from tests import processes

# Optimises the machine code less, for a test of a few steps.
FAST_COMPILATION = (
    "--xla_backend_optimization_level=0 "
    "--xla_llvm_disable_expensive_passes=true"
)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Every figure and weight by run, step and name."""
    path = tmp_path_factory.mktemp("replicas") / "results.npz"
    ended = processes.run(
        ["-m", "tests.translation.methods.cyclegan.two_devices", path],
        XLA_FLAGS=FAST_COMPILATION,
    )
    assert ended.returncode == 0, ended.stderr
    return dict(np.load(path))


def of(results, name):
    """Returns the results of a run, or of one of its steps."""
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


@pytest.mark.parametrize("run", ["SGD", "Adam", "small"])
def test_two_replicas_step_as_one(run, results):
    """Weights, averages, and every figure: losses, accuracies, norms.

    The small ones are compiled on two devices, and not on one.
    """
    assert_equal_results(of(results, f"two {run}"), of(results, f"one {run}"))


def test_figures_of_replicas_are_there_to_be_compared(results):
    for step in "123":
        assert of(results, f"one SGD/{step}").keys() >= {
            "weights/0",
            "cycle/source",
            "identity/target",
            "generator/source_to_target",
            "discriminator/source",
            "accuracy/target_discriminator",
            "accuracy/source_discriminator",
            "gradient_norm/generator",
            "gradient_norm/discriminator",
        }
    semantic = [results[f"one Adam/{step}/semantic/source"] for step in "123"]
    assert semantic[1] > 0 == semantic[0]
