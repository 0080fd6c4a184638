"""Running averages of weights, equal on all replicas."""

from collections.abc import Sequence

import keras
import tensorflow as tf


def running_decay(decay: float, step: tf.Tensor) -> tf.Tensor:
    """Returns min(decay, (1 + step) / (10 + step)), float32 [].

    The second is what forgets the initial weights soon: after 1000 steps at a
    decay of 0.999 they would still have a share of 0.37.

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
    tf.__internal__.distribute.interim.maybe_merge_call(
        _update,
        tf.distribute.get_strategy(),
        [variable.value for variable in average.weights],
        [variable.value for variable in model.weights],
        decay,
    )


def _update(
    strategy: tf.distribute.Strategy,
    averages: Sequence[tf.Variable],
    values: Sequence[tf.Variable],
    decay: tf.Tensor,
) -> None:
    def move(average, value, decay):
        average.assign(decay * average + (1.0 - decay) * value)

    for average, value in zip(averages, values, strict=True):
        strategy.extended.update(
            average, move, args=(value, decay), group=False
        )
