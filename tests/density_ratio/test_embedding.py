import keras
import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data.reading import make_example_dataset
from kliep_tf.data.records import encode_example, write_shard
from kliep_tf.density_ratio.embedding import Embedder
from kliep_tf.density_ratio.extraction import ExtractionSettings
from kliep_tf.density_ratio.extractors import EXTRACTORS
from kliep_tf.errors import UserError


@pytest.fixture(scope="module")
def embedder(mobilenet_v2_file):
    """Embeds by that network, read from its file."""
    return Embedder(mobilenet_v2_file, "mobilenet_v2")


@pytest.fixture(scope="module")
def network(mobilenet_v2_file):
    """The network by Keras alone."""
    network = keras.applications.MobileNetV2(include_top=False, weights=None)
    network.load_weights(mobilenet_v2_file)
    return network


def test_embedding_is_the_averaged_map_of_the_file_s_network(
    embedder, network, tmp_path
):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), np.uint8)
    path = str(tmp_path / "train-00000-of-00001.tfrecord")
    examples = [
        encode_example(
            tf.io.encode_png(image).numpy(),
            filename=f"frame_{number}",
            height=64,
            width=96,
        )
        for number, image in enumerate(pixels)
    ]
    write_shard(path, examples)
    found = EXTRACTORS["embedding"].extract(
        make_example_dataset([path]),
        2,
        ExtractionSettings(network=embedder, image_size=(64, 96)),
    )
    # MobileNetV2 takes -1..1 and makes a map of 2 x 3 cells here.
    cells = network(pixels.astype(np.float32) / 127.5 - 1.0, training=False)
    assert cells.shape == (2, 2, 3, 1280)
    expected = np.mean(cells, axis=(1, 2))
    # Untrained, the features are of the order of 1e-12.
    scale = np.abs(expected).max()
    assert np.abs(expected[0] - expected[1]).max() > 0.01 * scale
    np.testing.assert_allclose(
        found.values / scale, expected / scale, atol=1e-3
    )
    assert found.names[[0, -1]].tolist() == ["embedding 0", "embedding 1279"]


def test_images_may_have_any_size_and_number(embedder):
    for shape in ((1, 32, 64, 3), (3, 40, 33, 3)):
        found = embedder(tf.zeros(shape, tf.uint8))
        assert found.shape == (shape[0], 1280) == (shape[0], embedder.width)


def test_missing_file_is_named_and_nothing_is_downloaded(tmp_path):
    path = tmp_path / "absent.weights.h5"
    with pytest.raises(UserError) as raised:
        Embedder(path, "resnet50")
    message = str(raised.value)
    for words in (f"--embedding_weights={path}", "resnet50", "downloaded"):
        assert words in message
    assert "\n" not in message


def test_no_file_at_all_is_said():
    with pytest.raises(UserError, match="as --embedding_weights, found none"):
        Embedder("", "mobilenet_v2")


@pytest.mark.parametrize("content", ["another network", "text"])
def test_file_that_does_not_fit_is_one_line(content, tmp_path):
    path = tmp_path / "other.weights.h5"
    if content == "text":
        path.write_text("these are no weights")
    else:
        keras.Sequential(
            [keras.Input((3,)), keras.layers.Dense(2)]
        ).save_weights(path)
    with pytest.raises(UserError) as raised:
        Embedder(path, "mobilenet_v2")
    message = str(raised.value)
    assert "\n" not in message
    assert "expected the weights of mobilenet_v2 without its top" in message


def test_images_too_small_for_a_backbone_are_said(embedder, tmp_path):
    settings = ExtractionSettings(network=embedder, image_size=(16, 64))
    with pytest.raises(UserError, match="at least 32x32 pixels, found 16x64"):
        EXTRACTORS["embedding"].extract(None, 0, settings)


def test_without_an_embedder_the_flag_is_named():
    with pytest.raises(UserError, match="--embedding_weights, found none"):
        EXTRACTORS["embedding"].extract(None, 0, ExtractionSettings())
