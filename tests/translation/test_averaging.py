import keras
import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.translation.averaging import running_decay, update_average
from tests.translation.small_model import make_batch, make_model


@pytest.fixture(autouse=True)
def eager():
    """Runs step by step: tracing would take longer than the arithmetic."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


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


def kernels(model):
    return [
        net.get_weights()[0]
        for net in (model.source_to_target, model.target_to_source)
    ]


def averages(model):
    return [net.get_weights()[0] for net in model.shown_generators]


def test_three_steps_average_in_closed_form():
    model = make_model(1, generator_ema=0.15)
    seen = [kernels(model)]
    np.testing.assert_array_equal(averages(model), seen[0])
    for _ in range(3):
        model.train_step(make_batch([1.0], [1.0]))
        seen.append(kernels(model))
    # Decays 0.1 (of the first step), 0.15, 0.15: each weight's share is what
    # its own step let in, times what later steps kept.
    shares = (
        0.1 * 0.15 * 0.15,
        0.9 * 0.15 * 0.15,
        0.85 * 0.15,
        0.85,
    )
    for network in (0, 1):
        expected = sum(
            share * weights[network]
            for share, weights in zip(shares, seen, strict=True)
        )
        np.testing.assert_allclose(averages(model)[network], expected, 1e-5)


def test_restored_average_goes_on_as_the_saved_one(tmp_path):
    saved, restored = (make_model(1, generator_ema=0.9) for _ in range(2))
    batches = [make_batch([1.0], [1.0], seed) for seed in range(3)]
    for batch in batches[:2]:
        saved.train_step(batch)
    path = tf.train.Checkpoint(**saved.trackables()).save(
        str(tmp_path / "model")
    )
    tf.train.Checkpoint(**restored.trackables()).restore(path)
    for model in (saved, restored):
        model.train_step(batches[2])
    np.testing.assert_array_equal(averages(saved), averages(restored))


def test_training_does_not_depend_on_whether_averages_are_kept():
    batch = make_batch([1.0], [1.0])
    plain, averaged = make_model(1), make_model(1, generator_ema=0.9)
    for model in (plain, averaged):
        model.train_step(batch)
    np.testing.assert_array_equal(kernels(plain), kernels(averaged))
    assert plain.shown_generators == (
        plain.source_to_target,
        plain.target_to_source,
    )
