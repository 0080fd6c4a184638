import keras
import numpy as np
import tensorflow as tf

from kliep_tf.translation.optimizers import (
    FusedAdam,
    Halvings,
    LinearDecay,
    running_decay,
    update_average,
)

OPTIONS = {"learning_rate": 0.01, "beta_1": 0.5}


def make(optimizer_class, **options):
    variables = [keras.Variable([1.0, -2.0]), keras.Variable([[3.0]])]
    optimizer = optimizer_class(**OPTIONS, **options)
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


def test_l2_penalty_is_part_of_the_gradient():
    """As in PyTorch, whose Adam adds weight_decay * w before the moments."""
    penalized, found = make(FusedAdam, l2_penalty=0.1)
    plain, expected = make(FusedAdam)
    for seed in range(3):
        penalized.apply(gradients(seed), found)
        pulled = [
            gradient + 0.1 * variable
            for gradient, variable in zip(
                gradients(seed), expected, strict=True
            )
        ]
        plain.apply(pulled, expected)
    assert_equal(found, expected)
    assert_equal(penalized.variables, plain.variables)
    copy = FusedAdam.from_config(penalized.get_config())
    assert copy.l2_penalty == 0.1


def test_rate_is_halved_at_equal_distances():
    schedule = Halvings(8.0, every=10)
    rates = [float(schedule(step)) for step in (0, 9, 10, 19, 20, 30)]
    assert rates == [8.0, 8.0, 4.0, 4.0, 2.0, 1.0]
    assert float(Halvings(8.0, every=0)(10**6)) == 8.0


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


def test_rate_is_constant_then_falls_and_never_reaches_0():
    schedule = LinearDecay(1.0, num_steps=10)
    rates = [float(schedule(step)) for step in range(10)]
    expected = [1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


def one_number(value):
    model = keras.Sequential([keras.Input([1]), keras.layers.Dense(1)])
    model.set_weights([np.full([1, 1], value), np.zeros([1])])
    return model


def test_decay_begins_small_and_ends_at_what_was_asked():
    # 1/10, 2/11, then the limit; (1 + 990) / (10 + 990) = 0.991
    decays = [float(running_decay(0.25, step)) for step in (0, 1, 2, 3, 100)]
    np.testing.assert_allclose(decays, [0.1, 2 / 11, 0.25, 0.25, 0.25])
    np.testing.assert_allclose(running_decay(0.999, 990), 0.991)


def test_average_moves_by_the_decay():
    average, model = one_number(1.0), one_number(5.0)
    update_average(average, model, tf.constant(0.75))
    # 0.75 x 1 + 0.25 x 5
    assert average.get_weights()[0] == [[2.0]]
    assert model.get_weights()[0] == [[5.0]]
