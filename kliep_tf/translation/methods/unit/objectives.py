"""What UNIT's networks minimise, term by term.

Functions of images, codes and logits alone. Each figure is this replica's part
of a mean over the global batch: the replicas' parts add up to it. What comes
from a source image carries its weight w^a, what comes from a target image
psi^b, as in eq. 12.
"""

import dataclasses
from collections.abc import Callable, Sequence
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
from kliep_tf.translation.methods.unit.settings import UNITSettings

# The authors' weights of 2017 are 10 (adversarial), 100, 100 and .1, those of
# 2018 are 1, 10, 10 and .01.
_FACTORS = {"2017": 10.0, "2018": 1.0}


class Translations(NamedTuple):
    """What the networks make of one domain's images, float32 [b, H, W, 3].

    Attributes:
        reconstructed: by encoder and decoder of the same domain.
        translated: to the other domain.
        cycled: the translation, translated back.
        latent: codes of the images, [b, h, w, C].
        cycle_latent: codes of the translations.
    """

    reconstructed: tf.Tensor
    translated: tf.Tensor
    cycled: tf.Tensor
    latent: tf.Tensor
    cycle_latent: tf.Tensor


class Judgement(NamedTuple):
    """What one discriminator says of real images and of fakes."""

    real_logits: Sequence[tf.Tensor]  # a scale each, float32 [b, H', W', 1]
    real_weight: tf.Tensor  # float32 [b]
    fake_logits: Sequence[tf.Tensor]
    fake_weight: tf.Tensor  # float32 [b], of what the fakes were made from


@dataclasses.dataclass(frozen=True)
class Objectives:
    """The terms and their weights.

    Attributes:
        settings: of the training.
        global_batch_size: images of each domain in a step, on all replicas.
    """

    settings: UNITSettings
    global_batch_size: int

    def generator_losses(
        self,
        batch: UnpairedBatch,
        of_source: Translations,
        of_target: Translations,
        target_logits: Sequence[tf.Tensor],
        source_logits: Sequence[tf.Tensor],
    ) -> dict[str, tf.Tensor]:
        """Returns every term but the perceptual ones.

        Args:
            batch: real images and their weights.
            of_source: what became of the source images.
            of_target: likewise.
            target_logits: what the target discriminator says of the source
                images' translations.
            source_logits: the other way round.
        """
        w, psi = batch.source_weight, batch.target_weight
        fools = self._adversarial.generator
        return {
            "generator/source_to_target": self._mean(
                _over_scales(fools, target_logits), w
            ),
            "generator/target_to_source": self._mean(
                _over_scales(fools, source_logits), psi
            ),
            **self._own_losses("source", batch.source, of_source, w),
            **self._own_losses("target", batch.target, of_target, psi),
        }

    def perceptual_loss(
        self, features: tf.Tensor, others: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        """Returns the term of translations and the images they come from.

        Args:
            features: float32 [b, h, w, C] of the translations, normalised.
            others: likewise of the images.
            weights: float32 [b] of the images.
        """
        distances = per_example(tf.square(features - others))
        return self.settings.perceptual_weight * self._mean(distances, weights)

    def discriminator_loss(self, judgement: Judgement) -> tf.Tensor:
        """Returns both terms, not halved: the authors' code does not."""
        loss = self._adversarial
        return self._mean(
            _over_scales(loss.real, judgement.real_logits),
            judgement.real_weight,
        ) + self._mean(
            _over_scales(loss.fake, judgement.fake_logits),
            judgement.fake_weight,
        )

    def discriminator_accuracy(self, judgement: Judgement) -> tf.Tensor:
        """Returns the share of patches that are judged rightly, unweighted.

        1 is a discriminator that tells the domains apart, 0.5 one that cannot.
        """
        boundary = self._adversarial.boundary

        def above(logits: tf.Tensor) -> tf.Tensor:
            return per_example(tf.cast(logits > boundary, tf.float32))

        def below(logits: tf.Tensor) -> tf.Tensor:
            return per_example(tf.cast(logits < boundary, tf.float32))

        right = _over_scales(above, judgement.real_logits)
        right += _over_scales(below, judgement.fake_logits)
        right /= 2.0 * len(judgement.real_logits)
        return global_mean(right, tf.ones_like(right), self.global_batch_size)

    @property
    def _adversarial(self) -> AdversarialLoss:
        return ADVERSARIAL_LOSSES[self.settings.loss_name]

    def _own_losses(
        self,
        domain: str,
        images: tf.Tensor,
        made: Translations,
        weights: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Returns the terms that need no discriminator."""
        settings = self.settings
        reconstruction = mean_absolute(made.reconstructed, images)
        cycle = mean_absolute(made.cycled, images)
        kl = kl_divergence(made.latent)
        cycle_kl = kl_divergence(made.cycle_latent)
        terms = {
            "reconstruction": (settings.reconstruction_weight, reconstruction),
            "cycle": (settings.cycle_weight, cycle),
            "kl": (settings.kl_weight, kl),
            "cycle_kl": (settings.kl_weight, cycle_kl),
        }
        return {
            f"{name}/{domain}": factor * self._mean(values, weights)
            for name, (factor, values) in terms.items()
        }

    def _mean(self, values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        factor = _FACTORS[self.settings.unit_form]
        return factor * global_mean(values, weights, self.global_batch_size)


def discriminator_unit(settings: UNITSettings) -> float:
    """Returns how many times CycleGAN's a discriminator's loss is.

    It is not halved, and is summed over scales.
    """
    factor = _FACTORS[settings.unit_form]
    return 2.0 * factor * settings.discriminator_scales


def kl_divergence(latent: tf.Tensor) -> tf.Tensor:
    """Returns the mean square [B] of each example's code.

    Up to a constant and a factor, the divergence of N(latent, 1) from N(0, 1).
    """
    return per_example(tf.square(latent))


def _over_scales(
    measure: Callable[[tf.Tensor], tf.Tensor], logits: Sequence[tf.Tensor]
) -> tf.Tensor:
    """Returns the sum [B] of what is measured at each scale."""
    return tf.add_n([measure(scale) for scale in logits])
