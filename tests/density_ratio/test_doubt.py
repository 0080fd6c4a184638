import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data.records import encode_example, parse_example
from kliep_tf.density_ratio.doubt import (
    LIMITS,
    Behaviour,
    compare,
    doubts,
    observe,
    share_outside,
)
from kliep_tf.density_ratio.extraction import ExtractionSettings
from kliep_tf.density_ratio.verdict import (
    describe_doubt,
    helps,
    movements,
)


def _examples(images: np.ndarray) -> tf.data.Dataset:
    encoded = [
        encode_example(
            tf.io.encode_png(image).numpy(), filename=str(i), height=8, width=16
        )
        for i, image in enumerate(images)
    ]
    return tf.data.Dataset.from_tensor_slices(encoded).map(parse_example)


def _observe(images: np.ndarray) -> Behaviour:
    """Of a segmenter of two classes: is the first pixel bright?"""

    def segmenter(pixels: tf.Tensor) -> tf.Tensor:
        bright = tf.cast(pixels[:, :1, :1, 0] > 127, tf.int32)
        labels = tf.broadcast_to(bright, tf.shape(pixels)[:3])
        return tf.one_hot(labels, 2)

    settings = ExtractionSettings(image_size=(8, 16))
    return observe(segmenter, _examples(images), len(images), settings)


def test_what_mirroring_changes_is_counted():
    left, right, even = np.zeros((3, 8, 16, 3), np.uint8)
    left[:, :8], right[:, 8:], even[:] = 255, 255, 255
    found = _observe(np.stack([left, right, even, even]))
    np.testing.assert_array_equal(found.shares[:, 1], [1, 0, 1, 1])
    # The first two change from all bright to all dark and back.
    assert found.mirrored == 0.5
    # What fills a half still does, three quarters as large.
    assert found.smaller == 0.0
    assert found.confidence == 1.0


def test_images_are_taken_from_all_of_many():
    images = np.zeros((401, 8, 16, 3), np.uint8)
    images[300:] = 255
    found = _observe(images)
    assert len(found.shares) == 134  # every third
    assert found.shares[:, 1].mean() == pytest.approx(34 / 134)


def test_share_outside_counts_what_the_source_has_nothing_like():
    source = np.arange(100.0)[:, np.newaxis]  # neighbours are 1 apart
    target = np.array([[0.5], [50.2], [99.5], [140.0]])
    assert share_outside(source, target) == 0.25


def _behaviour(**changes: float) -> Behaviour:
    steady = {"mirrored": 0.01, "smaller": 0.02, "recolored": 0.01}
    shares = np.linspace(0, 1, 20)[:, np.newaxis]
    return Behaviour(shares, **{**steady, "confidence": 0.9, **changes})


def test_steady_predictions_raise_no_doubt():
    assert doubts(compare(_behaviour(), _behaviour())) == ()


def test_unsteady_predictions_of_the_target_raise_doubt():
    unsteady = _behaviour(mirrored=2 * LIMITS["mirrored"])
    (sign,) = doubts(compare(_behaviour(), unsteady))
    assert "mirroring" in sign.name
    line = describe_doubt([sign])
    assert "\n" not in line
    assert "label some twenty images of the target" in line
    # Only the target is in question.
    assert doubts(compare(unsteady, _behaviour())) == ()


def test_movements_say_who_comes_nearer():
    # Half of the source is sky, all of the target.
    source = np.array([[1.0, 0.0], [0.0, 1.0]])
    target = np.array([[1.0, 0.0], [1.0, 0.0]])
    good, bad = np.array([2.0, 0.0]), np.array([0.0, 2.0])
    found = movements(source, target, good, np.ones(2))
    first, second, half, both = found
    assert half.after == both.after == 0.0  # the only sky has all the weight
    # The target has nothing that could move.
    assert not helps(found)
    assert (first.before, first.after, first.nearer) == (0.5, 0.0, True)
    assert (second.after, second.nearer) == (0.5, False)
    worse = movements(source, target, bad, np.ones(2))[0]
    assert str(worse) == "the source weighted: NO nearer (0.500 to 1.000)"


def test_domains_that_are_alike_need_no_help():
    shares, ones = np.array([[0.3, 0.7], [0.5, 0.5]]), np.ones(2)
    assert helps(movements(shares, shares, ones, ones))
