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
    global_mean,
    mean_absolute,
    per_example,
)


class Translations(NamedTuple):
    """What the generators make of a batch: float32 [b, H, W, 3].

    `fake_target` and `cycled_source` come from the source, `fake_source` and
    `cycled_target` from the target. `same_source` is the source through the
    generator of sources, and so on; None where there is no identity loss.
    """

    fake_target: tf.Tensor
    fake_source: tf.Tensor
    cycled_source: tf.Tensor
    cycled_target: tf.Tensor
    same_source: tf.Tensor | None = None
    same_target: tf.Tensor | None = None


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
        adversarial_loss: a name in ADVERSARIAL_LOSSES.
        cycle_weight: of the cycle losses, both ways.
        identity_weight: of the identity losses, as a factor of the cycle
            weight.
        global_batch_size: images of each domain in a step, on all replicas.
    """

    adversarial_loss: str
    cycle_weight: float
    identity_weight: float
    global_batch_size: int

    def generator_losses(
        self,
        batch: UnpairedBatch,
        made: Translations,
        target_logits: tf.Tensor,
        source_logits: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Returns every term of both generators.

        Args:
            batch: real images and their weights.
            made: what the generators made of them.
            target_logits: the target discriminator's of `made.fake_target`.
            source_logits: the source discriminator's of `made.fake_source`.
        """
        adversarial = ADVERSARIAL_LOSSES[self.adversarial_loss].generator
        w, psi = batch.source_weight, batch.target_weight
        cycle = self.cycle_weight
        terms = {
            "generator/source_to_target": self._mean(
                adversarial(target_logits), w
            ),
            "generator/target_to_source": self._mean(
                adversarial(source_logits), psi
            ),
            "cycle/source": cycle
            * self._distance(made.cycled_source, batch.source, w),
            "cycle/target": cycle
            * self._distance(made.cycled_target, batch.target, psi),
        }
        if made.same_source is not None:
            identity = cycle * self.identity_weight
            terms["identity/source"] = identity * self._distance(
                made.same_source, batch.source, w
            )
            terms["identity/target"] = identity * self._distance(
                made.same_target, batch.target, psi
            )
        return terms

    def discriminator_loss(self, judgement: Judgement) -> tf.Tensor:
        """Returns half of eq. 12's two terms: the authors' code halves them."""
        loss = ADVERSARIAL_LOSSES[self.adversarial_loss]
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
        boundary = ADVERSARIAL_LOSSES[self.adversarial_loss].boundary
        real = tf.cast(judgement.real_logits > boundary, tf.float32)
        fake = tf.cast(judgement.fake_logits < boundary, tf.float32)
        right = 0.5 * (per_example(real) + per_example(fake))
        return self._mean(right, tf.ones_like(right))

    def _distance(
        self, images: tf.Tensor, originals: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        return self._mean(mean_absolute(images, originals), weights)

    def _mean(self, values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        return global_mean(values, weights, self.global_batch_size)
