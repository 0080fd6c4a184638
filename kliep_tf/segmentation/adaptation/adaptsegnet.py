"""AdaptSegNet: adversarial adaptation in the space of the segmenter's output.

Tsai et al., "Learning to Adapt Structured Output Space for Semantic
Segmentation", CVPR 2018. A discriminator tells the class probabilities of
source images from those of target images; the segmenter learns to have its
target probabilities taken for the source's. With two levels a second classifier
stands on an earlier stage of the backbone and is adapted likewise.

Each term is weighted by its image's importance; weights of 1 give the published
method. docs/methods/adaptsegnet.md says what differs from the publication.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from kliep_tf import flag_fields
from kliep_tf.data.pipeline import LabelledUnpairedBatch
from kliep_tf.errors import UserError
from kliep_tf.segmentation.adaptation.adaptsegnet_networks import (
    network_of_levels,
    output_discriminator,
)
from kliep_tf.segmentation.adaptation.method import (
    Method,
    SegmenterOptimizer,
    Setup,
    Step,
    accuracy,
    log_loss,
)
from kliep_tf.segmentation.optimizers import (
    backbone_of,
    leaf_layers,
    learning_rate_of,
)
from kliep_tf.segmentation.train_step import cross_entropy, pixel_accuracies
from kliep_tf.training.distribution import all_reduce_sum

_LEAST_SIDE = 32  # five strides of 2
_LEVELS = ("output", "auxiliary")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdaptSegNetSettings:
    """The flags of --method=adaptsegnet."""

    levels: int = flag_fields.flag(
        "1 adapts the output; 2 also adapts an auxiliary classifier on the "
        "backbone's stage before the last.",
        default=1,
        minimum=1,
        maximum=2,
    )
    adversarial_weight: float = flag_fields.flag(
        "Weight of the adversarial loss of the output.",
        default=1e-3,
        minimum=0,
    )
    auxiliary_weight: float = flag_fields.flag(
        "Weight of the auxiliary classifier's cross-entropy; --levels=2.",
        default=0.1,
        minimum=0,
    )
    auxiliary_adversarial_weight: float = flag_fields.flag(
        "Weight of the auxiliary classifier's adversarial loss; --levels=2.",
        default=2e-4,
        minimum=0,
    )
    discriminator_learning_rate: float = flag_fields.flag(
        "Adam's rate for the discriminators; it follows --schedule.",
        default=1e-4,
        above=0,
        maximum=flag_fields.MAX_ADAM_RATE,
    )
    discriminator_filters: int = flag_fields.flag(
        "Filters of the discriminator's first convolution.",
        default=64,
        minimum=1,
    )
    freeze_affine: bool = flag_fields.flag(
        "Keep scale and offset of the backbone's batch normalisation; its "
        "statistics follow the images.",
        default=True,
    )


class AdaptSegNet:
    """Segmenter and discriminators at work."""

    def __init__(
        self,
        network: keras.Model,
        settings: AdaptSegNetSettings,
        setup: Setup,
        replicate: Callable[[Step], Step],
    ):
        """Builds discriminators and optimizers around the segmenter."""
        self._settings, self._setup = settings, setup
        if settings.freeze_affine:
            _freeze_affine(network)
        self._network = network_of_levels(network, setup, settings.levels)
        self._optimizer = SegmenterOptimizer(self._network, setup.optimizer)
        self._discriminators = [
            output_discriminator(
                setup.num_classes,
                settings.discriminator_filters,
                setup.seed + 2 + level,
                setup.dtype,
            )
            for level in range(settings.levels)
        ]
        rate = dataclasses.replace(
            setup.optimizer, learning_rate=settings.discriminator_learning_rate
        )
        self._discriminator_optimizer = keras.optimizers.Adam(
            learning_rate_of(rate), beta_1=0.9, beta_2=0.99, epsilon=1e-8
        )
        self._discriminator_optimizer.build(self._discriminator_variables())
        self.train_step = replicate(self._replica_step)

    def trackables(self) -> Mapping[str, Any]:
        """Returns all that a checkpoint must hold but the network."""
        return {
            "levels": self._network,
            "optimizer": self._optimizer.keras_optimizer,
            "discriminator_optimizer": self._discriminator_optimizer,
            **dict(zip(_LEVELS, self._discriminators, strict=False)),
        }

    def remark(self) -> str:
        """Returns nothing: there is no way to fail silently."""
        return ""

    def _replica_step(
        self, batch: LabelledUnpairedBatch
    ) -> Mapping[str, tf.Tensor]:
        """Updates segmenter and discriminators at once."""
        rates = {
            "learning_rate": self._optimizer.learning_rate,
            "learning_rate/discriminator": tf.identity(
                self._discriminator_optimizer.learning_rate
            ),
        }
        with tf.GradientTape(persistent=True) as tape:
            levels = self._losses(batch)
            segmenter_loss = sum(level.segmenter for level in levels)
            discriminator_loss = sum(level.discriminator for level in levels)
        variables = self._discriminator_variables()
        gradients = tape.gradient(segmenter_loss, self._optimizer.variables)
        own_gradients = tape.gradient(discriminator_loss, variables)
        del tape
        self._optimizer.apply(gradients)
        self._discriminator_optimizer.apply_gradients(
            zip(own_gradients, variables, strict=True)
        )
        scalars = {
            name: value for level in levels for name, value in level.scalars
        }
        return {**all_reduce_sum(scalars), **rates}

    def _losses(self, batch: LabelledUnpairedBatch) -> list["_Level"]:
        label, ignore_label = batch.source_label, self._setup.ignore_label
        source, target = (
            tf.nest.flatten(self._network(images, training=True))
            for images in (batch.source, batch.target)
        )
        mean_source = self._mean(batch.source_weight)
        mean_target = self._mean(batch.target_weight)
        even = self._mean(tf.ones_like(batch.source_weight))
        found = []
        for name, discriminator, weights, *logits in zip(
            _LEVELS,
            self._discriminators,
            self._weights(),
            source,
            target,
            strict=False,
        ):
            shares = [tf.nn.softmax(one) for one in logits]
            called_source = discriminator(tf.stop_gradient(shares[0]))
            called_target = discriminator(shares[1])
            entropy = mean_source(cross_entropy(label, logits[0], ignore_label))
            fooled = mean_target(log_loss(called_target, called=True))
            told = mean_source(log_loss(called_source, called=True))
            told += mean_target(log_loss(called_target, called=False))
            right = accuracy(called_source, is_source=True)
            right += accuracy(called_target, is_source=False)
            scalars = [
                (f"adversarial/{name}", fooled),
                (f"discriminator/{name}", 0.5 * told),
                (f"accuracy/{name}_discriminator", 0.5 * even(right)),
            ]
            if name == "output":
                hits = pixel_accuracies(label, logits[0], ignore_label)
                scalars += [("loss", entropy), ("pixel_accuracy", even(hits))]
            else:
                scalars.append(("loss/auxiliary", entropy))
            found.append(
                _Level(
                    weights.entropy * entropy + weights.adversarial * fooled,
                    0.5 * told,
                    scalars,
                )
            )
        return found

    def _weights(self) -> list["_Weights"]:
        settings = self._settings
        return [
            _Weights(1.0, settings.adversarial_weight),
            _Weights(
                settings.auxiliary_weight,
                settings.auxiliary_adversarial_weight,
            ),
        ]

    def _mean(self, weights: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
        return lambda losses: self._setup.mean(losses, weights)

    def _discriminator_variables(self) -> list[keras.Variable]:
        return [v for d in self._discriminators for v in d.trainable_variables]


class _Weights(NamedTuple):
    """Of one level's terms in the segmenter's loss."""

    entropy: float
    adversarial: float


class _Level(NamedTuple):
    """One level's losses, and its scalars by name."""

    segmenter: tf.Tensor
    discriminator: tf.Tensor
    scalars: list[tuple[str, tf.Tensor]]


def _freeze_affine(network: keras.Model) -> None:
    for layer in leaf_layers(backbone_of(network) or network):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.trainable = False
            layer.beta.trainable = False


def _check(settings: AdaptSegNetSettings, setup: Setup) -> None:
    if setup.least_side < _LEAST_SIDE:
        raise UserError(
            f"--method=adaptsegnet: expected images of {_LEAST_SIDE} rows and "
            f"columns or more, found {setup.least_side}"
        )


METHOD = Method(
    settings=AdaptSegNetSettings,
    check=_check,
    build=AdaptSegNet,
    files=lambda settings: [],
    descriptions={
        "loss/auxiliary": (
            "mean cross-entropy of a labelled source pixel under the auxiliary "
            "classifier in nats, images by their weights; lower is better."
        ),
        "adversarial/": (
            "log loss of target predictions that should be taken for the "
            "source's, times importance; lower is better, for a fixed "
            "discriminator."
        ),
        "discriminator/": (
            "half the discriminator's log losses of both domains, times "
            "importance; 0.69 where it cannot tell the domains."
        ),
        "accuracy/": (
            "share (0 to 1) of positions whose domain the discriminator judges "
            "rightly; 0.5 where it cannot tell the domains."
        ),
        "learning_rate/discriminator": (
            "learning rate of the discriminators; neither higher nor lower is "
            "better."
        ),
    },
)
