import numpy as np
import tensorflow as tf

from kliep_tf.translation.image_pool import ImagePool


def fakes(*values):
    """Constant images of these values, whose weights are ten times as large."""
    images = tf.stack([tf.fill([2, 2, 3], float(value)) for value in values])
    return images, 10.0 * tf.constant(values, tf.float32)


def values_of(images):
    return images.numpy()[:, 0, 0, 0].tolist()


def test_pool_is_filled_first_and_shows_the_new_fakes():
    pool = ImagePool(4, (2, 2, 3), seed=0)
    for start in (1, 3):
        images, _ = pool.exchange(*fakes(start, start + 1))
        assert values_of(images) == [start, start + 1]


def test_every_shown_fake_keeps_the_weight_of_its_image():
    pool = ImagePool(4, (2, 2, 3), seed=0)
    for step in range(40):
        images, weights = pool.exchange(*fakes(2 * step, 2 * step + 1))
        np.testing.assert_array_equal(10 * np.array(values_of(images)), weights)


def test_half_of_the_shown_fakes_are_old_and_none_is_lost_twice():
    exchange = tf.function(
        ImagePool(8, (2, 2, 3), seed=0).exchange, autograph=False
    )
    shown, old = [], 0
    for step in range(400):
        images, _ = exchange(*fakes(step))
        if step >= 8:
            shown.append(values_of(images)[0])
            old += shown[-1] != step
    # 392 draws of probability one half: 196 with deviation 10.
    assert 150 < old < 242
    # An exchanged fake leaves the pool: nothing is shown twice.
    assert len(set(shown)) == len(shown)


def test_pool_of_size_0_hands_through():
    pool = ImagePool(0, (2, 2, 3), seed=0)
    images, weights = pool.exchange(*fakes(5))
    assert (values_of(images), weights.numpy().tolist()) == ([5], [50])


def test_restored_pool_goes_on_as_the_saved_one(tmp_path):
    pool, restored = (ImagePool(3, (2, 2, 3), seed=1) for _ in range(2))
    for step in range(5):
        pool.exchange(*fakes(step))
    path = tf.train.Checkpoint(pool=pool).save(str(tmp_path / "pool"))
    tf.train.Checkpoint(pool=restored).restore(path).assert_consumed()
    for step in range(5, 15):
        expected, _ = pool.exchange(*fakes(step))
        found, _ = restored.exchange(*fakes(step))
        assert values_of(found) == values_of(expected)
