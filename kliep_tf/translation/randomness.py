"""Draws that depend on seed, step and example alone.

So a continued training draws what an undisturbed one does, and an example's
draws are the same on whichever replica it comes to stand. Without seeds, which
is how generators are exported and shown, nothing is random.
"""

from typing import Any

import keras
import tensorflow as tf


def example_seeds(
    seed: int, step: tf.Tensor, use: int, num_examples: int, num_own: int
) -> tf.Tensor:
    """Returns the seeds of this replica's examples, int32 [num_own, 2].

    Args:
        seed: of the training.
        step: int64 [], the steps done before.
        use: which of a step's random passes; each has seeds of its own.
        num_examples: of the global batch.
        num_own: of them, those of this replica.
    """
    key = tf.random.experimental.stateless_fold_in(
        tf.constant([seed, use], tf.int32), tf.cast(step, tf.int32)
    )
    seeds = tf.random.stateless_uniform(
        [num_examples, 2], key, minval=None, maxval=None, dtype=tf.int32
    )
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return seeds[:num_own]
    first = num_own * context.replica_id_in_sync_group
    return tf.ensure_shape(seeds[first : first + num_own], [num_own, 2])


def add_noise(
    x: tf.Tensor, seeds: tf.Tensor | None, stream: int = 0
) -> tf.Tensor:
    """Returns x + N(0, 1), or x itself without seeds.

    Args:
        x: [B, H, W, C], B static.
        seeds: int32 [B, 2], or None.
        stream: which draw from these seeds.
    """
    if seeds is None:
        return x
    return x + _draw(tf.random.stateless_normal, x, seeds, stream)


@keras.saving.register_keras_serializable("kliep_tf")
class SeededDropout(keras.layers.Layer):
    """Sets a share of the values to 0 and enlarges the others to make up.

    Called without seeds it hands its input on.
    """

    def __init__(self, rate: float, stream: int, **kwargs: Any):
        """Takes the share, and which draw from an example's seeds is used.

        Args:
            rate: the share, below 1.
            stream: a number that no other layer of the same seeds has.
            **kwargs: of every layer.
        """
        super().__init__(**kwargs)
        self.rate = rate
        self.stream = stream

    def call(self, x: tf.Tensor, seeds: tf.Tensor | None = None) -> tf.Tensor:
        """Drops values of [B, H, W, C], by seeds int32 [B, 2]."""
        if seeds is None:
            return x
        drawn = _draw(tf.random.stateless_uniform, x, seeds, self.stream)
        kept = tf.cast(drawn >= self.rate, x.dtype)
        return x * kept / (1.0 - self.rate)

    def compute_output_shape(
        self, x_shape: tuple, seeds_shape: tuple | None = None
    ) -> tuple:
        """Returns the shape of the input."""
        return x_shape

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "rate": self.rate,
            "stream": self.stream,
        }


def _draw(draw: Any, x: tf.Tensor, seeds: tf.Tensor, stream: int) -> tf.Tensor:
    """Returns draws of the shape of x, each example's by its own seed."""
    shape = tf.shape(x)[1:]

    def draw_one(seed: tf.Tensor) -> tf.Tensor:
        key = tf.random.experimental.stateless_fold_in(seed, stream)
        return draw(shape, key)

    if seeds.shape[0] is None:
        # Exports trace layers for any number of examples.
        drawn = tf.map_fn(draw_one, seeds, fn_output_signature=tf.float32)
    else:
        drawn = tf.stack([draw_one(seed) for seed in tf.unstack(seeds)])
    return tf.cast(tf.ensure_shape(drawn, x.shape), x.dtype)
