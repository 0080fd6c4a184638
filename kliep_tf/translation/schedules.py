"""The learning rate of CycleGAN: constant, then falling linearly."""

import keras
import tensorflow as tf

from kliep_tf.translation.fused_adam import FusedAdam


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


def make_optimizer(
    learning_rate: float, num_steps: int
) -> keras.optimizers.Optimizer:
    """Returns Adam as CycleGAN uses it: beta 0.5 and 0.999, linear decay."""
    return FusedAdam(
        LinearDecay(learning_rate, num_steps), beta_1=0.5, beta_2=0.999
    )
