import keras
import numpy as np
import tensorflow as tf

from kliep_tf.translation.fused_adam import FusedAdam

OPTIONS = {"learning_rate": 0.01, "beta_1": 0.5}


def make(optimizer_class):
    variables = [keras.Variable([1.0, -2.0]), keras.Variable([[3.0]])]
    optimizer = optimizer_class(**OPTIONS)
    optimizer.build(variables)
    return optimizer, variables


def gradients(seed):
    rng = np.random.default_rng(seed)
    return [
        tf.constant(rng.normal(size=shape), tf.float32)
        for shape in ([2], [1, 1])
    ]


def assert_equal(found, expected):
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4)


def test_first_step_is_the_learning_rate_against_the_gradient():
    optimizer, variables = make(FusedAdam)
    optimizer.apply([tf.constant([4.0, -0.5]), tf.constant([[1.0]])], variables)
    assert_equal(variables, [[0.99, -1.99], [[2.99]]])


def test_steps_and_moments_are_those_of_keras():
    (fused, found), (plain, expected) = (
        make(FusedAdam),
        make(keras.optimizers.Adam),
    )
    for seed in range(3):
        fused.apply(gradients(seed), found)
        plain.apply(gradients(seed), expected)
    assert_equal(found, expected)
    assert_equal(fused.variables, plain.variables)


def test_a_run_of_keras_adam_is_continued(tmp_path):
    plain, expected = make(keras.optimizers.Adam)
    plain.apply(gradients(0), expected)
    path = tf.train.Checkpoint(optimizer=plain).write(str(tmp_path / "c"))
    fused, found = make(FusedAdam)
    status = tf.train.Checkpoint(optimizer=fused).read(path)
    status.assert_existing_objects_matched().assert_consumed()
    for variable, value in zip(found, expected, strict=True):
        variable.assign(value)
    plain.apply(gradients(1), expected)
    fused.apply(gradients(1), found)
    assert_equal(found, expected)
