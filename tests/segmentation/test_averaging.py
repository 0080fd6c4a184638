import numpy as np
import tensorflow as tf

from kliep_tf.segmentation.averaging import average_over


def _left_is_class_1(images: tf.Tensor) -> tf.Tensor:
    """Class 1 in the left half, class 0 in the right, whatever is shown."""
    width = tf.shape(images)[2]
    left = tf.cast(tf.range(width) < width // 2, tf.int32)
    classes = tf.broadcast_to(left, tf.shape(images)[:3])
    return tf.one_hot(classes, 19)


def test_mirror_images_are_mirrored_back():
    images = tf.zeros([2, 3, 4, 3], tf.uint8)
    shares = average_over(_left_is_class_1, (1.0,), flip=True)(images)
    # Seen once from each side, every pixel is half of either class.
    np.testing.assert_allclose(shares[..., :2], 0.5)
    np.testing.assert_allclose(shares[..., 2:], 0.0)


def test_shares_are_the_mean_over_scales():
    seen = []

    def brightness_is_the_share(images: tf.Tensor) -> tf.Tensor:
        seen.append(tuple(images.shape[1:3]))
        # A constant per view: 1 / height of what is shown.
        share = tf.ones(images.shape[:3]) / float(images.shape[1])
        return tf.stack([share, 1 - share], -1)

    images = tf.zeros([1, 8, 16, 3], tf.uint8)
    shares = average_over(brightness_is_the_share, (0.5, 1.0, 2.0), False)(
        images
    )
    assert seen == [(4, 8), (8, 16), (16, 32)]
    assert shares.shape == (1, 8, 16, 2)
    expected = (1 / 4 + 1 / 8 + 1 / 16) / 3
    np.testing.assert_allclose(shares[..., 0], expected, rtol=1e-6)


def test_one_scale_and_no_mirror_is_the_segmenter_itself():
    assert average_over(_left_is_class_1, (1.0,), False) is _left_is_class_1
