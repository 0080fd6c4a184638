"""The weighted CycleGAN's losses (eq. 12), one value per example.

Every function here returns float32 [B] for a batch of B examples. Nothing is
averaged over examples before it is weighted; `global_mean` is the one place
that reduces.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class AdversarialLoss(NamedTuple):
    """How logits [B, H', W', 1] are judged.

    Attributes:
        real: logits of a real image, to be called real by the discriminator.
        fake: logits of a fake image, to be called fake by the discriminator.
        generator: logits of a fake image that its generator wants called real.
        boundary: the logit above which an image counts as called real.
    """

    real: Callable[[tf.Tensor], tf.Tensor]
    fake: Callable[[tf.Tensor], tf.Tensor]
    generator: Callable[[tf.Tensor], tf.Tensor]
    boundary: float


def global_mean(
    losses: tf.Tensor, weights: tf.Tensor, global_batch_size: int
) -> tf.Tensor:
    """Returns this replica's part of the weighted mean over the global batch.

    The replicas' parts add up to sum_i weights_i losses_i / global_batch_size.
    Weights have mean 1 over the dataset, not over the batch, and stay so.

    Args:
        losses: float32 [b], this replica's examples.
        weights: float32 [b].
        global_batch_size: the examples of all replicas.
    """
    return tf.reduce_sum(losses * weights) / float(global_batch_size)


def mean_absolute(images: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Returns |images - others|_1 per pixel and channel, as [B]."""
    return per_example(tf.abs(images - others))


def per_example(values: tf.Tensor) -> tf.Tensor:
    """Returns the mean [B] of each example's values [B, H, W, C]."""
    return tf.reduce_mean(values, axis=[1, 2, 3])


def _squared_from(value: float) -> Callable[[tf.Tensor], tf.Tensor]:
    return lambda logits: per_example(tf.square(logits - value))


def _minus_log_real(logits: tf.Tensor) -> tf.Tensor:
    """-log d, d = sigmoid(logits)."""
    return per_example(tf.nn.softplus(-logits))


def _minus_log_fake(logits: tf.Tensor) -> tf.Tensor:
    """-log(1 - d)."""
    return per_example(tf.nn.softplus(logits))


def _short_of_real(logits: tf.Tensor) -> tf.Tensor:
    """max(0, 1 - logit)."""
    return per_example(tf.nn.relu(1.0 - logits))


def _short_of_fake(logits: tf.Tensor) -> tf.Tensor:
    """max(0, 1 + logit)."""
    return per_example(tf.nn.relu(1.0 + logits))


ADVERSARIAL_LOSSES = {
    # Mao et al. 2017, as CycleGAN uses it: real is 1 and fake is 0.
    "lsgan": AdversarialLoss(
        real=_squared_from(1.0),
        fake=_squared_from(0.0),
        generator=_squared_from(1.0),
        boundary=0.5,
    ),
    # Eq. 12 as written; the generator's half is the non-saturating form.
    "bce": AdversarialLoss(
        real=_minus_log_real,
        fake=_minus_log_fake,
        generator=_minus_log_real,
        boundary=0.0,
    ),
    # Lim & Ye 2017; Miyato et al. 2018, eq. 17. The generator's term has no
    # margin and no lower bound.
    "hinge": AdversarialLoss(
        real=_short_of_real,
        fake=_short_of_fake,
        generator=lambda logits: -per_example(logits),
        boundary=0.0,
    ),
}
