"""Networks whose features are compared, each from the user's own file."""

import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kliep_tf.errors import DataError, UserError
from kliep_tf.realism.image_sets import Network
from kliep_tf.training import saved_models
from kliep_tf.training.vgg16 import Vgg16

# The graph that FID is defined by (Szegedy et al. 2015, as TensorFlow's models
# published it): pixels of 0..255 go in here, its pooled features come out.
_INPUT, _FEATURES = "ExpandDims:0", "pool_3:0"


def vgg16_features(vgg16: Vgg16) -> Network:
    """Returns relu5_3, averaged over the image, as a function of images.

    Returns:
        uint8 [N, H, W, 3] to float32 [N, 512].
    """

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
        autograph=False,
    )
    def features(images: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(vgg16(tf.cast(images, tf.float32)), [1, 2])

    return lambda images: features(tf.constant(images)).numpy()


def inception_features(path: str) -> Network:
    """Returns a user's Inception as a function of images.

    Args:
        path: `*.pb`, the frozen graph that FID is defined by; or the directory
            of a SavedModel that takes one image input, [N, H, W, 3] of 0..255,
            and returns one output, [N, d].

    Returns:
        uint8 [N, H, W, 3] to float32 [N, d].

    Raises:
        UserError: there is no such file, or it is another network.
    """
    where = f"--inception={path}"
    if os.path.isdir(path):
        run = _saved_model(path, where)
    elif os.path.isfile(path):
        run = _frozen_graph(path, where)
    else:
        raise UserError(
            f"{where}: expected the frozen graph of Inception or a SavedModel, "
            "found none; nothing is downloaded"
        )

    def features(images: np.ndarray) -> np.ndarray:
        found = np.asarray(run(images), np.float32)
        if found.ndim != 2 or len(found) != len(images):
            raise UserError(
                f"{where}: expected features [N, d] of {len(images)} images, "
                f"found {list(found.shape)}"
            )
        return found

    return features


def _saved_model(path: str, where: str) -> Callable[[np.ndarray], np.ndarray]:
    model = saved_models.load(path)
    signatures = list(model.signatures.values())
    if len(signatures) != 1:
        raise UserError(
            f"{where}: expected a SavedModel of one signature, found "
            f"{len(signatures)}"
        )
    signature = signatures[0]
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1 or len(signature.structured_outputs) != 1:
        raise UserError(
            f"{where}: expected one input and one output, found "
            f"{sorted(inputs)} and {sorted(signature.structured_outputs)}"
        )
    ((name, spec),) = inputs.items()

    def run(images: np.ndarray, keep: object = model) -> np.ndarray:
        pixels = tf.cast(tf.constant(images), spec.dtype)
        (output,) = signature(**{name: pixels}).values()
        return output.numpy()

    return run


def _frozen_graph(path: str, where: str) -> Callable[[np.ndarray], np.ndarray]:
    graph = tf.compat.v1.GraphDef()
    try:
        with open(path, "rb") as file:
            graph.ParseFromString(file.read())
        wrapped = tf.compat.v1.wrap_function(
            lambda: tf.graph_util.import_graph_def(graph, name=""), []
        )
        run = wrapped.prune(_INPUT, _FEATURES)
    except Exception as error:  # protobuf's, TensorFlow's, by what is broken
        raise DataError(
            f"{where}: expected a frozen graph with {_INPUT} and {_FEATURES}, "
            "found another or a damaged file"
        ) from error
    dtype = run.inputs[0].dtype

    def features(images: np.ndarray) -> np.ndarray:
        # The published graph takes one image at a time.
        rows = [
            run(tf.cast(tf.constant(image[np.newaxis]), dtype)).numpy()
            for image in images
        ]
        return np.concatenate(rows).reshape(len(images), -1)

    return features
