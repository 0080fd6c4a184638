"""A segmenter that looks at each image several times: scales and mirrored."""

from collections.abc import Sequence

import tensorflow as tf

from kliep_tf.data import images
from kliep_tf.segmentation.inference import Segmenter


def average_over(
    segmenter: Segmenter, scales: Sequence[float], flip: bool
) -> Segmenter:
    """Returns the segmenter whose probabilities are the mean over views.

    Args:
        segmenter: uint8 [N, H, W, 3] to probabilities [N, H, W, 19].
        scales: factors of the images' size; (1.0,) is the image itself.
        flip: look at each scale's mirror image too.
    """
    if tuple(scales) == (1.0,) and not flip:
        return segmenter

    def averaged(pixels: tf.Tensor) -> tf.Tensor:
        size = tf.shape(pixels)[1:3]
        total = 0.0
        for scale in scales:
            view = pixels if scale == 1.0 else _scaled(pixels, size, scale)
            total += tf.image.resize(segmenter(view), size)
            if flip:
                mirrored = segmenter(tf.reverse(view, [2]))
                total += tf.image.resize(tf.reverse(mirrored, [2]), size)
        return total / float(len(scales) * (2 if flip else 1))

    return averaged


def _scaled(pixels: tf.Tensor, size: tf.Tensor, scale: float) -> tf.Tensor:
    new = tf.cast(tf.round(tf.cast(size, tf.float32) * scale), tf.int32)
    return images.resize_image(pixels, tf.maximum(new, 1))
