"""A pool of earlier fakes, each with the weight of its original image."""

import tensorflow as tf


class ImagePool(tf.Module):
    """Shows the discriminator older fakes half of the time.

    Shrivastava et al. 2017, section 2.3, as CycleGAN uses it: the pool is
    filled first; from then on each new fake is, with probability one half,
    exchanged for one drawn from the pool.

    All state lies in variables, so that a checkpoint holds the whole pool.
    """

    def __init__(
        self, capacity: int, image_shape: tuple[int, int, int], seed: int
    ):
        """Makes an empty pool.

        Args:
            capacity: number of fakes; 0 hands every fake straight through.
            image_shape: (height, width, 3).
            seed: of the draws, which are a function of seed and count.
        """
        super().__init__()
        self._capacity = capacity
        self._seed = seed
        options = {
            "trainable": False,
            # Every replica makes the same change (see `exchange`).
            "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA,
        }
        # One slot more than the capacity: fakes that are not kept go there.
        slots = capacity + 1 if capacity else 0
        self._images = tf.Variable(tf.zeros([slots, *image_shape]), **options)
        self._weights = tf.Variable(tf.zeros([slots]), **options)
        self._seen = tf.Variable(tf.constant(0, tf.int64), **options)

    def exchange(
        self, images: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns this replica's images, some exchanged for older ones.

        Under several replicas all fakes of the global batch are gathered and
        every replica makes the same exchange, so that the pool does not depend
        on how the batch was shared out.

        Args:
            images: float32 [b, H, W, 3], this replica's fakes.
            weights: float32 [b], of the images they were made from.

        Returns:
            images [b, H, W, 3] and their weights [b].
        """
        if not self._capacity:
            return images, weights
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return self._exchange_all(images, weights)
        # On the replica's device: an inner tf.function's results are on none,
        # with which MultiWorkerMirroredStrategy fails on CPUs.
        images, weights = tf.identity(images), tf.identity(weights)
        size = tf.shape(images)[0]
        first = size * context.replica_id_in_sync_group
        all_images, all_weights = self._exchange_all(
            context.all_gather(images, axis=0),
            context.all_gather(weights, axis=0),
        )
        own_images = all_images[first : first + size]
        own_weights = all_weights[first : first + size]
        own_images = tf.ensure_shape(own_images, images.shape)
        return own_images, tf.ensure_shape(own_weights, weights.shape)

    def _exchange_all(
        self, images: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        count = tf.shape(images)[0]
        seen = self._seen.read_value()
        swap_seed, slot_seed = tf.unstack(
            tf.random.split([self._seed, tf.cast(seen, tf.int32)], 2)
        )
        new_slots = tf.cast(seen, tf.int32) + tf.range(count)
        fills = new_slots < self._capacity
        # Distinct slots, so that the exchanges of one batch do not collide.
        order = tf.argsort(
            tf.random.stateless_uniform([self._capacity], slot_seed)
        )
        drawn = tf.random.stateless_uniform([count], swap_seed) < 0.5
        was_full = seen >= self._capacity
        swaps = drawn & was_full
        slots = tf.where(
            fills,
            new_slots,
            tf.where(swaps, order[:count], self._capacity),
        )
        old_images = tf.gather(self._images, slots)
        old_weights = tf.gather(self._weights, slots)
        shown_images = tf.where(swaps[:, None, None, None], old_images, images)
        shown_weights = tf.where(swaps, old_weights, weights)
        with tf.control_dependencies([shown_images, shown_weights]):
            self._images.scatter_update(tf.IndexedSlices(images, slots))
            self._weights.scatter_update(tf.IndexedSlices(weights, slots))
            self._seen.assign(seen + tf.cast(count, tf.int64))
        return shown_images, shown_weights
