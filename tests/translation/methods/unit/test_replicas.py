"""What two replicas compute is what one computes of the same batch."""

from tests import processes

# The number of logical devices is settled before TensorFlow starts. Adam's
# first moment after one step is half the gradient of the global batch.
STEPS = """
import numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)
from kliep_tf.training.distribution import (
    distribute, make_strategy, replicated_step)
from tests.translation.methods.unit.small_model import make_batch, make_model

batch = make_batch([0.2, 1.8], [1.4, 0.6])
dataset = tf.data.Dataset.from_tensors(batch)
results = []
for strategy in (make_strategy("none", 2), make_strategy("mirrored", 2)):
    with strategy.scope():
        model = make_model({form!r}, 2, weight_decay=0.0)
    # Traced on one device alone: to trace takes longer than all else here.
    tf.config.run_functions_eagerly(strategy.num_replicas_in_sync == 2)
    step = replicated_step(strategy, model.train_step)
    (share,) = distribute(strategy, dataset)
    figures = {{name: float(value) for name, value in step(share).items()}}
    moments = [
        variable.numpy()
        for name, tracked in sorted(model.trackables().items())
        if name.endswith("optimizer")
        for variable in tracked.variables
        if "momentum" in variable.path and len(variable.shape) > 1
    ]
    results.append((figures, moments))
assert strategy.num_replicas_in_sync == 2
(figures, moments), (of_two, moments_of_two) = results
assert figures.keys() == of_two.keys() and len(figures) > 14
for name, value in figures.items():
    np.testing.assert_allclose(of_two[name], value, rtol=1e-3, err_msg=name)
assert len(moments) > 20
for one, two in zip(moments, moments_of_two, strict=True):
    np.testing.assert_allclose(two, one, atol=1e-3 * np.abs(one).max())
"""
# The one with noise and dropout. Strategies of one process would mix up their
# sums, so another form is another process.
FORM = "2017"


def test_two_replicas_step_as_one_noise_and_all():
    ended = processes.run(["-c", STEPS.format(form=FORM)])
    assert ended.returncode == 0, ended.stderr
