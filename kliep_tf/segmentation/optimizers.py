"""Optimizers of the published recipes: rates, weight decay, a faster head."""

import dataclasses
import math
from collections.abc import Iterator
from typing import NoReturn

import keras
import tensorflow as tf

from kliep_tf.errors import UserError
from kliep_tf.flag_fields import MAX_ADAM_RATE

OPTIMIZERS = ("adam", "sgd")
SCHEDULES = ("poly", "step", "constant")

# Steps of SGD follow the gradient; published segmenters take 0.001 to 0.1.
_MAX_RATES = {"adam": MAX_ADAM_RATE, "sgd": 10.0}
_POWER = 0.9
_DROP_FACTOR = 0.1


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """Optimizer, learning-rate schedule and weight decay.

    Attributes:
        num_steps: steps in all.
        learning_rate: of the first step.
        optimizer: "adam", or "sgd" with momentum.
        momentum: of SGD.
        schedule: "poly", DeepLab's rate * (1 - step / num_steps)^0.9, or
            "step", a tenth of the rate after each `drop_every` of the steps,
            or "constant".
        drop_every: share of the steps between two drops of "step".
        weight_decay: d of the penalty d/2 |kernel|^2; depthwise kernels,
            biases and normalisation are spared, as DeepLab does.
        head_learning_rate_factor: learning rate of the layers after the
            backbone, as a multiple of the backbone's; for SGD alone, since
            Adam's steps do not depend on the gradient's scale.
    """

    num_steps: int
    learning_rate: float
    optimizer: str = "adam"
    momentum: float = 0.9
    schedule: str = "poly"
    drop_every: float = 0.5
    weight_decay: float = 0.0
    head_learning_rate_factor: float = 1.0

    def check(self) -> None:
        """Raises a UserError for the first flag with an unusable value."""
        if not self.weight_decay >= 0:
            _refuse("weight_decay", self.weight_decay, "0 or more")
        most = _MAX_RATES[self.optimizer]
        if not 0 < self.learning_rate <= most:
            expected = f"more than 0, {most:g} or less"
            _refuse("learning_rate", self.learning_rate, expected)
        if not 0 <= self.momentum < 1:
            _refuse("momentum", self.momentum, "0 or more, less than 1")
        if not 0 < self.drop_every <= 1:
            _refuse("drop_every", self.drop_every, "more than 0, at most 1")
        factor = self.head_learning_rate_factor
        if not factor > 0:
            _refuse("head_learning_rate_factor", factor, "more than 0")
        if factor != 1 and self.optimizer != "sgd":
            _refuse(
                "head_learning_rate_factor", factor, "1 but for --optimizer=sgd"
            )


def make_optimizer(
    network: keras.Model, settings: OptimizerSettings
) -> keras.optimizers.Optimizer:
    """Returns the optimizer, built.

    The last step's learning rate is small but not zero.
    """
    rate = learning_rate_of(settings)
    if settings.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(rate, momentum=settings.momentum)
    else:
        optimizer = keras.optimizers.Adam(rate)
    optimizer.build(network.trainable_variables)
    return optimizer


def learning_rate_of(
    settings: OptimizerSettings,
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Returns the learning rate as a Keras optimizer takes it."""
    steps, rate = settings.num_steps, settings.learning_rate
    if settings.schedule == "constant":
        return rate
    if settings.schedule == "poly":
        return keras.optimizers.schedules.PolynomialDecay(
            rate, steps, end_learning_rate=0.0, power=_POWER
        )
    # The last of these is never reached: Keras wants at least one.
    num_drops = math.ceil(1 / settings.drop_every)
    drops = [
        round(number * settings.drop_every * steps)
        for number in range(1, num_drops + 1)
    ]
    # Keras's boundary is the last step of the old rate.
    return keras.optimizers.schedules.PiecewiseConstantDecay(
        [drop - 1 for drop in drops],
        [rate * _DROP_FACTOR**power for power in range(num_drops + 1)],
    )


class GradientRule:
    """Adds weight decay to gradients, and scales those of the head.

    With SGD a gradient c times as large is a learning rate c times as large,
    decay included, as Caffe's lr_mult has it.
    """

    def __init__(self, network: keras.Model, settings: OptimizerSettings):
        """Determines which variables decay and which are the head's.

        Raises:
            UserError: a faster head is asked of a network without a backbone.
        """
        decayed = {id(kernel) for kernel in _convolution_kernels(network)}
        backbone = backbone_of(network)
        factor = settings.head_learning_rate_factor
        if factor != 1 and backbone is None:
            expected = "1 for a network without a backbone"
            _refuse("head_learning_rate_factor", factor, expected)
        slow = (
            {id(v) for v in backbone.trainable_variables} if backbone else set()
        )
        self._rules = [
            (
                variable,
                settings.weight_decay if id(variable) in decayed else 0.0,
                1.0 if id(variable) in slow else factor,
            )
            for variable in network.trainable_variables
        ]

    def __call__(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        """Returns the gradients for the optimizer, inside a replica's step.

        Args:
            gradients: of the replica's share of the loss, one a trainable
                variable.
        """
        context = tf.distribute.get_replica_context()
        # The replicas' gradients will be summed, and the decay counts once.
        num_replicas = context.num_replicas_in_sync if context else 1
        changed = []
        for gradient, rule in zip(gradients, self._rules, strict=True):
            variable, decay, factor = rule
            if decay:
                gradient += (decay / num_replicas) * variable.value
            changed.append(gradient * factor if factor != 1.0 else gradient)
        return changed


def backbone_of(network: keras.Model) -> keras.Model | None:
    """Returns the layer named "backbone", None where there is none."""
    for layer in network.layers:
        if layer.name == "backbone":
            return layer
    return None


def leaf_layers(network: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the layers of a network and of the networks in it."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from leaf_layers(layer)
        else:
            yield layer


def _refuse(name: str, value: float, expected: str) -> NoReturn:
    raise UserError(f"--{name}={value}: expected {expected}")


def _convolution_kernels(network: keras.Model) -> list[keras.Variable]:
    return [
        layer.kernel
        for layer in leaf_layers(network)
        if isinstance(layer, keras.layers.Conv2D)
    ]
