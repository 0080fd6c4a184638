"""ADDA on a segmenter's logits: the feature-level stage of CyCADA.

Tzeng et al., "Adversarial Discriminative Domain Adaptation", CVPR 2017, as
Hoffman et al., "CyCADA: Cycle-Consistent Adversarial Domain Adaptation", ICML
2018, use it: after a segmenter has learned from translated source images, a
discriminator of its logits pulls the target's towards the source's.

Each term is weighted by its image's importance; weights of 1 give the published
method. docs/methods/adda.md says what differs from the publication.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from kliep_tf import flag_fields
from kliep_tf.data.pipeline import LabelledUnpairedBatch
from kliep_tf.segmentation.adaptation.method import (
    Method,
    SegmenterOptimizer,
    Setup,
    Step,
)
from kliep_tf.segmentation.layers import CountedDropout, LayerFactory
from kliep_tf.segmentation.train_step import cross_entropy, pixel_accuracies
from kliep_tf.training.distribution import all_reduce_sum

_TARGET, _SOURCE = 0, 1  # the discriminator's two classes
_WINDOW = 100  # steps


@dataclasses.dataclass(frozen=True, kw_only=True)
class AddaSettings:
    """The flags of --method=adda."""

    adversarial_weight: float = flag_fields.flag(
        "Weight of the segmenter's adversarial step on target images.",
        default=0.1,
        minimum=0,
    )
    least_accuracy: float = flag_fields.flag(
        "The segmenter learns only while the discriminator's mean accuracy "
        "over the last 100 steps is above this.",
        default=0.6,
        minimum=0,
        below=1,
    )
    discriminator_learning_rate: float = flag_fields.flag(
        "SGD's rate for the discriminator; it has the segmenter's --momentum, "
        "--weight_decay and --schedule.",
        default=1e-5,
        above=0,
    )
    discriminator_filters: int = flag_fields.flag(
        "Filters of the discriminator's first convolution; the second has half "
        "of them.",
        default=512,
        minimum=2,
    )
    discriminator_dropout: float = flag_fields.flag(
        "Share of the discriminator's channels that are dropped in training.",
        default=0.5,
        minimum=0,
        below=1,
    )


def logit_discriminator(
    num_classes: int,
    filters: int,
    dropout: float,
    seed: int,
    dtype: str = "float32",
) -> keras.Model:
    """Returns the 1x1 discriminator of logits, which judges every pixel.

    142,082 parameters at 19 classes and 512 filters. Its two outputs are the
    logits of target and source.

    Args:
        num_classes: channels of the segmenter's logits.
        filters: of the first convolution.
        dropout: share of whole channels dropped before each ReLU.
        seed: of the initial weights and the dropout.
        dtype: a Keras dtype policy.
    """
    make = LayerFactory(seed, dtype)
    logits = keras.Input((None, None, num_classes), dtype="float32")
    x = logits
    for width in (filters, filters // 2):
        x = make.convolve(x, width, 1, use_bias=True)
        x = CountedDropout(
            dropout, make.next_seed(), whole_channels=True, dtype=dtype
        )(x)
        x = make.relu(x)
    domains = make.convolve(x, 2, 1, use_bias=True)
    return keras.Model(logits, domains, name="logit_discriminator")


class Adda:
    """Segmenter and discriminator at work."""

    def __init__(
        self,
        network: keras.Model,
        settings: AddaSettings,
        setup: Setup,
        replicate: Callable[[Step], Step],
    ):
        """Builds the discriminator and both optimizers."""
        self._network, self._settings, self._setup = network, settings, setup
        self._discriminator = logit_discriminator(
            setup.num_classes,
            settings.discriminator_filters,
            settings.discriminator_dropout,
            setup.seed + 1,
            setup.dtype,
        )
        # It takes two steps in each of the training's, and a schedule counts
        # the optimizer's own.
        self._optimizer = SegmenterOptimizer(
            network,
            dataclasses.replace(
                setup.optimizer, num_steps=2 * setup.optimizer.num_steps
            ),
        )
        self._discriminator_optimizer = SegmenterOptimizer(
            self._discriminator,
            dataclasses.replace(
                setup.optimizer,
                optimizer="sgd",
                learning_rate=settings.discriminator_learning_rate,
                head_learning_rate_factor=1.0,
            ),
        )
        self._update_discriminator = replicate(self._discriminator_step)
        self._update_segmenter = replicate(self._segmenter_step)
        # What decides whether the segmenter learns is kept outside of the
        # graph: an optimizer cannot take its step in a branch of one.
        self._accuracies = tf.Variable(tf.zeros([_WINDOW]), trainable=False)
        self._steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._segmenter_steps = tf.Variable(0, dtype=tf.int64, trainable=False)

    def train_step(
        self, batch: LabelledUnpairedBatch
    ) -> Mapping[str, tf.Tensor]:
        """Updates the discriminator and, if it is able, the segmenter."""
        scalars = dict(self._update_discriminator(batch))
        accuracy = self._mean_accuracy(scalars["accuracy/discriminator"])
        scalars["adda/segmenter_learns"] = tf.constant(0.0)
        if accuracy > self._settings.least_accuracy:
            scalars |= self._update_segmenter(batch)
            scalars["adda/segmenter_learns"] = tf.constant(1.0)
            self._segmenter_steps.assign_add(1)
        return scalars

    def trackables(self) -> Mapping[str, Any]:
        """Returns all that a checkpoint must hold but the network."""
        return {
            "discriminator": self._discriminator,
            "optimizer": self._optimizer.keras_optimizer,
            "discriminator_optimizer": (
                self._discriminator_optimizer.keras_optimizer
            ),
            "accuracies": self._accuracies,
            "steps": self._steps,
            "segmenter_steps": self._segmenter_steps,
        }

    def remark(self) -> str:
        """Returns how often the segmenter was adapted, if hardly ever."""
        steps, taken = int(self._steps.numpy()), self._segmenter_steps.numpy()
        if taken > 0.01 * steps:
            return ""
        return (
            f"the segmenter was adapted in {taken} of {steps} steps: the "
            "discriminator's accuracy was not above --least_accuracy="
            f"{self._settings.least_accuracy:g} otherwise, as users of the "
            "published code report too; a larger --discriminator_learning_rate "
            "may help. Batch normalisation followed both domains' images in "
            "every step"
        )

    def _mean_accuracy(self, newest: tf.Tensor) -> float:
        """Returns the mean over the last steps, the newest among them."""
        step = int(self._steps.numpy())
        values = self._accuracies.numpy()
        values[step % _WINDOW] = float(newest)
        self._accuracies.assign(values)
        self._steps.assign_add(1)
        return float(values[: step + 1].mean())

    def _discriminator_step(
        self, batch: LabelledUnpairedBatch
    ) -> Mapping[str, tf.Tensor]:
        source = self._network(batch.source, training=True)
        target = self._network(batch.target, training=True)
        rate = self._discriminator_optimizer.learning_rate
        with tf.GradientTape() as tape:
            on_source = self._judge(source)
            on_target = self._judge(target)
            loss = self._setup.mean(
                domain_loss(on_source, _SOURCE), batch.source_weight
            ) + self._setup.mean(
                domain_loss(on_target, _TARGET), batch.target_weight
            )
        variables = self._discriminator_optimizer.variables
        self._discriminator_optimizer.apply(tape.gradient(loss, variables))
        right = _accuracy(on_source, _SOURCE) + _accuracy(on_target, _TARGET)
        even = tf.ones_like(batch.source_weight)
        scalars = {
            "discriminator": loss,
            "accuracy/discriminator": 0.5 * self._setup.mean(right, even),
        }
        return {
            **all_reduce_sum(scalars),
            "learning_rate/discriminator": rate,
        }

    def _segmenter_step(
        self, batch: LabelledUnpairedBatch
    ) -> Mapping[str, tf.Tensor]:
        """Takes one step on target images, then one on source labels."""
        rate = self._optimizer.learning_rate
        with tf.GradientTape() as tape:
            logits = self._network(batch.target, training=True)
            fooled = self._setup.mean(
                domain_loss(self._judge(logits), _SOURCE), batch.target_weight
            )
            loss = self._settings.adversarial_weight * fooled
        variables = self._optimizer.variables
        self._optimizer.apply(tape.gradient(loss, variables))
        label, ignore_label = batch.source_label, self._setup.ignore_label
        with tf.GradientTape() as tape:
            logits = self._network(batch.source, training=True)
            entropy = self._setup.mean(
                cross_entropy(label, logits, ignore_label),
                batch.source_weight,
            )
        self._optimizer.apply(tape.gradient(entropy, variables))
        even = tf.ones_like(batch.source_weight)
        right = pixel_accuracies(label, logits, ignore_label)
        scalars = {
            "adversarial": fooled,
            "loss": entropy,
            "pixel_accuracy": self._setup.mean(right, even),
        }
        return {**all_reduce_sum(scalars), "learning_rate": rate}

    def _judge(self, logits: tf.Tensor) -> tf.Tensor:
        domains = self._discriminator(logits, training=True)
        return tf.cast(domains, tf.float32)


def domain_loss(domains: tf.Tensor, domain: int) -> tf.Tensor:
    """Returns float32 [B]: the mean cross-entropy over pixels.

    Args:
        domains: the discriminator's logits, [B, H, W, 2].
        domain: the class that every pixel should be judged as.
    """
    labels = tf.fill(tf.shape(domains)[:3], domain)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, domains)
    return tf.reduce_mean(losses, [1, 2])


def _accuracy(domains: tf.Tensor, domain: int) -> tf.Tensor:
    judged = tf.argmax(domains, -1, output_type=tf.int32)
    return tf.reduce_mean(tf.cast(judged == domain, tf.float32), [1, 2])


METHOD = Method(
    settings=AddaSettings,
    check=lambda settings, setup: None,
    build=Adda,
    files=lambda settings: [],
    descriptions={
        "adversarial": (
            "cross-entropy of target pixels that should be taken for the "
            "source's, times importance; lower is better, for a fixed "
            "discriminator."
        ),
        "discriminator": (
            "sum of the discriminator's cross-entropies of both domains, times "
            "importance; 1.39 where it cannot tell the domains."
        ),
        "accuracy/": (
            "share (0 to 1) of pixels whose domain the discriminator judges "
            "rightly; 0.5 where it cannot tell the domains."
        ),
        "adda/segmenter_learns": (
            "share (0 to 1) of the steps in which the segmenter learned; at 0 "
            "it is not adapted at all."
        ),
        "learning_rate/discriminator": (
            "learning rate of the discriminator; neither higher nor lower is "
            "better."
        ),
    },
)
