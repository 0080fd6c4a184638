"""Optimizers of translation methods: Adam, its rates, summed gradients, EMA."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kliep_tf.training import keras_compat


@keras.saving.register_keras_serializable("kliep_tf")
class FusedAdam(keras.optimizers.Adam):
    """Keras's Adam with one operation a variable in place of ten.

    The published networks have 28 million parameters. Read and written ten
    times they take 6 % of a step at 64x64 on a CPU; once, 40 % of that.
    Variables and checkpoints are those of Keras's.
    """

    def __init__(self, *args: Any, l2_penalty: float = 0.0, **kwargs: Any):
        """Takes what Keras's Adam takes, and a penalty.

        Args:
            *args: of Keras's Adam.
            l2_penalty: times each variable, is added to its gradient before
                the moments are taken, as PyTorch's Adam does by the name of
                weight decay. Keras's `weight_decay` is that of AdamW, which
                the moments do not see.
            **kwargs: of Keras's Adam.
        """
        super().__init__(*args, **kwargs)
        self.l2_penalty = l2_penalty

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "l2_penalty": self.l2_penalty}

    def update_step(
        self,
        gradient: tf.Tensor,
        variable: tf.Variable,
        learning_rate: tf.Tensor,
    ) -> None:
        """Updates one replica's variable and both its moments."""
        if self.amsgrad:
            raise ValueError("expected amsgrad=False: TensorFlow has no kernel")
        dtype = variable.dtype
        gradient = tf.cast(gradient, dtype)
        if self.l2_penalty:
            gradient += self.l2_penalty * variable
        momentum, velocity = keras_compat.moments_of(self, variable)
        step = tf.cast(self.iterations.value + 1, dtype)
        beta_1 = tf.constant(self.beta_1, dtype)
        beta_2 = tf.constant(self.beta_2, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=momentum.value.handle,
            v=velocity.value.handle,
            beta1_power=beta_1**step,
            beta2_power=beta_2**step,
            lr=tf.cast(learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.constant(self.epsilon, dtype),
            grad=gradient,
        )


@keras.saving.register_keras_serializable("kliep_tf")
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Constant for the first part of training, then linear towards 0.

    The last step's rate is one decrement above 0, so that no step is wasted.
    """

    def __init__(
        self, learning_rate: float, num_steps: int, decay_start: float = 0.5
    ):
        """Sets the schedule.

        Args:
            learning_rate: of the constant part.
            num_steps: steps in all.
            decay_start: where the decay begins, as a share of the steps.
        """
        self.learning_rate = learning_rate
        self.num_steps = num_steps
        self.decay_start = decay_start

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the rate of step `step`, counted from 0."""
        constant = int(self.decay_start * self.num_steps)
        left = tf.cast(self.num_steps, tf.float32) - tf.cast(step, tf.float32)
        share = left / float(max(self.num_steps - constant, 1))
        return self.learning_rate * tf.clip_by_value(share, 0.0, 1.0)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {
            "learning_rate": self.learning_rate,
            "num_steps": self.num_steps,
            "decay_start": self.decay_start,
        }


@keras.saving.register_keras_serializable("kliep_tf")
class Halvings(keras.optimizers.schedules.LearningRateSchedule):
    """Halves the rate again and again, at equal distances."""

    def __init__(self, learning_rate: float, every: int):
        """Sets the schedule.

        Args:
            learning_rate: the first.
            every: steps between two halvings; 0 for a constant rate.
        """
        self.learning_rate = learning_rate
        self.every = every

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the rate of step `step`, counted from 0."""
        halvings = tf.cast(step, tf.int32) // self.every if self.every else 0
        return self.learning_rate * 0.5 ** tf.cast(halvings, tf.float32)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {"learning_rate": self.learning_rate, "every": self.every}


def sum_over_replicas(gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Returns the gradients of the global batch, equal on all replicas.

    Keras's optimizers sum gradients themselves, after clipping, and do not give
    the sums out. Summed here, gradients can be measured without a second
    exchange; `keras_compat.apply_gradients_as_given` stops the optimizer.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return list(gradients)
    # The identities stand on the replica's device, what an inner tf.function
    # returns on none: MultiWorkerMirroredStrategy asks for one on CPUs.
    placed = [tf.identity(gradient) for gradient in gradients]
    return list(context.all_reduce("SUM", placed))


def running_decay(decay: float, step: tf.Tensor) -> tf.Tensor:
    """Returns min(decay, (1 + step) / (10 + step)), float32 [].

    The second makes the average forget the initial weights soon: after 1000
    steps at a decay of 0.999 they would still have a share of 0.37.

    Args:
        decay: share of the old average that a step keeps, at most.
        step: steps done before this one.
    """
    step = tf.cast(step, tf.float32)
    return tf.minimum(decay, (1.0 + step) / (10.0 + step))


def update_average(
    average: keras.Model, model: keras.Model, decay: tf.Tensor
) -> None:
    """Sets every weight a of `average` to decay a + (1 - decay) w.

    Called on every replica after the optimizer's step. Each updates its own
    copy from its own weights, which are the same everywhere: nothing is sent.
    Keras's use_ema fails under MirroredStrategy.

    Args:
        average: of the same layers as `model`.
        model: whose weights w are averaged.
        decay: float32 [].
    """
    keras_compat.update_on_all_replicas(
        _update_averages,
        [variable.value for variable in average.weights],
        [variable.value for variable in model.weights],
        decay,
    )


def _update_averages(
    strategy: tf.distribute.Strategy,
    averages: Sequence[tf.Variable],
    values: Sequence[tf.Variable],
    decay: tf.Tensor,
) -> None:
    def move(
        average: tf.Variable, value: tf.Variable, decay: tf.Tensor
    ) -> None:
        average.assign(decay * average + (1.0 - decay) * value)

    for average, value in zip(averages, values, strict=True):
        strategy.extended.update(
            average, move, args=(value, decay), group=False
        )
