"""The forward passes of a training step, each shared by several losses."""

import contextlib

import keras
import tensorflow as tf

from kliep_tf.data.pipeline import UnpairedBatch
from kliep_tf.translation.method import Generator
from kliep_tf.translation.methods.cyclegan.objectives import (
    Judgement,
    Translations,
)
from kliep_tf.translation.methods.cyclegan.settings import CycleGANSettings
from kliep_tf.translation.networks import rematerialize
from kliep_tf.translation.winograd import kernels_transformed_once


class GeneratorPasses:
    """What both generators make of a batch, there and back."""

    def __init__(
        self,
        source_to_target: keras.Model,
        target_to_source: keras.Model,
        settings: CycleGANSettings,
    ):
        """Takes the generators, whose weights the passes share.

        Args:
            source_to_target: a generator.
            target_to_source: a generator.
            settings: whether there are identity losses, and whether
                activations are computed again for the gradient.
        """
        self._generators = (source_to_target, target_to_source)
        self._with_identity = settings.identity_weight != 0
        self._rematerialized = settings.rematerialize
        self._to_target, self._to_source = self._generators
        if self._rematerialized:
            self._to_target, self._to_source = map(
                rematerialize, self._generators
            )

    def __call__(self, batch: UnpairedBatch) -> Translations:
        """Returns every translation of this replica's share of a batch."""
        with self._kernels_transformed():
            fake_target, identity_target = self._fake_and_identity(
                self._to_target, batch.source, batch.target
            )
            fake_source, identity_source = self._fake_and_identity(
                self._to_source, batch.target, batch.source
            )
            return Translations(
                fake_target=fake_target,
                fake_source=fake_source,
                cycled_source=self._to_source(fake_target),
                cycled_target=self._to_target(fake_source),
                identity_source=identity_source,
                identity_target=identity_target,
            )

    def _kernels_transformed(self) -> contextlib.AbstractContextManager:
        # A recomputed part would not pass gradients to what it did not make.
        if self._rematerialized:
            return contextlib.nullcontext()
        return kernels_transformed_once(*self._generators)

    def _fake_and_identity(
        self, generator: Generator, images: tf.Tensor, others: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns the fakes of `images` and, for the identity, of `others`.

        One pass over both: instance normalisation keeps examples apart.
        """
        if not self._with_identity:
            return generator(images), None
        return tf.split(generator(tf.concat([images, others], 0)), 2)


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
    logits = discriminator(tf.concat([real_images, fake_images], 0))
    real_logits, fake_logits = tf.split(logits, 2)
    return Judgement(real_logits, real_weight, fake_logits, fake_weight)
