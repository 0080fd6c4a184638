"""One training step of a segmentation network."""

from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from kliep_tf.data.class_sets import IGNORE_LABEL
from kliep_tf.segmentation.optimizers import GradientRule
from kliep_tf.training.distribution import all_reduce_sum

# (float32 images [B, H, W, 3], uint8 labels [B, H, W, 1]) and, where examples
# are weighted, float32 weights [B]
Batch = tuple[tf.Tensor, ...]


def make_train_step(
    network: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    global_batch_size: int,
    gradient_rule: GradientRule | None = None,
    ignore_label: int = IGNORE_LABEL,
) -> Callable[[Batch], Mapping[str, tf.Tensor]]:
    """Returns the step of one replica.

    The loss is the mean over the images of the global batch of each image's
    weight times its mean cross-entropy over labelled pixels. So an image's
    influence does not depend on how much of it is labelled, and the replicas'
    sums add up to what one device computes.

    Args:
        network: maps images to logits.
        optimizer: built for the network.
        global_batch_size: images a step, over all replicas.
        gradient_rule: changes the gradients before they are applied.
        ignore_label: of the labels' ClassSet.

    Returns:
        A function that takes a replica's share of a batch, updates the network
        and returns the global batch's loss and pixel accuracy (unweighted).
    """

    def global_mean(per_example: tf.Tensor) -> tf.Tensor:
        # A sum over this replica only; the replicas' sums make up the mean.
        return tf.nn.compute_average_loss(
            per_example, global_batch_size=global_batch_size
        )

    def train_step(batch: Batch) -> Mapping[str, tf.Tensor]:
        image, label, *weights = batch
        learning_rate = tf.identity(optimizer.learning_rate)
        with tf.GradientTape() as tape:
            logits = network(image, training=True)
            losses = cross_entropy(label, logits, ignore_label)
            loss = global_mean(losses * weights[0] if weights else losses)
        variables = network.trainable_variables
        gradients = tape.gradient(loss, variables)
        if gradient_rule is not None:
            gradients = gradient_rule(gradients)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        right = global_mean(pixel_accuracies(label, logits, ignore_label))
        scalars = all_reduce_sum({"loss": loss, "pixel_accuracy": right})
        return {**scalars, "learning_rate": learning_rate}

    return train_step


def cross_entropy(
    label: tf.Tensor, logits: tf.Tensor, ignore_label: int = IGNORE_LABEL
) -> tf.Tensor:
    """Returns float32 [B]: each image's mean cross-entropy, in nats.

    The mean is over the labelled pixels; an image without any counts 0.

    Args:
        label: integers [B, H, W, 1], `ignore_label` where nothing is known.
        logits: [B, H, W, C].
        ignore_label: of the labels' ClassSet.
    """
    known = label[..., 0] != ignore_label
    # The operation cannot ignore pixels, and is undefined at their label.
    classes = tf.where(known, tf.cast(label[..., 0], tf.int32), 0)
    logits = tf.cast(logits, tf.float32)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)
    return _mean_where(known, losses)


def pixel_accuracies(
    label: tf.Tensor, logits: tf.Tensor, ignore_label: int = IGNORE_LABEL
) -> tf.Tensor:
    """Returns float32 [B]: each image's pixel accuracy.

    That is the share of its labelled pixels that are predicted as labelled.
    """
    known = label[..., 0] != ignore_label
    predicted = tf.argmax(logits, -1, output_type=tf.int32)
    right = predicted == tf.cast(label[..., 0], tf.int32)
    return _mean_where(known, tf.cast(right, tf.float32))


def _mean_where(known: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Mean over [H, W] of the values [B, H, W] that are known."""
    known = tf.cast(known, tf.float32)
    total = tf.reduce_sum(known * values, [1, 2])
    return total / tf.maximum(tf.reduce_sum(known, [1, 2]), 1.0)
