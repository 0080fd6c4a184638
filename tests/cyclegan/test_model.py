"""What one step does, seen from outside: which weights change, and how."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.cyclegan.model import CycleGAN, CycleGANSettings
from kliep_tf.data.pipeline import UnpairedBatch
from tests.conftest import ROOT

SIZE = (24, 24)


@pytest.fixture(autouse=True)
def eager(request):
    """Runs step by step: tracing would take longer than the arithmetic."""
    tf.config.run_functions_eagerly("compiled" not in request.node.name)
    yield
    tf.config.run_functions_eagerly(False)


def make_model(
    batch_size, *, optimizer=keras.optimizers.SGD, rate=0.1, **settings
):
    model = CycleGAN(
        CycleGANSettings(
            image_size=SIZE,
            global_batch_size=batch_size,
            generator_filters=2,
            discriminator_filters=2,
            num_residual_blocks=1,
            **{"pool_size": 0, **settings},
        )
    )
    model.compile(optimizer(rate), optimizer(rate))
    return model


def make_batch(source_weight, target_weight, seed=0):
    rng = np.random.default_rng(seed)
    number = len(source_weight)
    images = rng.uniform(-1, 1, (2, number, *SIZE, 3)).astype(np.float32)
    return UnpairedBatch(
        tf.constant(images[0]),
        tf.constant(source_weight, tf.float32),
        tf.constant(images[1]),
        tf.constant(target_weight, tf.float32),
    )


def take(batch, rows):
    return UnpairedBatch(*(tf.gather(tensor, rows) for tensor in batch))


def weights_after(model, *batches):
    for batch in batches:
        model.train_step(batch)
    networks = (
        model.source_to_target,
        model.target_to_source,
        model.target_discriminator,
        model.source_discriminator,
    )
    return [weight for net in networks for weight in net.get_weights()]


def assert_same(first, second, tolerance=5e-5):
    # Steps are of size 0.1 to 1: float32 differs by the order of its sums.
    for one, two in zip(first, second, strict=True):
        np.testing.assert_allclose(one, two, atol=tolerance)


@pytest.mark.parametrize("loss", ["lsgan", "bce"])
@pytest.mark.parametrize("identity", [0.0, 0.5])
def test_weight_0_removes_an_example(loss, identity):
    options = {"adversarial_loss": loss, "identity_weight": identity}
    batch = make_batch([1.0, 0.0], [1.0, 0.0])
    alone = take(batch, [0])
    # A batch of 2 of which one counts, against a batch of 1 that is still
    # divided by 2.
    assert_same(
        weights_after(make_model(2, **options), batch),
        weights_after(make_model(2, **options), alone),
    )


def test_weight_2_equals_the_example_twice():
    batch = make_batch([2.0, 1.0], [2.0, 1.0])
    repeated = take(make_batch([1.0, 1.0], [1.0, 1.0]), [0, 0, 1])
    assert_same(
        weights_after(make_model(2), batch),
        weights_after(make_model(2), repeated),
    )


def test_source_and_target_weights_are_not_mixed_up():
    batch = make_batch([0.0], [1.0])
    figures = make_model(1).train_step(batch)
    zero = {name for name, value in figures.items() if float(value) == 0.0}
    assert zero == {
        "generator/source_to_target",
        "cycle/source",
        "identity/source",
    }
    figures = make_model(1).train_step(make_batch([1.0], [0.0]))
    zero = {name for name, value in figures.items() if float(value) == 0.0}
    assert zero == {
        "generator/target_to_source",
        "cycle/target",
        "identity/target",
    }


def test_discriminator_judges_fakes_by_the_weight_of_their_source():
    # Eq. 12: d_t sees E_t[psi ...] + E_s[w ...]; with w = 0 only real ones.
    model = make_model(1)
    batch = make_batch([0.0], [1.0])
    expected = 0.5 * np.mean(
        (model.target_discriminator(batch.target) - 1.0) ** 2
    )
    found = model.train_step(batch)["discriminator/target"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_both_cycle_losses_reach_both_generators():
    def gradient_norms(source_weight, target_weight):
        model = make_model(1, identity_weight=0.0, cycle_weight=1e6)
        before = [
            net.get_weights()[0]
            for net in (model.source_to_target, model.target_to_source)
        ]
        model.train_step(make_batch([source_weight], [target_weight]))
        after = [
            net.get_weights()[0]
            for net in (model.source_to_target, model.target_to_source)
        ]
        return [np.abs(b - a).max() for b, a in zip(before, after, strict=True)]

    # The adversarial term's share of a change is a millionth here.
    for norms in (gradient_norms(1.0, 0.0), gradient_norms(0.0, 1.0)):
        assert min(norms) > 1.0


def test_a_generator_step_does_not_move_with_the_discriminators_update():
    """Both updates come from the same weights, as in the authors' code."""
    batch = make_batch([1.0], [1.0])
    model = make_model(1)
    figures = model.train_step(batch)
    fresh = make_model(1)
    fake = fresh.source_to_target(batch.source)
    expected = 0.5 * (
        np.mean((fresh.target_discriminator(batch.target) - 1.0) ** 2)
        + np.mean(fresh.target_discriminator(fake) ** 2)
    )
    np.testing.assert_allclose(
        figures["discriminator/target"], expected, rtol=1e-4
    )


def test_two_kinds_of_network_start_different():
    model = make_model(1)
    first = model.source_to_target.get_weights()[0]
    second = model.target_to_source.get_weights()[0]
    assert np.abs(first - second).max() > 0


def test_fit_drives_the_model():
    model = make_model(2, optimizer=keras.optimizers.Adam)
    batch = make_batch([1.0, 1.0], [1.0, 1.0])
    dataset = tf.data.Dataset.from_tensors(batch).repeat(3)
    history = model.fit(dataset, epochs=1, verbose=0)
    assert np.isfinite(history.history["cycle/source"]).all()


def test_compiled_and_plain_gradients_agree():
    batch = make_batch([0.5, 1.5], [1.5, 0.5])
    assert_same(
        weights_after(make_model(2), batch),
        weights_after(make_model(2, jit_compile=True), batch),
        tolerance=1e-4,
    )


REPLICAS = """
import sys
sys.path.insert(0, {root!r})
import keras, numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * {devices},
)
from kliep_tf.training.distribution import (
    distribute, make_strategy, replicated_step)
from tests.cyclegan.test_model import make_batch, make_model, weights_after
strategy = make_strategy({strategy!r}, 4)
assert strategy.num_replicas_in_sync == {devices}
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
for optimizer, rate in (("SGD", 0.01), ("Adam", 1e-4)):
    with strategy.scope():
        model = make_model(
            4, rate=rate, optimizer=getattr(keras.optimizers, optimizer),
            pool_size=4,
        )
    step = replicated_step(strategy, model.train_step)
    figures = [step(batch) for batch in distribute(strategy, dataset)]
    for name in figures[0]:
        results[optimizer + name] = [float(f[name]) for f in figures]
    for number, weight in enumerate(weights_after(model)):
        # A bias before instance normalisation has no gradient but rounding,
        # which Adam blows up to full steps.
        if weight.ndim > 1 or optimizer == "SGD":
            results[optimizer + str(number)] = weight
np.savez({path!r}, **results)
"""


def test_two_replicas_step_as_one(tmp_path):
    results = []
    for strategy, devices in (("none", 1), ("mirrored", 2)):
        path = str(tmp_path / f"{strategy}.npz")
        code = REPLICAS.format(
            root=str(ROOT), strategy=strategy, devices=devices, path=path
        )
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
        results.append(dict(np.load(path)))
    assert results[0].keys() == results[1].keys()
    for name, expected in results[0].items():
        np.testing.assert_allclose(
            results[1][name], expected, rtol=1e-4, atol=2e-5, err_msg=name
        )
