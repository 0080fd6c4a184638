"""What several replicas compute is what one computes of the same batch."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT

# The number of logical devices is settled before TensorFlow starts. A process
# imports TensorFlow for seconds, so one makes all trainings on two devices.
STEPS = """
import sys
sys.path.insert(0, {root!r})
from kliep_tf import cli  # first: it makes the import of TensorFlow shorter
import keras, numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * {devices},
)
from kliep_tf.translation.optimizers import FusedAdam
from kliep_tf.training.distribution import (
    distribute, make_strategy, replicated_step)
from tests.translation.methods.cyclegan.small_model import (
    make_batch, make_model, weights_of)
strategies = {{name: make_strategy(name, 4) for name in ("none", "mirrored")}}
assert strategies["none"].num_replicas_in_sync == 1
assert strategies["mirrored"].num_replicas_in_sync == {devices}
batches = [
    make_batch([0.2, 1.8, 0.5, 1.5], [1.4, 0.6, 0.1, 1.9], seed)
    for seed in range(3)
]
dataset = tf.data.Dataset.from_generator(
    lambda: iter(batches),
    output_signature=tf.nest.map_structure(
        lambda t: tf.TensorSpec(t.shape, t.dtype), batches[0]),
)
results = {{}}
for name, distribution, steps, (optimizer, rate, settings) in {runs!r}:
    strategy = strategies[distribution]
    with strategy.scope():
        model = make_model(
            4, rate=rate, **settings,
            optimizer={{
                "SGD": keras.optimizers.SGD,
                "Adam": (
                    keras.optimizers.Adam if distribution == "none"
                    else FusedAdam
                ),
            }}[optimizer],
        )
    step = replicated_step(strategy, model.train_step)
    shares = distribute(strategy, dataset.take(steps))
    for number, batch in enumerate(shares, 1):
        for figure, value in step(batch).items():
            results[f"{{name}}/{{number}}/{{figure}}"] = float(value)
        weights = weights_of(model)
        if model.settings.generator_ema:
            for average in model.export_generators:
                weights += average.get_weights()
        for row, weight in enumerate(weights):
            # A bias before instance normalisation has no gradient but
            # rounding, which Adam blows up to full steps.
            if weight.ndim > 1 or optimizer == "SGD":
                results[f"{{name}}/{{number}}/weights/{{row}}"] = weight
np.savez({path!r}, **results)
"""
SGD = ("SGD", 0.01, {"pool_size": 4, "generator_ema": 0.15})
ADAM = (
    "Adam",
    1e-4,
    {
        "pool_size": 4,
        "adversarial_loss": "hinge",
        "spectral_norm": True,
    },
)
# Compute the same: in less memory, or by fewer multiplications.
FRUGAL_ADAM = (*ADAM[:2], {**ADAM[2], "rematerialize": True})
WINOGRAD_SGD = (*SGD[:2], {**SGD[2], "convolution": "winograd"})
COMPILED_SGD = (*SGD[:2], {**SGD[2], "jit_compile": True})
# Optimises the machine code less, for a test of a few steps.
FAST_COMPILATION = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}


def results_of(path, *, devices, runs):
    """Returns every figure and weight after every step, step by step.

    Args:
        path: of a file for the results.
        devices: number of logical devices.
        runs: (name, distribution, number of steps, run).
    """
    code = STEPS.format(
        root=str(ROOT), devices=devices, runs=runs, path=str(path)
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=ROOT,
        env={**os.environ, **FAST_COMPILATION},
    )
    return dict(np.load(path))


def of(results, name):
    """Returns the results of the run `name`."""
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


@pytest.fixture(scope="module")
def two_devices(tmp_path_factory):
    return results_of(
        tmp_path_factory.mktemp("replicas") / "two.npz",
        devices=2,
        runs=[
            ("one SGD", "none", 3, SGD),
            ("one Adam", "none", 3, ADAM),
            ("SGD", "mirrored", 3, SGD),
            ("winograd SGD", "mirrored", 3, WINOGRAD_SGD),
            ("compiled SGD", "mirrored", 1, COMPILED_SGD),
        ],
    )


@pytest.mark.parametrize("run", ["SGD", "winograd SGD"])
def test_two_replicas_step_as_one(run, two_devices):
    """Weights, averages, and every figure: losses, accuracies, norms."""
    assert_equal_results(of(two_devices, run), of(two_devices, "one SGD"))


def test_four_replicas_step_as_one(two_devices, tmp_path):
    found = results_of(
        tmp_path / "four.npz",
        devices=4,
        runs=[("Adam", "mirrored", 3, FRUGAL_ADAM)],
    )
    assert_equal_results(of(found, "Adam"), of(two_devices, "one Adam"))


def test_figures_of_replicas_are_there_to_be_compared(two_devices):
    for step in "123":
        assert of(two_devices, f"one SGD/{step}").keys() >= {
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


def test_compiled_replicas_step_as_one_plain_device(two_devices):
    # One step: XLA rounds differently, which later steps would multiply.
    assert_equal_results(
        of(two_devices, "compiled SGD/1"), of(two_devices, "one SGD/1")
    )
