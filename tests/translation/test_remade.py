import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.translation.exporting import write_saved_model
from kliep_tf.translation.methods.cyclegan.method import exportable
from kliep_tf.translation.networks import UPSAMPLINGS, make_generator
from kliep_tf.translation.remade import infer_arguments, remake

# With 32 filters residual blocks are remade by Winograd's filtering.
OPTIONS = {"filters": 32, "num_residual_blocks": 1}


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("remade")
    write_saved_model(exportable(make_generator(**OPTIONS, seed=3)), path)
    return tf.saved_model.load(str(path))


def levels_off(saved_model, remade, shape):
    """Returns |difference| of 255, of images of noise."""
    rng = np.random.default_rng(0)
    images = tf.constant(rng.integers(0, 256, shape).astype(np.uint8))
    expected = saved_model.signatures["translate_uint8"](images=images)
    found = remade(images).numpy().astype(int)
    assert found.shape == shape
    return np.abs(found - expected["translated"].numpy())


# A single image, of a size that has to be padded; and several at once.
@pytest.mark.parametrize("shape", [(1, 21, 34, 3), (5, 16, 24, 3)])
def test_translates_as_the_saved_model_to_a_level(saved_model, shape):
    found = levels_off(saved_model, remake(saved_model), shape)
    assert found.max() <= 1
    assert np.mean(found > 0) < 0.01


def test_bfloat16_is_near(saved_model):
    """Eight bits of mantissa: some levels at most, about one in the mean."""
    remade = remake(saved_model, "bfloat16")
    found = levels_off(saved_model, remade, (1, 16, 24, 3))
    assert 0 < found.mean() < 2
    assert found.max() <= 16


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_arguments_are_read_off_the_shapes(upsampling):
    arguments = {
        "filters": 2,
        "num_residual_blocks": 3,
        "upsampling": upsampling,
    }
    network = make_generator(**arguments)
    shapes = [tuple(variable.shape) for variable in network.variables]
    assert infer_arguments(shapes) == arguments
    assert infer_arguments(shapes[2:]) is None
    assert infer_arguments([]) is None


def test_another_network_of_the_same_variables_is_not_remade(tmp_path):
    """It returns half of the image, whatever its kernels."""
    module = tf.Module()
    module.values = [
        tf.Variable(variable.numpy())
        for variable in make_generator(filters=2, num_residual_blocks=0).weights
    ]

    def halve(images):
        unused = tf.add_n([tf.reduce_sum(value) for value in module.values])
        return {"translated": images / 2 + 0 * unused}

    spec = tf.TensorSpec([None, None, None, 3], tf.float32, "images")
    halve = tf.function(halve, [spec], autograph=False)
    tf.saved_model.save(module, str(tmp_path), {"translate_float": halve})
    loaded = tf.saved_model.load(str(tmp_path))
    assert len(loaded.signatures["translate_float"].variables) == 12
    assert remake(loaded) is None
