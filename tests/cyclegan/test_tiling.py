import keras
import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.cyclegan.networks import UPSAMPLINGS, make_generator
from kliep_tf.cyclegan.tiling import TiledGenerator, _pooled


def make_small_generator(upsampling="transposed"):
    return make_generator(
        filters=4, num_residual_blocks=2, upsampling=upsampling, seed=1
    )


def random_image(height, width):
    return tf.random.uniform([1, height, width, 3], -1, 1, seed=height)


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_tiles_make_the_whole_image(upsampling):
    generator = make_small_generator(upsampling)
    tiled = tf.function(TiledGenerator(generator), autograph=False)
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


def test_moments_of_tiles_make_those_of_the_whole():
    # 1 2 3 has mean 2 and variance 2/3; 10 has mean 10 and variance 0.
    found = _pooled(
        tf.constant([3.0, 1.0]),
        tf.constant([[2.0], [10.0]]),
        tf.constant([[2 / 3], [0.0]]),
    )
    values = np.array([1, 2, 3, 10])
    assert found.mean.numpy() == pytest.approx([values.mean()])
    assert found.variance.numpy() == pytest.approx([values.var()])


def test_tiles_share_the_generators_weights():
    generator = make_small_generator()
    tiled = TiledGenerator(generator)
    generator.set_weights([2 * value for value in generator.get_weights()])
    image = random_image(16, 16)
    found = tiled(image, tf.constant(8))
    np.testing.assert_allclose(found, generator(image), atol=5e-6)


def test_layers_that_cannot_be_tiled_are_refused():
    inputs = keras.Input((None, None, 3))
    outputs = keras.layers.GlobalAveragePooling2D()(inputs)
    with pytest.raises(TypeError, match="GlobalAveragePooling2D"):
        TiledGenerator(keras.Model(inputs, outputs))
