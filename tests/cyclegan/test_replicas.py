"""What several replicas compute is what one computes of the same batch."""

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
from kliep_tf.training.distribution import (
    distribute, make_strategy, replicated_step)
from tests.cyclegan.small_model import make_batch, make_model, weights_of
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
            4, rate=rate, optimizer=getattr(keras.optimizers, optimizer),
            **settings,
        )
    step = replicated_step(strategy, model.train_step)
    figures = [step(batch) for batch in distribute(strategy, dataset)]
    for name in figures[0]:
        results[optimizer + name] = [float(f[name]) for f in figures]
    weights = weights_of(model)
    if model.settings.generator_ema:
        for average in model.shown_generators:
            weights += average.get_weights()
    for number, weight in enumerate(weights):
        # A bias before instance normalisation has no gradient but rounding,
        # which Adam blows up to full steps.
        if weight.ndim > 1 or optimizer == "SGD":
            results[optimizer + str(number)] = weight
np.savez({path!r}, **results)
"""
RUNS = [
    ("SGD", 0.01, {"pool_size": 4, "generator_ema": 0.15}),
    (
        "Adam",
        1e-4,
        {
            "pool_size": 4,
            "adversarial_loss": "hinge",
            "spectral_norm": True,
            "rematerialize": True,
        },
    ),
]
COMPILED = [("SGD", 0.01, {"jit_compile": True, "pool_size": 4})]


def results_of(path, *, devices, runs, steps):
    code = STEPS.format(
        root=str(ROOT),
        devices=devices,
        runs=runs,
        steps=steps,
        path=str(path),
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
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
    return results_of(path, devices=1, runs=RUNS, steps=3)


@pytest.mark.parametrize("devices", [2, 4])
def test_replicas_step_as_one(devices, one_device, tmp_path):
    """Weights, averages, and every figure: losses, accuracies, norms."""
    found = results_of(
        tmp_path / "found.npz", devices=devices, runs=RUNS, steps=3
    )
    assert_equal_results(found, one_device)


def test_figures_of_replicas_are_there_to_be_compared(one_device):
    names = {name.removeprefix("SGD") for name in one_device}
    assert names >= {
        "cycle/source",
        "identity/target",
        "generator/source_to_target",
        "discriminator/source",
        "accuracy/target_discriminator",
        "accuracy/source_discriminator",
        "gradient_norm/generator",
        "gradient_norm/discriminator",
    }


def test_compiled_replicas_step_as_one_plain_device(tmp_path):
    plain = [("SGD", 0.01, {"pool_size": 4})]
    expected = results_of(
        tmp_path / "plain.npz", devices=1, runs=plain, steps=1
    )
    found = results_of(
        tmp_path / "compiled.npz", devices=2, runs=COMPILED, steps=1
    )
    assert_equal_results(found, expected)
