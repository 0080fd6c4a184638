"""The importance-weighted CycleGAN: one forward pass, two updates (eq. 12)."""

import functools
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from kliep_tf.data.pipeline import UnpairedBatch
from kliep_tf.training.distribution import all_reduce_sum
from kliep_tf.training.keras_compat import apply_gradients_as_given
from kliep_tf.translation.image_pool import ImagePool
from kliep_tf.translation.layers import iterate_spectral_norms
from kliep_tf.translation.method import Directions, Setup
from kliep_tf.translation.methods.cyclegan.networks import (
    make_discriminators,
    make_generators,
)
from kliep_tf.translation.methods.cyclegan.objectives import (
    Objectives,
    Translations,
)
from kliep_tf.translation.methods.cyclegan.passes import GeneratorPasses, judge
from kliep_tf.translation.methods.cyclegan.settings import CycleGANSettings
from kliep_tf.translation.optimizers import (
    LinearDecay,
    running_decay,
    sum_over_replicas,
    update_average,
)


class CycleGAN(keras.Model):
    """Two generators and two discriminators, trained with example weights.

    `train_step` takes a `batch_type`. Make the model and its optimizers
    under the strategy's scope, then `compile` it; `fit` and the project's own
    loop both drive it.

    Attributes:
        source_to_target: g_t of eq. 12.
        target_to_source: g_s.
        target_discriminator: d_t, real target images against g_t(source).
        source_discriminator: d_s.
        target_pool: fakes of the target domain, for d_t.
        source_pool: fakes of the source domain, for d_s.
        averaged_source_to_target: running average of g_t, or None.
        averaged_target_to_source: running average of g_s, or None.
        batch_type: UnpairedBatch; a method that extends this one may read
            more.
    """

    batch_type: type = UnpairedBatch

    def __init__(self, settings: CycleGANSettings, setup: Setup):
        """Builds the networks and the two pools."""
        super().__init__(name="cyclegan")
        self.settings = settings
        self.setup = setup
        self.schedule = LinearDecay(settings.learning_rate, setup.num_steps)
        self.source_to_target, self.target_to_source = make_generators(
            settings, setup
        )
        self.target_discriminator, self.source_discriminator = (
            make_discriminators(settings, setup)
        )
        self.averaged_source_to_target: keras.Model = None
        self.averaged_target_to_source: keras.Model = None
        if settings.generator_ema:
            # Of the same seeds: an average begins where its generator does.
            averages = make_generators(settings, setup, prefix="averaged_")
            for average in averages:
                average.trainable = False
            self.averaged_source_to_target, self.averaged_target_to_source = (
                averages
            )
        self.target_pool, self.source_pool = (
            ImagePool(settings.pool_size, (*setup.image_size, 3), seed)
            for seed in (setup.seed, setup.seed + 1)
        )
        self._prepare_step()
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
        generator_optimizer.build(self._generator_variables)
        discriminator_optimizer.build(self._discriminator_variables)
        self.generator_optimizer = apply_gradients_as_given(generator_optimizer)
        self.discriminator_optimizer = apply_gradients_as_given(
            discriminator_optimizer
        )

    @property
    def export_generators(self) -> Directions:
        """The generators that are exported: averages, where they are kept."""
        if self.settings.generator_ema:
            return Directions(
                self.averaged_source_to_target, self.averaged_target_to_source
            )
        return Directions(self.source_to_target, self.target_to_source)

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Translates source images [N, H, W, 3] in [-1, 1] to the target."""
        return self.export_generators.source_to_target(images)

    def train_step(self, batch: UnpairedBatch) -> Mapping[str, tf.Tensor]:
        """Updates all four networks on this replica's share of a batch.

        Returns:
            Scalars of the global batch: every loss as a weighted mean; each
            discriminator's accuracy; the norms of both gradients.
        """
        batch = self.batch_type(*batch)
        if self.settings.spectral_norm:
            iterate_spectral_norms(self.target_discriminator)
            iterate_spectral_norms(self.source_discriminator)
        # Both gradients come from the same weights, and from one forward pass
        # of each fake, as in the authors' code.
        generator_gradients, fake_target, fake_source, losses = (
            self._generator_gradients(batch)
        )
        old_target = self.target_pool.exchange(fake_target, batch.source_weight)
        old_source = self.source_pool.exchange(fake_source, batch.target_weight)
        discriminator_gradients, judged = self._discriminator_gradients(
            batch, old_target, old_source
        )
        generator_gradients = sum_over_replicas(generator_gradients)
        discriminator_gradients = sum_over_replicas(discriminator_gradients)
        self.generator_optimizer.apply(
            generator_gradients, self._generator_variables
        )
        self.discriminator_optimizer.apply(
            discriminator_gradients, self._discriminator_variables
        )
        self._update_averages()
        return {
            **all_reduce_sum({**losses, **judged}),
            "gradient_norm/generator": tf.linalg.global_norm(
                generator_gradients
            ),
            "gradient_norm/discriminator": tf.linalg.global_norm(
                discriminator_gradients
            ),
        }

    def trackables(self) -> dict[str, tf.Module | keras.Model]:
        """Returns, by name, everything that a checkpoint must hold."""
        names = [
            "source_to_target",
            "target_to_source",
            "target_discriminator",
            "source_discriminator",
            "target_pool",
            "source_pool",
            "generator_optimizer",
            "discriminator_optimizer",
        ]
        if self.settings.generator_ema:
            names += ["averaged_source_to_target", "averaged_target_to_source"]
        return {name: getattr(self, name) for name in names}

    def learning_rates(self, step: int) -> Mapping[str, float]:
        """Returns the rates at a step, counted from 1, by tag."""
        rate = float(self.schedule(tf.constant(step - 1)))
        return {
            "learning_rate/generator": rate,
            "learning_rate/discriminator": rate,
        }

    def _prepare_step(self) -> None:
        """Makes the functions of which `train_step` consists."""
        self._objectives = Objectives(
            self.settings, self.setup.global_batch_size
        )
        self._passes = GeneratorPasses(
            self.source_to_target, self.target_to_source, self.settings
        )
        compiled = functools.partial(
            tf.function,
            jit_compile=self.setup.jit_compile or None,
            autograph=False,
        )
        self._generator_gradients = compiled(self._compute_generator_gradients)
        self._discriminator_gradients = compiled(
            self._compute_discriminator_gradients
        )

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

    def _compute_generator_gradients(
        self, batch: UnpairedBatch
    ) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """Returns gradients, both fakes and the generators' losses."""
        with tf.GradientTape() as tape:
            translations = self._passes(batch)
            losses = self._generator_losses(batch, translations)
            # Both cycle losses reach both generators.
            total = tf.add_n(list(losses.values()))
        variables = [variable.value for variable in self._generator_variables]
        gradients = tape.gradient(total, variables)
        return (
            gradients,
            translations.fake_target,
            translations.fake_source,
            losses,
        )

    def _generator_losses(
        self, batch: Any, translations: Translations
    ) -> dict[str, tf.Tensor]:
        """Returns every term that the generators minimise, by its name.

        The batch is of `batch_type`.
        """
        return self._objectives.generator_losses(
            batch,
            translations,
            target_logits=self.target_discriminator(translations.fake_target),
            source_logits=self.source_discriminator(translations.fake_source),
        )

    def _compute_discriminator_gradients(
        self,
        batch: UnpairedBatch,
        fake_target: tuple[tf.Tensor, tf.Tensor],
        fake_source: tuple[tf.Tensor, tf.Tensor],
    ) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        """Returns gradients, and losses and accuracies by name.

        The fakes are images and weights, as they come from the pools.
        """
        with tf.GradientTape() as tape:
            judgements = {
                "target": judge(
                    self.target_discriminator,
                    (batch.target, batch.target_weight),
                    fake_target,
                ),
                "source": judge(
                    self.source_discriminator,
                    (batch.source, batch.source_weight),
                    fake_source,
                ),
            }
            figures = {
                f"discriminator/{domain}": self._objectives.discriminator_loss(
                    judgement
                )
                for domain, judgement in judgements.items()
            }
            total = tf.add_n(list(figures.values()))
        for domain, judgement in judgements.items():
            figures[f"accuracy/{domain}_discriminator"] = (
                self._objectives.discriminator_accuracy(judgement)
            )
        variables = [
            variable.value for variable in self._discriminator_variables
        ]
        return tape.gradient(total, variables), figures

    def _update_averages(self) -> None:
        if not self.settings.generator_ema:
            return
        # The optimizer has counted this step already.
        steps_before = self.generator_optimizer.iterations - 1
        decay = running_decay(self.settings.generator_ema, steps_before)
        update_average(
            self.averaged_source_to_target, self.source_to_target, decay
        )
        update_average(
            self.averaged_target_to_source, self.target_to_source, decay
        )
