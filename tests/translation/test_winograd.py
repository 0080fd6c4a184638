import functools

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.translation.networks import make_generator
from kliep_tf.translation.winograd import (
    WinogradConv2D,
    convolve,
    kernels_transformed_once,
    transform_kernel,
)

OPTIONS = {"filters": 2, "num_residual_blocks": 2}
IMAGES = tf.random.stateless_uniform([2, 24, 28, 3], [1, 2], -1, 1)


def mirrored_convolution(images, kernel):
    ring = [[0, 0], [1, 1], [1, 1], [0, 0]]
    padded = tf.pad(images, ring, "REFLECT")
    return tf.nn.conv2d(padded, kernel, 1, "VALID")


def by_products(images, kernel, tile=4):
    return convolve(images, transform_kernel(kernel, tile))


def values(*shape, seed):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def outputs_and_gradients(function, images, kernel, weights):
    images, kernel = tf.constant(images), tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch([images, kernel])
        outputs = function(images, kernel)
    weights = tf.cast(weights, outputs.dtype)
    found = [outputs, *tape.gradient(outputs, [images, kernel], weights)]
    return [tf.cast(tensor, tf.float64).numpy() for tensor in found]


def test_kernel_that_picks_a_neighbour_moves_the_mirrored_image():
    image = np.array([[1, 2, 3], [4, 5, 6]], np.float32)[None, :, :, None]
    kernel = np.zeros([3, 3, 1, 1], np.float32)
    kernel[0, 2] = 1  # above, to the right
    moved = by_products(image, kernel)[0, :, :, 0]
    np.testing.assert_allclose(moved, [[5, 6, 5], [2, 3, 2]], atol=1e-5)


@pytest.mark.parametrize("tile", [4, 2])
@pytest.mark.parametrize("size", [(8, 8), (6, 7), (2, 3), (25, 9)])
def test_outputs_and_gradients_are_those_of_a_convolution(size, tile):
    by_tiles = functools.partial(by_products, tile=tile)
    arguments = (
        values(2, *size, 5, seed=0),
        values(3, 3, 5, 4, seed=1),
        values(2, *size, 4, seed=2),
    )
    expected = outputs_and_gradients(mirrored_convolution, *arguments)
    found = outputs_and_gradients(by_tiles, *arguments)
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-4)


def in_bfloat16(function):
    def rounded(images, kernel):
        return function(
            tf.cast(images, tf.bfloat16), tf.cast(kernel, tf.bfloat16)
        )

    return rounded


def by_small_products_in_bfloat16(images, kernel):
    kernel = tf.cast(transform_kernel(kernel, tile=2), tf.bfloat16)
    return convolve(tf.cast(images, tf.bfloat16), kernel)


@pytest.mark.parametrize(
    ("function", "usual_function", "precision"),
    [
        (by_products, mirrored_convolution, 1e-5),
        (
            by_small_products_in_bfloat16,
            in_bfloat16(mirrored_convolution),
            0.02,
        ),
    ],
    ids=["float32", "bfloat16"],
)
def test_rounding_errors_are_a_few_times_those_of_a_convolution(
    function, usual_function, precision
):
    arguments = (
        values(1, 16, 16, 256, seed=0),
        values(3, 3, 256, 256, seed=1),
        values(1, 16, 16, 256, seed=2),
    )
    exact = outputs_and_gradients(
        mirrored_convolution, *(array.astype(np.float64) for array in arguments)
    )
    for one, two, truth in zip(
        outputs_and_gradients(function, *arguments),
        outputs_and_gradients(usual_function, *arguments),
        exact,
        strict=True,
    ):
        error, usual = np.std(one - truth), np.std(two - truth)
        assert error < 8 * usual
        assert error < precision * np.std(truth)


def test_generator_is_the_same_function_of_the_same_variables(tmp_path):
    direct = make_generator(**OPTIONS)
    winograd = make_generator(**OPTIONS, winograd=True, seed=1)
    assert any(isinstance(x, WinogradConv2D) for x in winograd.layers)
    for writer, reader in ((direct, winograd), (winograd, direct)):
        writer.set_weights([2 * weight for weight in writer.get_weights()])
        path = tf.train.Checkpoint(generator=writer).write(str(tmp_path / "c"))
        status = tf.train.Checkpoint(generator=reader).read(path)
        status.assert_existing_objects_matched().assert_consumed()
        np.testing.assert_allclose(writer(IMAGES), reader(IMAGES), atol=1e-5)


def test_bfloat16_generator_with_winograd_is_close_to_the_float32_one():
    exact = make_generator(**OPTIONS)
    rounded = make_generator(**OPTIONS, winograd=True, dtype="mixed_bfloat16")
    # Ten times the initial weights: tanh then gives all of -1 to 1.
    exact.set_weights([10 * weight for weight in exact.get_weights()])
    rounded.set_weights(exact.get_weights())
    difference = np.abs(rounded(IMAGES) - exact(IMAGES))
    assert np.abs(exact(IMAGES)).mean() > 0.3
    assert difference.mean() < 0.03


def test_images_of_unknown_size_are_convolved_directly():
    generator = make_generator(**OPTIONS, winograd=True)
    unknown = tf.TensorSpec([None, None, None, 3])
    found = tf.function(generator, [unknown], autograph=False)(IMAGES)
    np.testing.assert_allclose(found, generator(IMAGES), atol=1e-5)


def test_kernels_transformed_once_follow_the_weights_afterwards():
    generator = make_generator(**OPTIONS, winograd=True)
    with kernels_transformed_once(generator):
        inside = generator(IMAGES)
    np.testing.assert_array_equal(inside, generator(IMAGES))
    generator.set_weights([2 * weight for weight in generator.get_weights()])
    assert np.abs(generator(IMAGES) - inside).max() > 1e-3


@pytest.mark.parametrize(
    ("dtype", "tile", "megabytes"),
    [("float32", 4, 339.7), ("mixed_bfloat16", 2, 75.5)],
)
def test_transformed_kernels_take_the_memory_that_the_help_tells_of(
    dtype, tile, megabytes
):
    """18 kernels of 3x3x256x256 in each of both published generators."""
    generator = make_generator(winograd=True, dtype=dtype)
    values = transform_kernel(tf.zeros([3, 3, 1, 1]), tile).shape[0]
    num_bytes = 2 * sum(
        values * layer.filters**2 * tf.as_dtype(layer.compute_dtype).size
        for layer in generator.layers
        if isinstance(layer, WinogradConv2D)
    )
    assert num_bytes / 1e6 == pytest.approx(megabytes, abs=0.05)
