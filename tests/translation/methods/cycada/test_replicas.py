"""What two replicas compute is what one computes of the same batch."""

import subprocess
import sys

import numpy as np

from tests.conftest import ROOT

# The number of logical devices is settled before TensorFlow starts.
STEPS = """
import sys
sys.path.insert(0, {root!r})
import numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)
from kliep_tf.training.distribution import (
    distribute, make_strategy, replicated_step)
from tests.translation.methods.cycada.small_model import make_batch, make_model
from tests.translation.methods.cyclegan.small_model import weights_of
batches = [make_batch([0.2, 1.8], [1.4, 0.6], seed) for seed in range(2)]
dataset = tf.data.Dataset.from_tensor_slices(
    tf.nest.map_structure(lambda *t: tf.concat(t, 0), *batches)
).batch(2, drop_remainder=True)
results = {{}}
for name in ("none", "mirrored"):
    strategy = make_strategy(name, 2)
    with strategy.scope():
        model = make_model(
            2, rate=0.01, semantic_weight=5.0, semantic_warmup_steps=1
        )
    step = replicated_step(strategy, model.train_step)
    for number, batch in enumerate(distribute(strategy, dataset), 1):
        figures = step(batch)
        for figure, value in figures.items():
            results[f"{{name}}/{{number}}/{{figure}}"] = float(value)
    for row, weight in enumerate(weights_of(model)):
        results[f"{{name}}/weights/{{row}}"] = weight
np.savez({path!r}, **results)
"""


def test_two_replicas_step_as_one(tmp_path):
    path = str(tmp_path / "found.npz")
    code = STEPS.format(root=str(ROOT), path=path)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    results = dict(np.load(path))
    one, two = (
        {
            key.removeprefix(name): value
            for key, value in results.items()
            if key.startswith(name)
        }
        for name in ("none", "mirrored")
    )
    assert one.keys() == two.keys()
    assert one["/2/semantic/source"] > 0 == one["/1/semantic/source"]
    for key, value in one.items():
        np.testing.assert_allclose(
            two[key], value, rtol=1e-4, atol=2e-5, err_msg=key
        )
