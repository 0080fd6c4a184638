import keras
import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.errors import UserError
from kliep_tf.segmentation.optimizers import (
    GradientRule,
    OptimizerSettings,
    backbone_of,
    make_optimizer,
)


def _network() -> keras.Model:
    """A backbone of a depthwise and a full convolution, and a head."""
    inner = keras.Input((None, None, 3))
    x = keras.layers.DepthwiseConv2D(1, use_bias=False)(inner)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Conv2D(4, 1, use_bias=False)(x)
    backbone = keras.Model(inner, x, name="backbone")
    image = keras.Input((None, None, 3))
    logits = keras.layers.Conv2D(2, 1, bias_initializer="ones")(backbone(image))
    return keras.Model(image, logits)


def _rates(settings: OptimizerSettings) -> list[float]:
    optimizer = make_optimizer(_network(), settings)
    schedule = optimizer._learning_rate
    return [float(schedule(step)) for step in range(settings.num_steps)]


def test_poly_is_deeplabs_schedule():
    # (1 - step / 4)^0.9 of the first rate
    expected = [0.1 * (1 - step / 4) ** 0.9 for step in range(4)]
    found = _rates(OptimizerSettings(num_steps=4, learning_rate=0.1))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("drop_every", "expected"),
    [
        (0.5, [1, 1, 1, 0.1, 0.1, 0.1]),  # every 100 of 200 epochs
        (1 / 3, [1, 1, 0.1, 0.1, 0.01, 0.01]),
        (1.0, [1] * 6),
    ],
)
def test_step_divides_the_rate_by_ten(drop_every, expected):
    settings = OptimizerSettings(
        num_steps=6, learning_rate=1.0, schedule="step", drop_every=drop_every
    )
    np.testing.assert_allclose(_rates(settings), expected, rtol=1e-6)


def test_decay_and_head_factor_by_hand():
    network = _network()
    settings = OptimizerSettings(
        1, 0.5, optimizer="sgd", weight_decay=0.1, head_learning_rate_factor=10
    )
    optimizer = make_optimizer(network, settings)
    variables = network.trainable_variables
    before = {v.path: v.numpy() for v in variables}
    gradients = [tf.ones(v.shape) for v in variables]
    rule = GradientRule(network, settings)
    optimizer.apply_gradients(zip(rule(gradients), variables, strict=True))
    taken = {v.path: before[v.path] - v.numpy() for v in variables}
    kinds = {}
    for variable in variables:
        old, where = before[variable.path], variable.path
        if variable.ndim == 4 and "depthwise" not in where:
            in_backbone = any(
                variable is v for v in backbone_of(network).trainable_variables
            )
            # rate 0.5 * (gradient 1 + 0.1 w), ten times that in the head
            factor = 1 if in_backbone else 10
            expected = 0.5 * (1 + 0.1 * old) * factor
            kinds["slow" if in_backbone else "fast"] = True
        elif variable.shape == (2,):
            expected = np.full(2, 0.5 * 10)  # the head's bias: no decay
            kinds["bias"] = True
        else:
            expected = np.full(old.shape, 0.5)  # normalisation, depthwise
        np.testing.assert_allclose(taken[where], expected, rtol=1e-5)
    assert kinds.keys() == {"slow", "fast", "bias"}


def test_a_faster_head_needs_a_backbone():
    settings = OptimizerSettings(4, 0.1, "sgd", head_learning_rate_factor=10.0)
    with pytest.raises(UserError, match="--head_learning_rate_factor=10"):
        GradientRule(keras.Sequential([keras.Input((4,))]), settings)


def test_momentum():
    network = _network()
    settings = OptimizerSettings(100, 1.0, optimizer="sgd", momentum=0.5)
    optimizer = make_optimizer(network, settings)
    assert isinstance(optimizer, keras.optimizers.SGD)
    bias = network.trainable_variables[-1]
    gradients = [tf.ones(v.shape) for v in network.trainable_variables]
    places = []
    for _ in range(3):
        optimizer.apply_gradients(
            zip(gradients, network.trainable_variables, strict=True)
        )
        places.append(float(bias[0]))
    rates = [(1 - step / 100) ** 0.9 for step in range(3)]
    # Steps r0, r1 + r0 / 2, r2 + r1 / 2 + r0 / 4, from a bias of 1.
    steps = [
        rates[0],
        rates[1] + rates[0] / 2,
        rates[2] + rates[1] / 2 + rates[0] / 4,
    ]
    np.testing.assert_allclose(places, 1 - np.cumsum(steps), rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0.0}, "--learning_rate=0.0: expected more than 0"),
        ({"weight_decay": -1.0}, "--weight_decay=-1.0: expected 0 or more"),
        ({"learning_rate": 1e6}, "=1000000.0: expected more than 0, 1 or less"),
        ({"momentum": 1.0}, "--momentum=1.0: expected 0 or more, less than 1"),
        ({"drop_every": 0.0}, "--drop_every=0.0: expected more than 0"),
        (
            {"head_learning_rate_factor": 10.0},
            "expected 1 but for --optimizer=sgd",
        ),
    ],
)
def test_senseless_settings_are_named(changes, message):
    settings = {"num_steps": 1, "learning_rate": 1.0} | changes
    with pytest.raises(UserError, match=message):
        OptimizerSettings(**settings).check()
