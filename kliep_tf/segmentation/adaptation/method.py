"""What an adaptation method is, for the program and the training run.

A method trains a segmenter on labelled source images and unlabelled target
images at once. It is one file here and one line of the registry, `methods`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import keras
import tensorflow as tf

from kliep_tf.data.pipeline import LabelledUnpairedBatch
from kliep_tf.segmentation.optimizers import (
    GradientRule,
    OptimizerSettings,
    make_optimizer,
)

# One replica's share of a batch -> scalars of the global batch.
Step = Callable[[LabelledUnpairedBatch], Mapping[str, tf.Tensor]]


@dataclasses.dataclass(frozen=True)
class Setup:
    """What the program decides about a training, whatever the method.

    Attributes:
        network_name: in NETWORKS.
        num_classes: of the labels.
        ignore_label: of the labels.
        global_batch_size: images of each domain in a step, on all replicas.
        optimizer: of the segmenter.
        dtype: Keras dtype policy of the networks.
        seed: of initial weights and draws.
        least_side: smallest height or width of a training image.
        sees_parts: images are cropped or mirrored at random.
    """

    network_name: str
    num_classes: int
    ignore_label: int
    global_batch_size: int
    optimizer: OptimizerSettings
    dtype: str = "float32"
    seed: int = 0
    least_side: int = 1 << 30
    sees_parts: bool = False

    def mean(self, losses: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns this replica's part of a weighted mean over the global batch.

        The replicas' parts add up to sum_i weights_i losses_i / batch size.

        Args:
            losses: float32 [b], this replica's examples.
            weights: float32 [b].
        """
        return tf.reduce_sum(losses * weights) / float(self.global_batch_size)


class Adapter(Protocol):
    """What the training run asks of a method at work."""

    def train_step(
        self, batch: LabelledUnpairedBatch
    ) -> Mapping[str, tf.Tensor]:
        """Updates the networks on a global batch; returns its scalars."""

    def trackables(self) -> Mapping[str, Any]:
        """Returns, by name, all that a checkpoint must hold but the network."""

    def remark(self) -> str:
        """Returns what the user should know at the end, or ""."""


@dataclasses.dataclass(frozen=True)
class Method:
    """An adaptation method.

    Attributes:
        settings: its frozen dataclass of `cli.flag` fields, all with defaults.
        check: takes settings and a Setup; raises a UserError where they do not
            fit.
        build: takes the segmenter, settings, a Setup, and a function that runs
            a replica's step on all replicas, compiled. Called under the
            strategy's scope.
        files: takes settings; returns the files that they name, for
            fingerprints.
        descriptions: what each of its scalars is, by tag; see
            `kliep_tf.training.scalars`.
    """

    settings: type
    check: Callable[[Any, Setup], None]
    build: Callable[[keras.Model, Any, Setup, Callable[[Step], Step]], Adapter]
    files: Callable[[Any], list[str]]
    descriptions: Mapping[str, str]


class SegmenterOptimizer:
    """The optimizer of a segmenter, with its weight decay and faster head."""

    def __init__(self, network: keras.Model, settings: OptimizerSettings):
        """Builds the optimizer of all trainable variables of `network`."""
        self.variables = network.trainable_variables
        self.keras_optimizer = make_optimizer(network, settings)
        self._rule = GradientRule(network, settings)

    @property
    def learning_rate(self) -> tf.Tensor:
        """The rate of the next step."""
        return tf.identity(self.keras_optimizer.learning_rate)

    def apply(self, gradients: list[tf.Tensor]) -> None:
        """Takes a step; `gradients` are of the replica's part of a loss."""
        changed = self._rule(gradients)
        self.keras_optimizer.apply_gradients(
            zip(changed, self.variables, strict=True)
        )


def log_loss(logits: tf.Tensor, called: bool) -> tf.Tensor:
    """Returns float32 [B]: the log loss of a domain classifier.

    -log d where the image should be called source, -log(1 - d) where target,
    d = sigmoid(logits); the mean over positions.

    Args:
        logits: [B, h, w, 1], of the source.
        called: whether the image should be called source.
    """
    logits = tf.cast(logits, tf.float32)
    losses = tf.nn.softplus(-logits if called else logits)
    return tf.reduce_mean(losses, [1, 2, 3])


def classifier_input(network: keras.Model) -> tf.Tensor:
    """Returns the symbolic input of the network's last convolution."""
    layers = [x for x in network.layers if isinstance(x, keras.layers.Conv2D)]
    return layers[-1].input


def accuracy(logits: tf.Tensor, is_source: bool) -> tf.Tensor:
    """Returns float32 [B]: the share of positions judged rightly."""
    right = (logits > 0) if is_source else (logits <= 0)
    return tf.reduce_mean(tf.cast(right, tf.float32), [1, 2, 3])
