"""The toy's GANs, trained side by side: eq. 13 with several sets of weights.

Generator and discriminator are linear layers with SELU between them, the
discriminator's last activation a sigmoid, both trained by plain SGD. GANs that
differ in their weights alone are trained together along a leading axis V:
same data, initial parameters and batch order. A row of ones is the vanilla GAN.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kliep_tf.experiments.toy_study.data import Samples, epoch_batches

# [kernel [V, in, out], bias [V, 1, out]] of each layer in turn.
Parameters = list[tf.Tensor]


@dataclasses.dataclass(frozen=True)
class GanSettings:
    """What all GANs of a comparison have in common.

    Attributes:
        hidden_units: of each hidden layer, in both networks.
        hidden_layers: number of hidden layers in both networks.
        generator_rate: learning rate of the generator's SGD.
        discriminator_rate: of the discriminator's.
        num_epochs: passes over the sample.
        batch_size: divides the number of vectors.
    """

    hidden_units: int
    hidden_layers: int
    generator_rate: float
    discriminator_rate: float
    num_epochs: int
    batch_size: int


class TrainedGans(NamedTuple):
    """The generators of V GANs and the losses of their last epoch.

    Attributes:
        generator: parameters along V.
        losses: float32 [V, 2], discriminator and generator, mean over the last
            epoch's steps.
    """

    generator: Parameters
    losses: np.ndarray


def train_gans(
    samples: Samples,
    weights: np.ndarray,
    reading: str,
    settings: GanSettings,
    seed: int,
) -> TrainedGans:
    """Trains V GANs that differ in their weights alone.

    Args:
        samples: of both domains.
        weights: float32 [V, num_vectors, 1 or num_features], of the source's
            vectors or scalars; mean 1 where one wants equal step sizes.
        reading: what an example is, "vectors" or "scalars".
        settings: of networks and optimisers.
        seed: of the initial parameters.
    """
    dim = samples.source.shape[1] if reading == "vectors" else 1
    hidden = [settings.hidden_units] * settings.hidden_layers
    rng = np.random.default_rng([seed, 1])
    generator = _initial([dim, *hidden, dim], len(weights), rng)
    discriminator = _initial([dim, *hidden, 1], len(weights), rng)
    rates = (
        tf.constant(settings.generator_rate, tf.float32),
        tf.constant(settings.discriminator_rate, tf.float32),
    )
    losses = tf.zeros([len(weights), 2])
    for epoch in range(settings.num_epochs):
        source, target, *own = (
            epoch_batches(values, settings.batch_size, epoch, reading)
            for values in (samples.source, samples.target, *weights)
        )
        generator, discriminator, losses = _train_epoch(
            generator,
            discriminator,
            tf.constant(source),
            tf.constant(target),
            tf.constant(np.stack(own)[..., 0], tf.float32),
            *rates,
        )
    return TrainedGans(generator, losses.numpy())


def generate(gans: TrainedGans, source: np.ndarray, reading: str) -> np.ndarray:
    """Returns float32 [V, *source.shape], every GAN's image of the source."""
    dim = source.shape[1] if reading == "vectors" else 1
    rows = source.reshape(-1, dim)
    # Blocks keep the activations of 3,000,000 scalars out of memory.
    block = max(1, len(rows) // max(1, len(rows) // 10_000))
    parts = [
        _images(gans.generator, tf.constant(rows[first : first + block]))
        for first in range(0, len(rows), block)
    ]
    images = np.concatenate([part.numpy() for part in parts], axis=1)
    return images.reshape(len(images), *source.shape)


def adversarial_losses(
    real_logits: tf.Tensor, fake_logits: tf.Tensor, weights: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the two losses of eq. 13, each [V, batch], one per example.

    The discriminator's is -[log d(x_t) + w log(1 - d(g(x_s)))]; the
    generator's -w log d(g(x_s)), the form of Goodfellow et al. 2014 that does
    not saturate. d is the sigmoid of the logits.

    Args:
        real_logits: [V, batch], of target examples.
        fake_logits: [V, batch], of generated ones.
        weights: [V, batch], of the source examples they were made from.
    """
    discriminator = tf.nn.softplus(-real_logits) + weights * tf.nn.softplus(
        fake_logits
    )
    return discriminator, weights * tf.nn.softplus(-fake_logits)


def step(
    generator: Parameters,
    discriminator: Parameters,
    source: tf.Tensor,
    target: tf.Tensor,
    weights: tf.Tensor,
    rates: tuple[tf.Tensor, tf.Tensor],
) -> tuple[Parameters, Parameters, tf.Tensor]:
    """Takes one step of SGD: discriminator first, then generator against it.

    Args:
        generator: parameters along V.
        discriminator: the same.
        source: [V, batch, d].
        target: [V, batch, d].
        weights: [V, batch], of the source examples.
        rates: learning rates of generator and discriminator.

    Returns:
        Both networks' parameters after the step, and [V, 2] the batch means of
        the discriminator's and the generator's loss.
    """
    with tf.GradientTape() as tape:
        tape.watch(generator)
        fake = _apply(generator, source)
    with tf.GradientTape() as discriminator_tape:
        discriminator_tape.watch(discriminator)
        losses, _ = adversarial_losses(
            _logits(discriminator, target),
            _logits(discriminator, fake),
            weights,
        )
        loss = _total(losses)
    gradients = discriminator_tape.gradient(loss, discriminator)
    discriminator = _descend(discriminator, gradients, rates[1])
    # The images are those of before, so their own tape is continued: only
    # the discriminator, a constant to the generator, has changed.
    with tf.GradientTape() as image_tape:
        image_tape.watch(fake)
        logits = _logits(discriminator, fake)
        _, own_losses = adversarial_losses(logits, logits, weights)
        own_loss = _total(own_losses)
    gradients = tape.gradient(
        fake,
        generator,
        output_gradients=image_tape.gradient(own_loss, fake),
    )
    generator = _descend(generator, gradients, rates[0])
    means = [tf.reduce_mean(each, axis=1) for each in (losses, own_losses)]
    return generator, discriminator, tf.stack(means, axis=1)


def _initial(
    sizes: Sequence[int], num_gans: int, rng: np.random.Generator
) -> Parameters:
    """Returns parameters uniform in +-1/sqrt(inputs), the same for all GANs.

    That is PyTorch's default for linear layers, biases included.
    """
    parameters = []
    for inputs, outputs in itertools.pairwise(sizes):
        bound = 1.0 / np.sqrt(inputs)
        for shape in ((inputs, outputs), (1, outputs)):
            values = rng.uniform(-bound, bound, shape).astype(np.float32)
            parameters.append(tf.constant(np.stack([values] * num_gans)))
    return parameters


def _apply(parameters: Parameters, x: tf.Tensor) -> tf.Tensor:
    """Returns [V, batch, out] of the network at x [V, batch, in]."""
    for i in range(0, len(parameters), 2):
        x = tf.linalg.matmul(x, parameters[i]) + parameters[i + 1]
        if i + 2 < len(parameters):
            x = tf.nn.selu(x)
    return x


def _logits(parameters: Parameters, x: tf.Tensor) -> tf.Tensor:
    return _apply(parameters, x)[..., 0]


def _total(losses: tf.Tensor) -> tf.Tensor:
    """Mean over the batch; the sum over GANs keeps their gradients apart."""
    return tf.reduce_sum(tf.reduce_mean(losses, axis=1))


def _descend(
    parameters: Parameters, gradients: Parameters, rate: tf.Tensor
) -> Parameters:
    """One step of plain SGD."""
    return [p - rate * g for p, g in zip(parameters, gradients, strict=True)]


@tf.function(jit_compile=True, autograph=False)
def _train_epoch(
    generator: Parameters,
    discriminator: Parameters,
    source: tf.Tensor,
    target: tf.Tensor,
    weights: tf.Tensor,
    generator_rate: tf.Tensor,
    discriminator_rate: tf.Tensor,
) -> tuple[Parameters, Parameters, tf.Tensor]:
    """A whole epoch in one compiled call; losses are means over its steps."""
    num_gans, num_batches, _ = weights.shape
    rates = (generator_rate, discriminator_rate)

    def body(
        i: tf.Tensor,
        generator: Parameters,
        discriminator: Parameters,
        sums: tf.Tensor,
    ) -> tuple[tf.Tensor, Parameters, Parameters, tf.Tensor]:
        def for_each(batches: tf.Tensor) -> tf.Tensor:
            batch = batches[i][None]
            return tf.broadcast_to(batch, [num_gans, *batch.shape[1:]])

        generator, discriminator, losses = step(
            generator,
            discriminator,
            for_each(source),
            for_each(target),
            weights[:, i],
            rates,
        )
        return i + 1, generator, discriminator, sums + losses

    _, generator, discriminator, sums = tf.while_loop(
        lambda i, *_: i < num_batches,
        body,
        (0, generator, discriminator, tf.zeros([num_gans, 2])),
        maximum_iterations=num_batches,
    )
    return generator, discriminator, sums / num_batches


@tf.function(jit_compile=True, autograph=False)
def _images(generator: Parameters, rows: tf.Tensor) -> tf.Tensor:
    num_gans = generator[0].shape[0]
    return _apply(
        generator, tf.broadcast_to(rows[None], [num_gans, *rows.shape])
    )
