"""What ROAD is made of: features, cells, their classifiers, and a distance.

Chen, Li and Van Gool, CVPR 2018; what the publication leaves open stands in
road.py.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from kliep_tf.segmentation.adaptation.method import classifier_input
from kliep_tf.segmentation.layers import LayerFactory
from kliep_tf.segmentation.optimizers import backbone_of
from kliep_tf.training.keras_compat import outputs_where_called

GRID = 3  # cells a side
# Below this squared distance the gradient of the distance is taken for 0: at 0
# it does not exist.
_TINY = 1e-12


def last_features(network: keras.Model) -> tf.Tensor:
    """Returns the segmenter's last features, [N, h, w, C], symbolic.

    Those of its backbone, or what its last convolution reads where it has none.
    """
    backbone = backbone_of(network)
    if backbone is None:
        return classifier_input(network)
    return outputs_where_called(backbone)[-1]


def domain_classifiers(
    channels: int, filters: int, seed: int, dtype: str = "float32"
) -> keras.Model:
    """Returns one classifier a cell: lists of features to lists of logits.

    A logit is that of "source", [N, h, w, 1].

    Args:
        channels: of the features.
        filters: between the two convolutions of a classifier.
        seed: of the initial weights.
        dtype: a Keras dtype policy.
    """
    make = LayerFactory(seed, dtype)
    inputs, outputs = [], []
    for _ in range(GRID**2):
        cell = keras.Input((None, None, channels), dtype=make_dtype(dtype))
        x = make.relu(make.convolve(cell, filters, 1, use_bias=True))
        inputs.append(cell)
        outputs.append(make.convolve(x, 1, 1, use_bias=True))
    return keras.Model(inputs, outputs, name="domain_classifiers")


def make_dtype(policy: str) -> str:
    """Returns what layers of a policy compute in."""
    return keras.DTypePolicy(policy).compute_dtype


def cells(features: tf.Tensor) -> list[tf.Tensor]:
    """Returns the features [B, h, w, C] of each cell of the grid, by rows.

    The cells' heights differ by one at most, and so do their widths.
    """
    height, width = tf.unstack(tf.shape(features)[1:3])
    return [
        features[
            :,
            row * height // GRID : (row + 1) * height // GRID,
            column * width // GRID : (column + 1) * width // GRID,
        ]
        for row in range(GRID)
        for column in range(GRID)
    ]


@tf.custom_gradient
def reverse_gradient(
    x: tf.Tensor,
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Returns x; its gradient is the one from above, negated."""
    return tf.identity(x), lambda gradient: -gradient


def distance(features: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Returns float32 [B]: the mean over places of the L2 distance.

    Args:
        features: [B, h, w, C].
        others: likewise.
    """
    difference = tf.cast(features, tf.float32) - tf.cast(others, tf.float32)
    squares = tf.reduce_sum(tf.square(difference), -1)
    return tf.reduce_mean(tf.sqrt(tf.maximum(squares, _TINY)), [1, 2])


def over_cells(
    logits: list[tf.Tensor], measure: Callable[[tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """Returns float32 [B]: the mean of a measure over the cells."""
    return tf.reduce_mean(tf.stack([measure(cell) for cell in logits]), 0)
