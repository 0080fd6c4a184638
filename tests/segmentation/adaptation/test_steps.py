"""What holds of every method: weights, who learns, devices, continuing."""

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.segmentation.optimizers import OptimizerSettings
from tests import processes
from tests.segmentation.adaptation.steps import (
    VARIANTS,
    build,
    make_batch,
    needs_backbone,
    state,
)

# Batch normalisation mixes the images of a batch: there a weight of 0 removes
# an image's losses, and not the image from the statistics.
INDEPENDENT = [name for name in VARIANTS if not needs_backbone(name)]
# The most of each method: the others differ by a term, or by its absence.
WHOLE = ("adaptsegnet_2", "road", "adda")


@pytest.mark.parametrize("variant", INDEPENDENT)
def test_weight_0_removes_an_example_and_2_counts_it_twice(variant):
    found = []
    for batch in (
        make_batch(source_weight=(2, 0), target_weight=(2, 0)),
        make_batch(rows=(0, 0)),
    ):
        network, adapter = build(variant)
        adapter.train_step(batch)
        found.append(state(network, adapter))
    for name, value in found[0].items():
        if name.startswith("accuracies"):
            continue  # judged on all images alike
        np.testing.assert_allclose(
            value, found[1][name], rtol=1e-4, atol=1e-6, err_msg=name
        )


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_learns_from_images_of_weight_0(variant):
    network, adapter = build(variant)
    before = [v.numpy() for v in network.trainable_variables]
    adapter.train_step(make_batch((0, 0), (0, 0)))
    for old, variable in zip(before, network.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, variable)


@pytest.mark.parametrize("variant", INDEPENDENT)
def test_source_and_target_weights_are_told_apart(variant):
    changes = []
    for weights in (((1, 1), (0, 0)), ((0, 0), (1, 1)), ((1, 1), (1, 1))):
        network, adapter = build(variant)
        before = network.get_weights()
        adapter.train_step(make_batch(*weights))
        after = network.get_weights()
        changes.append([b - a for a, b in zip(before, after, strict=True)])
    for of_source, of_target, of_both in zip(*changes, strict=True):
        assert np.abs(of_source).max() > np.abs(of_target).max() >= 0
        # Plain SGD: the terms of the domains add up, but for what the second
        # of two steps sees of the first.
        np.testing.assert_allclose(
            of_source + of_target, of_both, rtol=1e-2, atol=1e-5
        )


@pytest.mark.parametrize("variant", WHOLE)
def test_restored_method_goes_on_bit_for_bit(variant, tmp_path):
    def begin():
        # With momentum, and a rate that changes by the step.
        settings = OptimizerSettings(8, 0.01, "sgd")
        network, adapter = build(variant, optimizer=settings)
        parts = {"network": network, **adapter.trackables()}
        return network, adapter, tf.train.Checkpoint(**parts)

    batch = make_batch()
    network, adapter, checkpoint = begin()
    for _ in range(2):
        adapter.train_step(batch)
    path = checkpoint.write(str(tmp_path / "checkpoint"))
    adapter.train_step(batch)
    other_network, other_adapter, other_checkpoint = begin()
    other_checkpoint.read(path).assert_consumed()
    other_adapter.train_step(batch)
    expected = state(network, adapter)
    found = state(other_network, other_adapter)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(value, found[name], err_msg=name)


def test_two_devices_take_the_same_step_as_one():
    # In a process of its own: logical devices are chosen before TensorFlow
    # starts, and its collectives serve one strategy a process. Not compiled:
    # to trace a step takes longer than all else here. ROAD alone is, on one
    # device: the tests of programs compile the other two.
    code = f"""
from kliep_tf import cli  # first: it makes the import of TensorFlow shorter
import functools
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from kliep_tf.segmentation.networks import NETWORKS
from kliep_tf.training import distribution
from tests.segmentation.adaptation import steps
NETWORKS["normalized"] = steps.normalized

mirrored = distribution.make_strategy("mirrored", 2)
single = tf.distribute.get_strategy()

def on_both(step):
    def first_figures(batch):
        figures = mirrored.run(step, args=(batch,))
        return {{name: mirrored.experimental_local_results(value)[0]
                for name, value in figures.items()}}
    return first_figures

compiled = functools.partial(distribution.replicated_step, single)
batch = steps.make_batch((0.5, 1.5), (1.25, 0.75))
for variant in {WHOLE}:
    found = []
    for strategy, replicate in (
        (single, compiled if variant == "road" else lambda step: step),
        (mirrored, on_both),
    ):
        with strategy.scope():
            network, adapter = steps.build(variant, replicate=replicate)
        dataset = tf.data.Dataset.from_tensors(batch).unbatch().batch(2)
        (share,) = distribution.distribute(strategy, dataset)
        scalars = adapter.train_step(share)
        found.append((steps.state(network, adapter), scalars))
    for one, two in zip(*found):
        assert one.keys() == two.keys()
        for name, value in one.items():
            np.testing.assert_allclose(two[name], value, rtol=1e-3, atol=1e-5,
                err_msg=variant + ": " + name)
"""
    done = processes.run(["-c", code])
    assert done.returncode == 0, done.stderr
