"""The importance-weighted UNIT: the discriminators' update, the generators'."""

import functools
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from kliep_tf.data.pipeline import UnpairedBatch
from kliep_tf.training.distribution import all_reduce_sum
from kliep_tf.training.keras_compat import apply_gradients_as_given
from kliep_tf.training.vgg16 import Vgg16
from kliep_tf.translation.layers import InstanceNormalization
from kliep_tf.translation.method import Directions, Setup
from kliep_tf.translation.methods.unit.autoencoders import (
    make_autoencoders,
    make_translators,
)
from kliep_tf.translation.methods.unit.networks import make_discriminator
from kliep_tf.translation.methods.unit.objectives import (
    Objectives,
    Translations,
)
from kliep_tf.translation.methods.unit.passes import (
    Pass,
    Seeds,
    judge,
    logits_of,
    there_and_back,
    translate,
)
from kliep_tf.translation.methods.unit.settings import UNITSettings
from kliep_tf.translation.optimizers import (
    FusedAdam,
    Halvings,
    sum_over_replicas,
)
from kliep_tf.translation.randomness import example_seeds


class UNIT:
    """Two autoencoders and two discriminators, trained with example weights.

    Make it under the strategy's scope.

    Attributes:
        autoencoders: of both domains.
        discriminators: by domain, of real images against translations.
        export_generators: both directions, without noise.
    """

    def __init__(self, settings: UNITSettings, setup: Setup):
        """Builds networks and optimizers, and loads VGG-16 where it is used."""
        self._settings, self._setup = settings, setup
        self.autoencoders = make_autoencoders(settings, setup)
        self.export_generators: Directions = make_translators(self.autoencoders)
        self.discriminators = {
            domain: make_discriminator(
                settings.unit_form,
                settings.discriminator_filters,
                settings.discriminator_scales,
                setup.dtype,
                # 0 and 1 are the autoencoders'.
                4 * setup.seed + number,
                f"{domain}_discriminator",
            )
            for number, domain in ((2, "target"), (3, "source"))
        }
        self._vgg16 = None
        if settings.perceptual_weights and settings.perceptual_weight:
            self._vgg16 = Vgg16(
                settings.perceptual_weights, "perceptual_weights"
            )
        self._normalize = InstanceNormalization()
        every = 0 if settings.is_shared else settings.halve_rate_every
        self._schedule = Halvings(settings.learning_rate, every)
        self._generator_variables = _variables(self.autoencoders.parts)
        self._discriminator_variables = _variables(self.discriminators)
        self._generator_optimizer = self._adam(self._generator_variables)
        self._discriminator_optimizer = self._adam(
            self._discriminator_variables
        )
        self._objectives = Objectives(settings, setup.global_batch_size)
        compiled = functools.partial(
            tf.function,
            jit_compile=setup.jit_compile or None,
            autograph=False,
        )
        self._discriminator_gradients = compiled(self.discriminator_gradients)
        self._generator_gradients = compiled(self.generator_gradients)

    def train_step(self, batch: UnpairedBatch) -> Mapping[str, tf.Tensor]:
        """Updates the discriminators, then, against them, the generators.

        Returns:
            Scalars of the global batch: every loss as a weighted mean; each
            discriminator's accuracy; the norms of both gradients.
        """
        batch = UnpairedBatch(*batch)
        # Each update has translations of its own, by noise of its own, as in
        # the authors' code.
        gradients, judged = self._discriminator_gradients(
            batch, self.seeds(Pass.DISCRIMINATORS, batch)
        )
        discriminator_gradients = sum_over_replicas(gradients)
        self._discriminator_optimizer.apply(
            discriminator_gradients, self._discriminator_variables
        )
        gradients, losses = self._generator_gradients(
            batch, self.seeds(Pass.THERE, batch), self.seeds(Pass.BACK, batch)
        )
        generator_gradients = sum_over_replicas(gradients)
        self._generator_optimizer.apply(
            generator_gradients, self._generator_variables
        )
        return {
            **all_reduce_sum({**losses, **judged}),
            "gradient_norm/generator": tf.linalg.global_norm(
                generator_gradients
            ),
            "gradient_norm/discriminator": tf.linalg.global_norm(
                discriminator_gradients
            ),
        }

    def trackables(self) -> dict[str, Any]:
        """Returns, by name, everything that a checkpoint must hold.

        Noise and dropout need no state: they are functions of the seed and of
        the optimizer's count of steps.
        """
        return {
            **self.autoencoders.parts,
            **{
                f"{domain}_discriminator": network
                for domain, network in self.discriminators.items()
            },
            "generator_optimizer": self._generator_optimizer,
            "discriminator_optimizer": self._discriminator_optimizer,
        }

    def learning_rates(self, step: int) -> Mapping[str, float]:
        """Returns the rates at a step, counted from 1, by tag."""
        rate = float(self._schedule(tf.constant(step - 1)))
        return {
            "learning_rate/generator": rate,
            "learning_rate/discriminator": rate,
        }

    def seeds(self, use: Pass, batch: UnpairedBatch) -> Seeds:
        """Returns the seeds of a random pass of the step in hand."""
        source, target = (
            example_seeds(
                self._setup.seed,
                self._generator_optimizer.iterations.value,
                2 * use + number,
                self._setup.global_batch_size,
                images.shape[0],
            )
            for number, images in enumerate((batch.source, batch.target))
        )
        return Seeds(source, target)

    def discriminator_gradients(
        self, batch: UnpairedBatch, seeds: Seeds
    ) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        """Returns gradients, and losses and accuracies by name."""
        fake_target, fake_source = translate(self.autoencoders, batch, seeds)
        w, psi = batch.source_weight, batch.target_weight
        with tf.GradientTape() as tape:
            judgements = {
                "target": judge(
                    self.discriminators["target"],
                    (batch.target, psi),
                    (fake_target, w),
                ),
                "source": judge(
                    self.discriminators["source"],
                    (batch.source, w),
                    (fake_source, psi),
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
        return _gradients(tape, total, self._discriminator_variables), figures

    def generator_gradients(
        self, batch: UnpairedBatch, there: Seeds, back: Seeds
    ) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        """Returns gradients and the generators' losses by name."""
        with tf.GradientTape() as tape:
            of_source, of_target = there_and_back(
                self.autoencoders, batch, there, back
            )
            losses = self._objectives.generator_losses(
                batch,
                of_source,
                of_target,
                logits_of(self.discriminators["target"], of_source.translated),
                logits_of(self.discriminators["source"], of_target.translated),
            )
            losses.update(self._perceptual_losses(batch, of_source, of_target))
            total = tf.add_n(list(losses.values()))
        return _gradients(tape, total, self._generator_variables), losses

    def _adam(self, variables: list) -> keras.optimizers.Optimizer:
        optimizer = FusedAdam(
            self._schedule,
            beta_1=0.5,
            beta_2=0.999,
            epsilon=1e-8,  # PyTorch's
            l2_penalty=self._settings.weight_decay,
        )
        # Slots made later, inside a replica, would be wrong.
        optimizer.build(variables)
        return apply_gradients_as_given(optimizer)

    def _perceptual_losses(
        self,
        batch: UnpairedBatch,
        of_source: Translations,
        of_target: Translations,
    ) -> dict[str, tf.Tensor]:
        if self._vgg16 is None:
            return {}
        pairs = {
            "source": (of_source.translated, batch.source, batch.source_weight),
            "target": (of_target.translated, batch.target, batch.target_weight),
        }
        losses = {}
        for domain, (translated, images, weights) in pairs.items():
            pixels = 127.5 * (tf.concat([translated, images], 0) + 1.0)
            both = self._normalize(self._vgg16(pixels))
            features, others = tf.split(both, 2)
            losses[f"perceptual/{domain}"] = self._objectives.perceptual_loss(
                features, others, weights
            )
        return losses


def _variables(networks: Mapping[str, keras.Model]) -> list:
    return [
        variable
        for network in networks.values()
        for variable in network.trainable_variables
    ]


def _gradients(
    tape: tf.GradientTape, loss: tf.Tensor, variables: list
) -> list[tf.Tensor]:
    return tape.gradient(loss, [variable.value for variable in variables])
