"""VGG-16's features against Keras's own network, from every kind of file."""

import h5py
import keras
import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

from kliep_tf.errors import DataError, UserError
from kliep_tf.training.vgg16 import Vgg16

FLAG = "perceptual_weights"


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return keras.applications.VGG16(include_top=False, weights=None)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (2, 35, 50, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def expected(network, images):
    """Features of Keras's network, by Keras's own preprocessing."""
    inputs = keras.applications.vgg16.preprocess_input(images.copy())
    relu5_3 = keras.Model(
        network.input, network.get_layer("block5_conv3").output
    )
    return relu5_3(inputs).numpy()


def kernels_and_biases(network):
    return [
        [weight.numpy() for weight in layer.weights]
        for layer in network.layers
        if layer.weights
    ]


def test_file_that_keras_saves_gives_its_features(
    network, images, expected, tmp_path
):
    path = tmp_path / "vgg16.weights.h5"
    network.save_weights(path)
    vgg16 = Vgg16(path, FLAG)
    assert vgg16.name == "vgg16-caffe"
    np.testing.assert_allclose(vgg16(images), expected, rtol=1e-4, atol=1e-3)
    assert expected.shape == (2, 2, 3, 512)


def test_published_layout_of_keras_and_that_of_hed_are_read(
    network, images, expected, tmp_path
):
    published, hed = tmp_path / "notop.h5", tmp_path / "hed.weights.h5"
    layers = [layer for layer in network.layers if layer.weights]
    with h5py.File(published, "w") as old, h5py.File(hed, "w") as new:
        for layer in layers:
            kernel, bias = (weight.numpy() for weight in layer.weights)
            old[f"{layer.name}/{layer.name}_W_1:0"] = kernel
            old[f"{layer.name}/{layer.name}_b_1:0"] = bias
            block, convolution = layer.name.split("_conv")
            suffix = "" if convolution == "1" else f"_{int(convolution) - 1}"
            variables = f"{block}/layers/conv2d{suffix}/vars"
            new[f"{variables}/0"], new[f"{variables}/1"] = kernel, bias
            new[variables].attrs["name"] = layer.name
        for output in range(1, 6):
            new[f"dsn{output}/vars/0"] = np.zeros((1, 1, 64, 1))
    for path, name in ((published, "vgg16-caffe"), (hed, "vgg16-hed")):
        vgg16 = Vgg16(path, FLAG)
        assert vgg16.name == name
        np.testing.assert_allclose(
            vgg16(images), expected, rtol=1e-4, atol=1e-3
        )


def test_torchvisions_names_and_pixel_scale_are_read(network, images, tmp_path):
    places = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    tensors = {}
    for place, (kernel, bias) in zip(
        places, kernels_and_biases(network), strict=True
    ):
        # torch: [out, in, height, width]
        tensors[f"features.{place}.weight"] = np.ascontiguousarray(
            kernel.transpose(3, 2, 0, 1)
        )
        tensors[f"features.{place}.bias"] = bias
    path = tmp_path / "vgg16.safetensors"
    safetensors.numpy.save_file(tensors, path)
    mean = np.array([0.485, 0.456, 0.406])
    deviation = np.array([0.229, 0.224, 0.225])
    relu5_3 = keras.Model(
        network.input, network.get_layer("block5_conv3").output
    )
    expected = relu5_3((images / 255 - mean) / deviation).numpy()
    vgg16 = Vgg16(path, FLAG)
    assert vgg16.name == "vgg16"
    np.testing.assert_allclose(vgg16(images), expected, rtol=1e-4, atol=1e-6)


def test_gradients_reach_the_images(network, images, tmp_path):
    path = tmp_path / "vgg16.weights.h5"
    network.save_weights(path)
    vgg16 = Vgg16(path, FLAG)
    pixels = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        total = tf.reduce_sum(vgg16(pixels))
    assert np.abs(tape.gradient(total, pixels)).max() > 0


def test_other_files_are_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match=f"--{FLAG}=.*found none"):
        Vgg16(tmp_path / "missing.h5", FLAG)
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(DataError, match="expected an HDF5 file"):
        Vgg16(tmp_path / "text.h5", FLAG)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["block1_conv1/kernel"] = np.zeros((3, 3, 3, 64))
        file["block1_conv1/bias"] = np.zeros(64)
    with pytest.raises(UserError, match="found no block1_conv2"):
        Vgg16(tmp_path / "other.h5", FLAG)
    safetensors.numpy.save_file(
        {"features.0.weight": np.zeros((64, 3, 3, 3), np.float32)},
        tmp_path / "other.safetensors",
    )
    with pytest.raises(UserError, match=r"found no features\.0\.bias"):
        Vgg16(tmp_path / "other.safetensors", FLAG)
