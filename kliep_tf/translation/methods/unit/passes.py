"""The forward passes of a training step, each shared by several losses."""

import enum
from typing import NamedTuple

import keras
import tensorflow as tf

from kliep_tf.data.pipeline import UnpairedBatch
from kliep_tf.translation.methods.unit.autoencoders import Autoencoders, Code
from kliep_tf.translation.methods.unit.objectives import (
    Judgement,
    Translations,
)


class Pass(enum.IntEnum):
    """A step's random passes over both domains' images."""

    DISCRIMINATORS = 0  # there, for the discriminators' update
    THERE = 1  # there, for the generators' update
    BACK = 2


class Seeds(NamedTuple):
    """Of one random pass over both domains' images, int32 [b, 2] each."""

    source: tf.Tensor
    target: tf.Tensor

    @property
    def both(self) -> tf.Tensor:
        """Of the source's images, then of the target's."""
        return tf.concat([self.source, self.target], 0)


def translate(
    networks: Autoencoders, batch: UnpairedBatch, seeds: Seeds
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the source's translations and the target's, and no more."""
    of_source = networks.encode("source", batch.source, seeds.source)
    of_target = networks.encode("target", batch.target, seeds.target)
    return (
        networks.decode("target", of_source.decoded, seeds.source),
        networks.decode("source", of_target.decoded, seeds.target),
    )


def there_and_back(
    networks: Autoencoders,
    batch: UnpairedBatch,
    seeds: Seeds,
    back_seeds: Seeds,
) -> tuple[Translations, Translations]:
    """Returns all that becomes of the source's images, and the target's.

    An image and its translation are decoded from the same noisy code. Each
    decoder sees both domains' codes in one pass: instance normalisation keeps
    examples apart.

    Args:
        networks: the autoencoders.
        batch: images of both domains.
        seeds: of the way there.
        back_seeds: of the way back.
    """
    of_source = networks.encode("source", batch.source, seeds.source)
    of_target = networks.encode("target", batch.target, seeds.target)
    as_target, as_source = (
        tf.split(_decode_both(networks, domain, of_source, of_target, seeds), 2)
        for domain in ("target", "source")
    )
    from_source = networks.encode("target", as_target[0], back_seeds.source)
    from_target = networks.encode("source", as_source[1], back_seeds.target)
    return (
        Translations(
            reconstructed=as_source[0],
            translated=as_target[0],
            cycled=networks.decode(
                "source", from_source.decoded, back_seeds.source
            ),
            latent=of_source.latent,
            cycle_latent=from_source.latent,
        ),
        Translations(
            reconstructed=as_target[1],
            translated=as_source[1],
            cycled=networks.decode(
                "target", from_target.decoded, back_seeds.target
            ),
            latent=of_target.latent,
            cycle_latent=from_target.latent,
        ),
    )


def logits_of(discriminator: keras.Model, images: tf.Tensor) -> list[tf.Tensor]:
    """Returns a discriminator's logits, a scale each.

    Keras hands out a list of one output as that output.
    """
    logits = discriminator(images)
    return list(logits) if isinstance(logits, list | tuple) else [logits]


def judge(
    discriminator: keras.Model,
    real: tuple[tf.Tensor, tf.Tensor],
    fake: tuple[tf.Tensor, tf.Tensor],
) -> Judgement:
    """Shows a discriminator weighted real images and fakes in one pass.

    Args:
        discriminator: of one domain.
        real: images [b, H, W, 3] and weights [b].
        fake: likewise.
    """
    (real_images, real_weight), (fake_images, fake_weight) = real, fake
    logits = logits_of(discriminator, tf.concat([real_images, fake_images], 0))
    halves = [tf.split(scale, 2) for scale in logits]
    return Judgement(
        [real_logits for real_logits, _ in halves],
        real_weight,
        [fake_logits for _, fake_logits in halves],
        fake_weight,
    )


def _decode_both(
    networks: Autoencoders,
    domain: str,
    of_source: Code,
    of_target: Code,
    seeds: Seeds,
) -> tf.Tensor:
    codes = tf.concat([of_source.decoded, of_target.decoded], 0)
    return networks.decode(domain, codes, seeds.both)
