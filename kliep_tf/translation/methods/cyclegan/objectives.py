"""What generators and discriminators minimise: eq. 12, term by term.

Functions of images and logits alone. Each figure is this replica's part of a
mean over the global batch: the replicas' parts add up to it.
"""

import dataclasses
from typing import NamedTuple

import tensorflow as tf

from kliep_tf.data.pipeline import UnpairedBatch
from kliep_tf.translation.losses import (
    ADVERSARIAL_LOSSES,
    AdversarialLoss,
    global_mean,
    mean_absolute,
    per_example,
)
from kliep_tf.translation.methods.cyclegan.settings import CycleGANSettings


class Translations(NamedTuple):
    """What the generators make of a batch: float32 [b, H, W, 3].

    `fake_target` and `cycled_source` come from the source, `fake_source` and
    `cycled_target` from the target. `identity_source` is the source through the
    generator of source images, and so on; None without an identity loss.
    """

    fake_target: tf.Tensor
    fake_source: tf.Tensor
    cycled_source: tf.Tensor
    cycled_target: tf.Tensor
    identity_source: tf.Tensor | None = None
    identity_target: tf.Tensor | None = None


class Judgement(NamedTuple):
    """What one discriminator says of real images and of fakes."""

    real_logits: tf.Tensor  # float32 [b, H', W', 1]
    real_weight: tf.Tensor  # float32 [b]
    fake_logits: tf.Tensor  # float32 [b, H', W', 1]
    fake_weight: tf.Tensor  # float32 [b], of what the fakes were made from


@dataclasses.dataclass(frozen=True)
class Objectives:
    """The terms and their weights.

    Attributes:
        settings: which adversarial loss, and the terms' weights.
        global_batch_size: images of each domain in a step, on all replicas.
    """

    settings: CycleGANSettings
    global_batch_size: int

    def generator_losses(
        self,
        batch: UnpairedBatch,
        translations: Translations,
        target_logits: tf.Tensor,
        source_logits: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Returns every term of both generators.

        Args:
            batch: real images and their weights.
            translations: what the generators made of them.
            target_logits: what the target discriminator says of the fake target
                images.
            source_logits: likewise of the fake source images.
        """
        adversarial = self._adversarial.generator
        w, psi = batch.source_weight, batch.target_weight
        cycle = self.settings.cycle_weight
        terms = {
            "generator/source_to_target": self._mean(
                adversarial(target_logits), w
            ),
            "generator/target_to_source": self._mean(
                adversarial(source_logits), psi
            ),
            "cycle/source": cycle
            * self._distance(translations.cycled_source, batch.source, w),
            "cycle/target": cycle
            * self._distance(translations.cycled_target, batch.target, psi),
        }
        if translations.identity_source is not None:
            identity = cycle * self.settings.identity_weight
            terms["identity/source"] = identity * self._distance(
                translations.identity_source, batch.source, w
            )
            terms["identity/target"] = identity * self._distance(
                translations.identity_target, batch.target, psi
            )
        return terms

    def discriminator_loss(self, judgement: Judgement) -> tf.Tensor:
        """Returns half of eq. 12's two terms: the authors' code halves them."""
        loss = self._adversarial
        real = loss.real(judgement.real_logits)
        fake = loss.fake(judgement.fake_logits)
        return 0.5 * (
            self._mean(real, judgement.real_weight)
            + self._mean(fake, judgement.fake_weight)
        )

    def discriminator_accuracy(self, judgement: Judgement) -> tf.Tensor:
        """Returns the share of patches that are judged rightly, unweighted.

        1 is a discriminator that tells the domains apart, 0.5 one that cannot.
        """
        boundary = self._adversarial.boundary
        real = tf.cast(judgement.real_logits > boundary, tf.float32)
        fake = tf.cast(judgement.fake_logits < boundary, tf.float32)
        right = 0.5 * (per_example(real) + per_example(fake))
        return self._mean(right, tf.ones_like(right))

    @property
    def _adversarial(self) -> AdversarialLoss:
        return ADVERSARIAL_LOSSES[self.settings.adversarial_loss]

    def _distance(
        self, images: tf.Tensor, originals: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        return self._mean(mean_absolute(images, originals), weights)

    def _mean(self, values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        return global_mean(values, weights, self.global_batch_size)
