"""Features of a pretrained backbone, such as one trained on ImageNet.

The weights come from a local file; nothing is ever downloaded. The files that
Keras publishes as `..._notop.h5` fit, and what `save_weights` of the same
backbone writes.
"""

import os
import warnings

import keras
import numpy as np
import tensorflow as tf

from kliep_tf.data.features import Features
from kliep_tf.density_ratio.extraction import (
    Example,
    ExtractionSettings,
    Extractor,
    ImageSize,
    Inputs,
    decode_resized,
    extract_each,
)
from kliep_tf.errors import UserError

_APPLICATIONS = keras.applications
# name: (constructor, what brings pixels of 0..255 to its input's scale)
BACKBONES = {
    "mobilenet_v2": (
        _APPLICATIONS.MobileNetV2,
        _APPLICATIONS.mobilenet_v2.preprocess_input,
    ),
    "resnet50": (
        _APPLICATIONS.ResNet50,
        _APPLICATIONS.resnet50.preprocess_input,
    ),
    "efficientnet_v2_b0": (
        _APPLICATIONS.EfficientNetV2B0,
        _APPLICATIONS.efficientnet_v2.preprocess_input,
    ),
}
# Each halves the image five times: less leaves nothing to average.
MIN_SIZE = 32

_FLAG = "--embedding_weights"


def embedding(
    examples: tf.data.Dataset, num_examples: int, settings: ExtractionSettings
) -> Features:
    """Returns [N, d]: a backbone's last features, averaged over the image.

    The images are resized to `settings.image_size`; d is 1280, or 2048 of
    resnet50.

    Args:
        examples: parsed, as `reading.make_example_dataset` yields them.
        num_examples: N.
        settings: `network` must be an Embedder.

    Raises:
        UserError: there is no embedder, or the images are too small for it.
    """
    embedder = settings.network
    if embedder is None:
        raise UserError(
            "--features=embedding: expected a backbone's weights as "
            f"{_FLAG}, found none"
        )
    if min(settings.image_size) < MIN_SIZE:
        height, width = settings.image_size
        raise UserError(
            "--features=embedding: expected a working size of at least "
            f"{MIN_SIZE}x{MIN_SIZE} pixels, found {height}x{width}; set "
            "--image_height and --image_width"
        )

    def load(example: Example) -> tf.Tensor:
        return decode_resized(example, settings.image_size)

    def embed(pixels: np.ndarray, _: np.ndarray) -> np.ndarray:
        return embedder(tf.constant(pixels)).numpy()

    return extract_each(
        examples,
        load,
        embed,
        [f"embedding {column}" for column in range(embedder.width)],
        num_examples,
        settings,
        settings.batch_size,
    )


class Embedder:
    """A backbone with a file's weights, as one function of images.

    Attributes:
        width: d, the number of features.
    """

    def __init__(self, path: str | os.PathLike, backbone: str):
        """Loads the weights.

        Args:
            path: weights without the classification layer.
            backbone: one of BACKBONES.

        Raises:
            UserError: there is no such file, or it holds other weights.
        """
        construct, self._preprocess = BACKBONES[backbone]
        require_weights(path, backbone)
        self._network = construct(
            include_top=False, weights=None, pooling="avg"
        )
        _load(self._network, os.fspath(path), backbone)
        self.width = self._network.output_shape[-1]

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
        autograph=False,
    )
    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Returns float32 [N, d] of uint8 images [N, H, W, 3]."""
        pixels = self._preprocess(tf.cast(images, tf.float32))
        return self._network(pixels, training=False)


def require_weights(path: str | os.PathLike, backbone: str) -> None:
    """Raises a UserError unless there is a file at `path`."""
    if not os.fspath(path):
        raise UserError(
            f"--features=embedding: expected a local file of {backbone}'s "
            f"weights as {_FLAG}, found none; nothing is downloaded"
        )
    if not os.path.isfile(path):
        raise UserError(
            f"{_FLAG}={os.fspath(path)}: expected a local file of {backbone}'s "
            "weights, found none; nothing is downloaded"
        )


def _load(network: keras.Model, path: str, backbone: str) -> None:
    try:
        # Keras only warns of layers that the file lacks and that would keep
        # their random weights.
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            network.load_weights(path)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{_FLAG}={path}: expected the weights of {backbone} without its "
            f"top layer, found a file that does not fit ({reason})"
        ) from error


def _require_file(inputs: Inputs) -> None:
    require_weights(inputs.embedding_weights, inputs.embedding_backbone)


def _load_embedder(inputs: Inputs, image_size: ImageSize) -> Embedder:
    return Embedder(inputs.embedding_weights, inputs.embedding_backbone)


EMBEDDING = Extractor(
    name="embedding",
    needs="a local file as --embedding_weights",
    scaling="pca",
    extract=embedding,
    check=_require_file,
    prepare=_load_embedder,
)
