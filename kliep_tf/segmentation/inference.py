"""Any segmentation SavedModel as one function of images."""

import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from kliep_tf.data import images
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES, ClassSet
from kliep_tf.errors import UserError
from kliep_tf.segmentation.signatures import open_segmenter

# uint8 [N, H, W, 3] -> float32 [N, H, W, C], summing to 1
Segmenter = Callable[[tf.Tensor], tf.Tensor]


def load_segmenter(
    path: str | os.PathLike, classes: ClassSet = CITYSCAPES_CLASSES
) -> Segmenter:
    """Returns the segmenter that a SavedModel holds, whoever wrote it.

    Its signature `serving_default`, or its only one, must take one image,
    [N, H, W, 3] of uint8 (or of another number type, which is given the values
    0..255). One output must be the segmentation: float [N, h, w, C] (class
    probabilities or logits) or integer [N, h, w] (train ids). Fixed sizes and
    batches of one are served as well; the result has the size of the images.

    Args:
        path: the SavedModel's directory.
        classes: of the labels that it is used with, C of them.

    Returns:
        A function of uint8 images [N, H, W, 3] that returns probabilities,
        float32 [N, H, W, C]. It raises a UserError where train ids fall
        outside 0..C-1 and where values are not finite.

    Raises:
        UserError: there is no such model at `path`, or it has other classes.
    """
    opened = open_segmenter(path, classes)
    num_classes = len(classes)
    expected = "finite values"
    if opened.output_dtype.is_integer:
        expected = f"train ids 0..{num_classes - 1}"

    @tf.function(
        input_signature=[tf.TensorSpec([None] * 3 + [3], tf.uint8)],
        autograph=False,
    )
    def probabilities(pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        raw = opened.run(pixels)
        if raw.dtype.is_integer:
            useless = tf.reduce_any((raw < 0) | (raw >= num_classes))
            shares = tf.one_hot(raw, num_classes)
        else:
            shares = _as_probabilities(tf.cast(raw, tf.float32))
            # The largest of NaNs is the first class.
            useless = tf.reduce_any(tf.math.is_nan(shares))
        shares = _resize_like(shares, pixels)
        return tf.ensure_shape(shares, [None] * 3 + [num_classes]), useless

    def segment(pixels: tf.Tensor) -> tf.Tensor:
        shares, useless = probabilities(pixels)
        if useless:
            raise UserError(
                f"{os.fspath(path)}: expected {expected} in the output "
                f"{opened.output_name!r}, found others"
            )
        return shares

    # TensorFlow frees a SavedModel's variables with the loaded object.
    segment.model = opened.model  # type: ignore[attr-defined]
    return segment


def predict_labels(segmenter: Segmenter, pixels: np.ndarray) -> np.ndarray:
    """Returns uint8 [N, H, W]: the most probable train id of each pixel."""
    predictions = tf.argmax(segmenter(pixels), -1, output_type=tf.int32)
    return tf.cast(predictions, tf.uint8).numpy()


def are_probabilities(values: tf.Tensor) -> tf.Tensor:
    """Returns bool []: whether floats [N, H, W, C] are class probabilities.

    If not, they are logits: these sum to 1 nowhere near every pixel.
    """
    sums = tf.reduce_sum(values, -1)
    # bfloat16 models round to 1/256.
    return (
        tf.reduce_all(values >= 0.0)
        & tf.reduce_all(values <= 1.0)
        & tf.reduce_all(tf.abs(sums - 1.0) < 0.02)
    )


def average_views(
    segmenter: Segmenter, scales: Sequence[float], flip: bool
) -> Segmenter:
    """Returns a segmenter that averages over scaled and mirrored images.

    Test-time augmentation: the result's probabilities are the mean over views
    of each image.

    Args:
        segmenter: uint8 [N, H, W, 3] to probabilities [N, H, W, C].
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


def _as_probabilities(values: tf.Tensor) -> tf.Tensor:
    """Returns the values if they are probabilities, else their softmax."""
    return tf.cond(
        are_probabilities(values),
        lambda: values,
        lambda: tf.nn.softmax(values),
    )


def _resize_like(shares: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
    size = tf.shape(pixels)[1:3]
    same = tf.reduce_all(tf.shape(shares)[1:3] == size)
    return tf.cond(same, lambda: shares, lambda: tf.image.resize(shares, size))
