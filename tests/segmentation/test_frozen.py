"""What a segmenter says of images, and what it tells them to change."""

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data.class_sets import ClassSet, LabelClass
from kliep_tf.errors import UserError
from kliep_tf.segmentation.frozen import FrozenSegmenter
from kliep_tf.segmentation.networks import export_segmenter
from tests.segmentation.small_network import small

TWO = ClassSet(
    "two", tuple(LabelClass(name, (0, 0, 0)) for name in ("dark", "red"))
)
IMAGES = np.random.default_rng(0).uniform(-1, 1, (2, 8, 12, 3))
IMAGES = IMAGES.astype(np.float32)


def save(path, function, dtype=tf.float32, shape=(None, None, None, 3)):
    """Writes a stranger's SavedModel of one function."""
    module = tf.Module()
    spec = tf.TensorSpec(shape, dtype, "pixels")
    module.serve = tf.function(function, input_signature=[spec])
    signatures = {"serving_default": module.serve}
    tf.saved_model.save(module, str(path), signatures)
    return path


def red_logits(pixels):
    """0 for class 0; log 3 for class 1 where red is 255, 0 where it is 0."""
    red = tf.cast(pixels[..., 0], tf.float32) / 255
    return tf.stack([tf.zeros_like(red), tf.math.log(3.0) * red], -1)


def red_shares(pixels):
    return tf.nn.softmax(red_logits(pixels))


@pytest.fixture(scope="module")
def network():
    return small(2, seed=3)


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "saved_model"
    export_segmenter(network, path, TWO)
    return path


@pytest.mark.parametrize("function", [red_logits, red_shares])
def test_cross_entropy_by_hand(function, tmp_path):
    segmenter = FrozenSegmenter(save(tmp_path / "model", function), TWO)
    # Red is 255 in the first image, 0 in the second, of 2x2 pixels.
    images = tf.stack([tf.ones([2, 2, 3]), -tf.ones([2, 2, 3])])
    labels = np.array([[1, 0, 255, 255], [0, 255, 255, 255]], np.uint8)
    found = segmenter.cross_entropy(labels.reshape([2, 2, 2, 1]), images)
    # Class 1 has probability 3/4, class 0 has 1/4; then both 1/2.
    expected = [(np.log(4 / 3) + np.log(4)) / 2, np.log(2)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    unknown = np.full([2, 2, 2, 1], 255)
    assert not np.any(segmenter.cross_entropy(unknown, images))
    np.testing.assert_array_equal(segmenter.predict(images)[0, ..., 0], 1)


def test_gradients_are_those_of_the_network(network, exported):
    images = tf.constant(IMAGES)
    labels = np.random.default_rng(1).choice([0, 1, 255], (2, 8, 12, 1))
    segmenter = FrozenSegmenter(exported, TWO)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(images)
        found = segmenter.cross_entropy(labels, images)
        shares = tf.nn.softmax(network(images, training=False))
        right = tf.where(labels == 1, shares[..., 1:], shares[..., :1])
        known = tf.constant(labels != 255, tf.float32)
        total = tf.reduce_sum(-known * tf.math.log(right), [1, 2, 3])
        expected = total / tf.reduce_sum(known, [1, 2, 3])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    found, expected = (tape.gradient(one, images) for one in (found, expected))
    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert np.abs(expected).min(initial=np.inf, where=labels != 255) > 0


def test_a_strangers_fixed_size_and_batch_are_served(tmp_path):
    path = save(tmp_path / "model", red_logits, shape=(1, 4, 6, 3))
    segmenter = FrozenSegmenter(path, TWO)
    images = tf.ones([2, 8, 12, 3])
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = segmenter.logits(images)
    np.testing.assert_allclose(logits[..., 1], np.log(3), rtol=1e-6)
    # Red reaches every pixel of class 1, green and blue none.
    reached = tf.reduce_sum(tape.gradient(logits, images), [1, 2])
    assert np.all(reached[:, 0] > 0)
    assert not np.any(reached[:, 1:])


@pytest.mark.parametrize(
    ("function", "dtype", "message"),
    [
        (red_logits, tf.uint8, "gradients pass through.*found uint8 images"),
        (
            lambda pixels: tf.argmax(red_logits(pixels), -1),
            tf.float32,
            "gradients pass through.*found float32 images and int64",
        ),
        (tf.io.decode_png, tf.string, "expected one input of images"),
        (lambda pixels: pixels, tf.float32, "a segmenter of other classes"),
    ],
)
def test_what_is_no_such_segmenter_is_one_line(
    function, dtype, message, tmp_path
):
    shape = [] if dtype == tf.string else [None, None, None, 3]
    path = save(tmp_path / "model", function, dtype, shape)
    with pytest.raises(UserError, match=message) as raised:
        FrozenSegmenter(path, TWO)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_other_classes_and_missing_paths_are_refused(exported, tmp_path):
    with pytest.raises(UserError, match="19 classes of cityscapes"):
        FrozenSegmenter(exported)
    with pytest.raises(UserError, match="expected a SavedModel directory"):
        FrozenSegmenter(tmp_path / "missing", TWO)
