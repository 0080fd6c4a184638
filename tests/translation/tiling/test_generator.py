import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.translation.networks import UPSAMPLINGS, make_generator
from kliep_tf.translation.tiling.generator import TiledGenerator
from tests import processes


def make_small_generator(upsampling="transposed"):
    return make_generator(
        filters=4, num_residual_blocks=2, upsampling=upsampling, seed=1
    )


SIGNATURE = [
    tf.TensorSpec([1, None, None, 3]),
    tf.TensorSpec([], tf.int32),
]


def random_image(height, width):
    return tf.random.uniform([1, height, width, 3], -1, 1, seed=height)


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_tiles_make_the_whole_image(upsampling):
    generator = make_small_generator(upsampling)
    # As in a SavedModel: of any size, traced once.
    tiled = tf.function(TiledGenerator(generator), SIGNATURE, autograph=False)
    for size in ((8, 8), (20, 16), (64, 48)):
        image = random_image(*size)
        whole = generator(image)
        # A row at a time, tiles that do not divide the height, one tile.
        for tile_height in (1, 3, 16, 100):
            found = tiled(image, tf.constant(tile_height))
            np.testing.assert_allclose(found, whole, atol=5e-6)


def test_tiles_translated_apart_would_differ_however_much_they_overlap():
    """What the pooled statistics are for: each tile has its own mean."""
    generator = make_small_generator()
    image = random_image(64, 48) * tf.linspace(0.1, 1.0, 64)[:, None, None]
    whole = generator(image).numpy()
    upper = generator(image[:, :48]).numpy()
    assert np.abs(whole[:, :32] - upper[:, :32]).max() > 0.05
    tiled = TiledGenerator(generator)(image, tf.constant(32))
    np.testing.assert_allclose(tiled, whole, atol=5e-6)


def test_tiles_share_the_generators_weights():
    generator = make_small_generator()
    tiled = TiledGenerator(generator)
    generator.set_weights([2 * value for value in generator.get_weights()])
    image = random_image(16, 16)
    found = tiled(image, tf.constant(8))
    np.testing.assert_allclose(found, generator(image), atol=5e-6)


class _SeeingReLU(keras.layers.ReLU):
    """Notes the height and width of what it is given."""

    seen = ()  # not a list, of which Keras would keep a copy

    def call(self, inputs):
        _SeeingReLU.seen += (tuple(inputs.shape[1:3]),)
        return super().call(inputs)


def test_no_layer_sees_more_than_a_strip():
    def replace(layer):
        if isinstance(layer, keras.layers.ReLU):
            return _SeeingReLU(name=layer.name)
        return layer.from_config(layer.get_config())

    generator = keras.models.clone_model(
        make_small_generator(), clone_function=replace
    )
    _SeeingReLU.seen = ()
    TiledGenerator(generator)(random_image(128, 32), tf.constant(16))
    # On the way down 16 rows of the image are 4 at a quarter, for which 2 * 4
    # and 2 more on each side are taken at half, 2 * 12 and 2 more in full. On
    # the way up rows 16 to 32 take 13 to 35 in full, those 6 to 18 and one more
    # on each side at half. A block's convolutions take one more on each side.
    assert {width for _, width in _SeeingReLU.seen} == {32, 16, 8}
    for width, most in ((32, 28), (16, 14), (8, 6)):
        heights = [h for h, w in _SeeingReLU.seen if w == width]
        assert max(heights) == most


def test_rows_are_stored_at_the_lowest_resolution_alone():
    generator = make_small_generator()  # 4, 8 and 16 channels; 2 blocks
    tiled = tf.function(TiledGenerator(generator), autograph=False)
    graph = tiled.get_concrete_function(*SIGNATURE).graph
    shapes = [
        tf.get_static_value(operation.inputs[0]).tolist()
        for operation in graph.get_operations()
        if operation.type == "TensorListReserve"
    ]
    rows = [shape for shape in shapes if len(shape) == 2]
    # The first block's input, one activation within each block; the output.
    assert rows == [[-1, 16], [-1, 16], [-1, 16], [-1, 3]]


_MEMORY_PROGRAM = """
import json, pathlib, re
from kliep_tf import cli  # first: it makes the import of TensorFlow shorter
import tensorflow as tf
from kliep_tf.translation.networks import make_generator
from kliep_tf.translation.tiling.generator import TiledGenerator

def peak():
    # Not by getrusage: a process starts with its parent's maximum.
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\\s*(\\d+) kB", status)[0]) / 1024

generator = make_generator(filters=32, num_residual_blocks=1)
tiled = tf.function(TiledGenerator(generator), autograph=False)
tiled(tf.zeros([1, 32, 32, 3]), tf.constant(16))
peaks = [peak()]
image = tf.zeros([1, 512, 512, 3])
tiled(image, tf.constant(16))
peaks.append(peak())
generator(image)
peaks.append(peak())
print(json.dumps(peaks))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_a_fraction_of_the_whole_images():
    """One activation at full resolution takes 32 MiB, at a quarter 8."""
    done = processes.run(["-c", _MEMORY_PROGRAM])
    assert done.returncode == 0, done.stderr
    before, tiled, whole = json.loads(done.stdout)
    assert tiled - before < 0.25 * (whole - before), (before, tiled, whole)


def test_layers_that_cannot_be_tiled_are_refused():
    inputs = keras.Input((None, None, 3))
    outputs = keras.layers.GlobalAveragePooling2D()(inputs)
    with pytest.raises(TypeError, match="GlobalAveragePooling2D"):
        TiledGenerator(keras.Model(inputs, outputs))
