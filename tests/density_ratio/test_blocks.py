import time

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.density_ratio.blocks import in_order, one_at_a_time, shared
from tests import processes


@pytest.mark.parametrize("size", [1, 2, 50])
def test_results_come_in_order(size):
    squares = in_order(lambda item: item**2, range(size))
    assert list(squares) == [item**2 for item in range(size)]


def test_no_work_runs_far_ahead():
    begun = []
    for i, _ in enumerate(in_order(begun.append, range(50))):
        assert len(begun) <= i + 3


def test_an_error_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda item: 1 // item, [2, 1, 0, 1]))


def test_a_block_is_shared_and_not_copied():
    block = np.zeros((4, 8), np.float32)
    tensor = shared(block)
    block[1, 2] = 3.0
    assert tensor.numpy()[1, 2] == 3.0


@pytest.mark.parametrize("kind", ["read-only", "misaligned", "strided"])
def test_what_cannot_be_shared_is_copied(kind):
    values = np.arange(65, dtype=np.float32)
    block = {
        "read-only": values[:64].reshape(4, 16),
        "misaligned": values[1:].reshape(4, 16),
        "strided": values[:64].reshape(4, 16)[:, ::2],
    }[kind]
    block.flags.writeable = kind != "read-only"
    expected = block.tolist()
    tensor = shared(block)
    values[:] = -1.0
    assert tensor.numpy().tolist() == expected


def test_nothing_is_shared_with_functions_that_run_eagerly():
    block = np.zeros((4, 8), np.float32)
    tf.config.run_functions_eagerly(True)
    try:
        tensor = shared(block)
    finally:
        tf.config.run_functions_eagerly(False)
    block[:] = 3.0
    assert not tensor.numpy().any()


def test_a_function_is_called_by_one_thread_after_another():
    inside, most = [], []

    @one_at_a_time
    def function(item):
        inside.append(item)
        most.append(len(inside))
        time.sleep(0.001)
        inside.remove(item)
        return item

    assert list(in_order(function, range(20))) == list(range(20))
    assert max(most) == 1


DEVICES = """
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)
from kliep_tf.density_ratio import blocks, distances, exponents
from kliep_tf.density_ratio.kliep import fit_kliep
from kliep_tf.density_ratio.samples import measure

exponents.BLOCK_ENTRIES = 256 * 128
rng = np.random.default_rng(0)
source, target = rng.normal(size=(900, 3)), rng.normal(size=(600, 3)) + 0.5


def used():
    samples = measure(source, target)
    squares = distances.SquaredDistances(
        samples.source, target[:5], samples.coordinates, np.float64
    )
    names = [block.device[-5:] for _, _, block in squares.blocks()]
    weights = fit_kliep(source, target, num_centers=20, bandwidth=1.0)
    assert weights.converged and weights.duality_gap <= 1e-6
    return names, weights.log_likelihood


alone, expected = used()
assert alone == ["CPU:0"] * 4, alone
blocks._gpus = lambda: ["CPU:0", "CPU:1"]
names, found = used()
assert names == ["CPU:0", "CPU:1"] * 2, names
assert abs(found - expected) < 1e-9
"""


def test_blocks_are_spread_over_devices():
    # In a process of its own: devices are split before TensorFlow starts.
    ended = processes.run(["-c", DEVICES], XLA_FLAGS="")
    assert ended.returncode == 0, ended.stderr
