"""Gradients summed over the replicas once, before anything looks at them."""

from collections.abc import Sequence

import keras
import tensorflow as tf


def sum_over_replicas(gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Returns the gradients of the global batch, equal on all replicas."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return list(gradients)
    # The identities stand on the replica's device, what an inner tf.function
    # returns on none: MultiWorkerMirroredStrategy asks for one on CPUs.
    placed = [tf.identity(gradient) for gradient in gradients]
    return list(context.all_reduce("SUM", placed))


def take_summed_gradients(
    optimizer: keras.optimizers.Optimizer,
) -> keras.optimizers.Optimizer:
    """Makes an optimizer apply gradients as they are, and returns it.

    Keras's sum them over the replicas themselves, keep the sums to themselves
    and clip before they sum. Summed outside, gradients can be measured without
    being sent twice.
    """
    if not hasattr(optimizer, "_all_reduce_sum_gradients"):
        raise TypeError(
            f"expected an optimizer of Keras 3 on TensorFlow, found {optimizer}"
        )
    optimizer._all_reduce_sum_gradients = lambda pairs: pairs
    return optimizer
