"""The importance-weighted CycleGAN: one forward pass, two updates (eq. 12)."""

import dataclasses
from collections.abc import Mapping

import keras
import tensorflow as tf

from kliep_tf.cyclegan.image_pool import ImagePool
from kliep_tf.cyclegan.losses import (
    ADVERSARIAL_LOSSES,
    global_mean,
    mean_absolute,
)
from kliep_tf.cyclegan.networks import make_discriminator, make_generator
from kliep_tf.data.pipeline import UnpairedBatch
from kliep_tf.training.distribution import all_reduce_sum


@dataclasses.dataclass(frozen=True)
class CycleGANSettings:
    """Everything that decides what a CycleGAN computes.

    Attributes:
        image_size: (height, width) of the training images, for the pools.
        global_batch_size: images of each domain in a step, on all replicas.
        generator_filters: channels of the generators at full resolution.
        discriminator_filters: channels of the discriminators' first layer.
        num_residual_blocks: of each generator.
        upsampling: of the generators, a name in UPSAMPLINGS.
        adversarial_loss: a name in ADVERSARIAL_LOSSES.
        cycle_weight: of the cycle losses, both ways.
        identity_weight: of the identity losses, as a factor of the cycle
            weight; 0 leaves them out and saves their time.
        pool_size: fakes remembered for each discriminator.
        dtype: Keras dtype policy of the networks.
        jit_compile: compile gradients by XLA.
        seed: of initial weights and pools.
    """

    image_size: tuple[int, int]
    global_batch_size: int = 1
    generator_filters: int = 64
    discriminator_filters: int = 64
    num_residual_blocks: int = 9
    upsampling: str = "transposed"
    adversarial_loss: str = "lsgan"
    cycle_weight: float = 10.0
    identity_weight: float = 0.5
    pool_size: int = 50
    dtype: str = "float32"
    jit_compile: bool = False
    seed: int = 0


class CycleGAN(keras.Model):
    """Two generators and two discriminators, trained with example weights.

    `train_step` takes an UnpairedBatch. Make the model and its optimizers
    under the strategy's scope, then `compile` it; `fit` and the project's own
    loop both drive it.

    Attributes:
        source_to_target: g_t of eq. 12.
        target_to_source: g_s.
        target_discriminator: d_t, real target images against g_t(source).
        source_discriminator: d_s.
        target_pool: fakes of the target domain, for d_t.
        source_pool: fakes of the source domain, for d_s.
    """

    def __init__(self, settings: CycleGANSettings):
        """Builds the four networks and the two pools."""
        super().__init__(name="cyclegan")
        self.settings = settings
        # Four independent seeds; the two of a kind must not start equal.
        seeds = [4 * settings.seed + number for number in range(4)]
        generator = {
            "filters": settings.generator_filters,
            "num_residual_blocks": settings.num_residual_blocks,
            "upsampling": settings.upsampling,
            "dtype": settings.dtype,
        }
        discriminator = {
            "filters": settings.discriminator_filters,
            "dtype": settings.dtype,
        }
        self.source_to_target = make_generator(
            **generator, seed=seeds[0], name="source_to_target"
        )
        self.target_to_source = make_generator(
            **generator, seed=seeds[1], name="target_to_source"
        )
        self.target_discriminator = make_discriminator(
            **discriminator, seed=seeds[2], name="target_discriminator"
        )
        self.source_discriminator = make_discriminator(
            **discriminator, seed=seeds[3], name="source_discriminator"
        )
        image_shape = (*settings.image_size, 3)
        self.target_pool = ImagePool(
            settings.pool_size, image_shape, settings.seed
        )
        self.source_pool = ImagePool(
            settings.pool_size, image_shape, settings.seed + 1
        )
        self._adversarial = ADVERSARIAL_LOSSES[settings.adversarial_loss]
        self._generator_gradients = tf.function(
            self._compute_generator_gradients,
            jit_compile=settings.jit_compile or None,
        )
        self._discriminator_gradients = tf.function(
            self._compute_discriminator_gradients,
            jit_compile=settings.jit_compile or None,
        )
        # Fed with NamedTuples and not called as a layer, the model would
        # otherwise count as not built.
        self.built = True

    def compile(
        self,
        generator_optimizer: keras.optimizers.Optimizer,
        discriminator_optimizer: keras.optimizers.Optimizer,
    ) -> None:
        """Sets one optimizer for both generators, one for both discriminators.

        Both are built here, under the caller's scope: slots made later, inside
        a replica, would be wrong under MirroredStrategy.
        """
        super().compile(optimizer=None, loss=None)
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer
        generator_optimizer.build(self._generator_variables)
        discriminator_optimizer.build(self._discriminator_variables)

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Translates source images [N, H, W, 3] in [-1, 1] to the target."""
        return self.source_to_target(images)

    def train_step(self, batch: UnpairedBatch) -> Mapping[str, tf.Tensor]:
        """Updates all four networks on this replica's share of a batch.

        Returns:
            Scalar losses, each the weighted mean over the global batch.
        """
        batch = UnpairedBatch(*batch)
        generator_gradients, fake_target, fake_source, figures = (
            self._generator_gradients(batch)
        )
        old_target, old_target_weight = self.target_pool.exchange(
            fake_target, batch.source_weight
        )
        old_source, old_source_weight = self.source_pool.exchange(
            fake_source, batch.target_weight
        )
        discriminator_gradients, discriminator_figures = (
            self._discriminator_gradients(
                batch,
                old_target,
                old_target_weight,
                old_source,
                old_source_weight,
            )
        )
        self.generator_optimizer.apply(
            generator_gradients, self._generator_variables
        )
        self.discriminator_optimizer.apply(
            discriminator_gradients, self._discriminator_variables
        )
        return all_reduce_sum({**figures, **discriminator_figures})

    def trackables(self) -> dict[str, tf.Module | keras.Model]:
        """Returns, by name, everything that a checkpoint must hold."""
        return {
            "source_to_target": self.source_to_target,
            "target_to_source": self.target_to_source,
            "target_discriminator": self.target_discriminator,
            "source_discriminator": self.source_discriminator,
            "target_pool": self.target_pool,
            "source_pool": self.source_pool,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }

    @property
    def _generator_variables(self) -> list:
        return (
            self.source_to_target.trainable_variables
            + self.target_to_source.trainable_variables
        )

    @property
    def _discriminator_variables(self) -> list:
        return (
            self.target_discriminator.trainable_variables
            + self.source_discriminator.trainable_variables
        )

    def _compute_generator_gradients(self, batch: UnpairedBatch):
        """Returns gradients, both fakes and the generators' losses."""
        with tf.GradientTape() as tape:
            fake_target, same_target = self._translate(
                self.source_to_target, batch.source, batch.target
            )
            fake_source, same_source = self._translate(
                self.target_to_source, batch.target, batch.source
            )
            figures = self._generator_losses(
                batch, fake_target, fake_source, same_target, same_source
            )
            # Both cycle losses reach both generators.
            total = tf.add_n(list(figures.values()))
        variables = [variable.value for variable in self._generator_variables]
        gradients = tape.gradient(total, variables)
        return gradients, fake_target, fake_source, figures

    def _translate(self, generator, images, others):
        """Returns the fakes of `images` and, for the identity, of `others`.

        One pass over both: instance normalisation keeps examples apart.
        """
        if not self.settings.identity_weight:
            return generator(images, training=True), None
        both = generator(tf.concat([images, others], 0), training=True)
        return tf.split(both, 2)

    def _generator_losses(
        self, batch, fake_target, fake_source, same_target, same_source
    ) -> dict[str, tf.Tensor]:
        settings = self.settings
        source_weight, target_weight = batch.source_weight, batch.target_weight
        adversarial = self._adversarial.generator
        cycled_source = self.target_to_source(fake_target, training=True)
        cycled_target = self.source_to_target(fake_source, training=True)
        figures = {
            "generator/source_to_target": self._mean(
                adversarial(self.target_discriminator(fake_target)),
                source_weight,
            ),
            "generator/target_to_source": self._mean(
                adversarial(self.source_discriminator(fake_source)),
                target_weight,
            ),
            "cycle/source": settings.cycle_weight
            * self._mean(
                mean_absolute(cycled_source, batch.source), source_weight
            ),
            "cycle/target": settings.cycle_weight
            * self._mean(
                mean_absolute(cycled_target, batch.target), target_weight
            ),
        }
        if settings.identity_weight:
            factor = settings.cycle_weight * settings.identity_weight
            figures["identity/source"] = factor * self._mean(
                mean_absolute(same_source, batch.source), source_weight
            )
            figures["identity/target"] = factor * self._mean(
                mean_absolute(same_target, batch.target), target_weight
            )
        return figures

    def _compute_discriminator_gradients(
        self,
        batch: UnpairedBatch,
        fake_target: tf.Tensor,
        fake_target_weight: tf.Tensor,
        fake_source: tf.Tensor,
        fake_source_weight: tf.Tensor,
    ):
        """Returns gradients and losses on real images and pooled fakes."""
        with tf.GradientTape() as tape:
            figures = {
                "discriminator/target": self._discriminator_loss(
                    self.target_discriminator,
                    (batch.target, batch.target_weight),
                    (fake_target, fake_target_weight),
                ),
                "discriminator/source": self._discriminator_loss(
                    self.source_discriminator,
                    (batch.source, batch.source_weight),
                    (fake_source, fake_source_weight),
                ),
            }
            total = tf.add_n(list(figures.values()))
        variables = [
            variable.value for variable in self._discriminator_variables
        ]
        return tape.gradient(total, variables), figures

    def _discriminator_loss(self, discriminator, real, fake) -> tf.Tensor:
        """Half of eq. 12's two terms: the authors' code halves them."""
        real_images, real_weight = real
        fake_images, fake_weight = fake
        logits = discriminator(
            tf.concat([real_images, fake_images], 0), training=True
        )
        real_logits, fake_logits = tf.split(logits, 2)
        return 0.5 * (
            self._mean(self._adversarial.real(real_logits), real_weight)
            + self._mean(self._adversarial.fake(fake_logits), fake_weight)
        )

    def _mean(self, losses: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        return global_mean(losses, weights, self.settings.global_batch_size)
