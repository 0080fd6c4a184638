"""What several replicas compute is what one computes of the same batch."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT

# The number of logical devices is settled before TensorFlow starts.
STEPS = """
import sys
sys.path.insert(0, {root!r})
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
strategy = make_strategy("mirrored" if {devices} > 1 else "none", 4)
assert strategy.num_replicas_in_sync == {devices}
batches = [
    make_batch([0.2, 1.8, 0.5, 1.5], [1.4, 0.6, 0.1, 1.9], seed)
    for seed in range({steps})
]
dataset = tf.data.Dataset.from_generator(
    lambda: iter(batches),
    output_signature=tf.nest.map_structure(
        lambda t: tf.TensorSpec(t.shape, t.dtype), batches[0]),
)
results = {{}}
for optimizer, rate, settings in {runs!r}:
    with strategy.scope():
        model = make_model(
            4, rate=rate, **settings,
            optimizer={{
                "SGD": keras.optimizers.SGD,
                "Adam": keras.optimizers.Adam if {devices} == 1 else FusedAdam,
            }}[optimizer],
        )
    step = replicated_step(strategy, model.train_step)
    for number, batch in enumerate(distribute(strategy, dataset), 1):
        figures = step(batch)
        for name in figures:
            results[f"{{optimizer}}{{number}}/{{name}}"] = float(figures[name])
        weights = weights_of(model)
        if model.settings.generator_ema:
            for average in model.export_generators:
                weights += average.get_weights()
        for row, weight in enumerate(weights):
            # A bias before instance normalisation has no gradient but
            # rounding, which Adam blows up to full steps.
            if weight.ndim > 1 or optimizer == "SGD":
                results[f"{{optimizer}}{{number}}/weights/{{row}}"] = weight
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
# Optimises the machine code less, for a test of a few steps.
FAST_COMPILATION = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}


def results_of(path, *, devices, runs, steps=3):
    code = STEPS.format(
        root=str(ROOT),
        devices=devices,
        runs=runs,
        steps=steps,
        path=str(path),
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=ROOT,
        env={**os.environ, **FAST_COMPILATION},
    )
    return dict(np.load(path))


def assert_equal_results(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(
            found[name], value, rtol=1e-4, atol=2e-5, err_msg=name
        )


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    path = tmp_path_factory.mktemp("replicas") / "one.npz"
    return results_of(path, devices=1, runs=[SGD, ADAM])


@pytest.mark.parametrize(
    ("devices", "runs"), [(2, [SGD]), (2, [WINOGRAD_SGD]), (4, [FRUGAL_ADAM])]
)
def test_replicas_step_as_one(devices, runs, one_device, tmp_path):
    """Weights, averages, and every figure: losses, accuracies, norms."""
    path = tmp_path / "found.npz"
    found = results_of(path, devices=devices, runs=runs)
    optimizers = tuple(optimizer for optimizer, _, _ in runs)
    expected = {
        name: value
        for name, value in one_device.items()
        if name.startswith(optimizers)
    }
    assert_equal_results(found, expected)


def test_figures_of_replicas_are_there_to_be_compared(one_device):
    names = {
        name.removeprefix("SGD3/")
        for name in one_device
        if name.startswith("SGD3/")
    }
    assert names >= {
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


def test_compiled_replicas_step_as_one_plain_device(one_device, tmp_path):
    optimizer, rate, settings = SGD
    compiled = (optimizer, rate, {**settings, "jit_compile": True})
    found = results_of(
        tmp_path / "found.npz", devices=2, runs=[compiled], steps=1
    )
    # XLA rounds differently, which later steps would multiply.
    expected = {
        name: value
        for name, value in one_device.items()
        if name.startswith("SGD1/")
    }
    assert_equal_results(found, expected)
