"""A segmenter that never learns, through which gradients reach images."""

import os

import tensorflow as tf

from kliep_tf.data.class_sets import CITYSCAPES_CLASSES, ClassSet
from kliep_tf.errors import UserError
from kliep_tf.segmentation.inference import are_probabilities
from kliep_tf.segmentation.signatures import (
    LOGITS,
    OpenedSegmenter,
    open_segmenter,
)
from kliep_tf.segmentation.train_step import cross_entropy

# Smaller probabilities count as this one: their logarithm has no gradient.
_LEAST_PROBABILITY = 1e-7


class FrozenSegmenter:
    """A segmentation SavedModel as a term of another network's loss.

    Make it under the strategy's scope: each replica then reads a copy of its
    variables. It is in inference mode, and nothing here gives its variables to
    an optimizer.
    """

    def __init__(
        self, path: str | os.PathLike, classes: ClassSet = CITYSCAPES_CLASSES
    ):
        """Loads the SavedModel.

        Those of `export_segmenter` have a signature for this. Of others, what
        `open_segmenter` takes must be floats, and what it gives scores.

        Args:
            path: the SavedModel's directory.
            classes: of the labels that it is used with.

        Raises:
            UserError: there is no such model at `path`, it is no segmenter,
                one of other classes, or none that gradients pass through.
        """
        self._ignore_label = classes.ignore_label
        self._opened = open_segmenter(path, classes)
        signatures = dict(self._opened.model.signatures)
        self._own = signatures.get(LOGITS)
        if self._own is None:
            _require_gradients(self._opened, path)

    def logits(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the scores of each pixel, float32 [N, H, W, C].

        Args:
            images: floats [N, H, W, 3] in [-1, 1].
        """
        images = tf.cast(images, tf.float32)
        # Python knows the size even of what a generator has resized. The graph
        # optimizer does not, and would fold wrong constants into the gradient
        # of a dilated convolution (TensorFlow issue 26797).
        images = tf.ensure_shape(images, images.shape)
        if self._own is not None:
            return self._own(images=images)[LOGITS]
        raw = self._opened.run((images + 1.0) * 127.5)
        scores = _as_logits(tf.cast(raw, tf.float32))
        return tf.image.resize(scores, tf.shape(images)[1:3])

    def cross_entropy(self, labels: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """Returns float32 [N]: each image's mean over its labelled pixels.

        Args:
            labels: integers [N, H, W, 1], the ignore label where nothing is
                known.
            images: floats [N, H, W, 3] in [-1, 1].
        """
        return cross_entropy(labels, self.logits(images), self._ignore_label)

    def predict(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the most probable class of each pixel, int32 [N, H, W, 1].

        Args:
            images: floats [N, H, W, 3] in [-1, 1].
        """
        best = tf.argmax(self.logits(images), -1, output_type=tf.int32)
        return best[..., tf.newaxis]


def _require_gradients(
    opened: OpenedSegmenter, path: str | os.PathLike
) -> None:
    if opened.input_dtype.is_floating and opened.output_dtype.is_floating:
        return
    raise UserError(
        f"{os.fspath(path)}: expected a segmenter that gradients pass through, "
        f"by a signature {LOGITS!r} or from float images to scores, found "
        f"{opened.input_dtype.name} images and {opened.output_dtype.name} "
        f"{opened.output_name!r}; where train_segmenter wrote it, delete it "
        "and run the same command again"
    )


def _as_logits(values: tf.Tensor) -> tf.Tensor:
    """Returns the values, or the logarithms of probabilities."""
    return tf.cond(
        are_probabilities(values),
        lambda: tf.math.log(tf.maximum(values, _LEAST_PROBABILITY)),
        lambda: values,
    )
