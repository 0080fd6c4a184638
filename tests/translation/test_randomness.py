import numpy as np
import tensorflow as tf

from kliep_tf.translation.randomness import (
    SeededDropout,
    add_noise,
    example_seeds,
)

SEEDS = tf.constant([[1, 2], [3, 4]])


def test_seeds_are_a_function_of_seed_step_use_and_place():
    def drawn(seed=0, step=5, use=1, examples=3):
        return example_seeds(
            seed, tf.constant(step, tf.int64), use, 4, examples
        )

    np.testing.assert_array_equal(drawn(), drawn())
    np.testing.assert_array_equal(drawn()[:2], drawn(examples=2))
    everything = [drawn(), drawn(seed=1), drawn(step=6), drawn(use=2)]
    rows = {tuple(row) for seeds in everything for row in seeds.numpy()}
    assert len(rows) == 4 * 3


def test_noise_is_standard_normal_and_an_examples_own():
    x = tf.fill([2, 30, 30, 4], 7.0)
    noisy = add_noise(x, SEEDS).numpy() - 7.0
    # 3600 draws: their mean and variance deviate by .017 and .024.
    for example in noisy:
        assert abs(example.mean()) < 0.07
        assert abs(example.var() - 1.0) < 0.1
    assert abs(np.corrcoef(noisy[0].ravel(), noisy[1].ravel())[0, 1]) < 0.07
    np.testing.assert_array_equal(add_noise(x, SEEDS) - 7.0, noisy)
    np.testing.assert_array_equal(
        add_noise(x[1:], SEEDS[1:])[0] - 7.0, noisy[1]
    )
    assert add_noise(x, None) is x


def test_dropout_drops_a_share_and_keeps_the_mean():
    x = tf.ones([2, 30, 30, 4])
    dropout = SeededDropout(0.25, stream=1)
    dropped = dropout(x, SEEDS).numpy()
    np.testing.assert_allclose(np.unique(dropped), [0.0, 1 / 0.75], rtol=1e-6)
    # 7200 draws: the share deviates by .005.
    assert abs(np.mean(dropped == 0) - 0.25) < 0.025
    assert not np.array_equal(dropped[0], dropped[1])
    other = SeededDropout(0.25, stream=2)(x, SEEDS).numpy()
    assert not np.array_equal(dropped, other)
    np.testing.assert_array_equal(dropout(x), x)
