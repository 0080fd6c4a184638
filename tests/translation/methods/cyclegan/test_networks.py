"""Which convolution the generators take, and that it does not matter."""

import pytest
import tensorflow as tf

from kliep_tf.translation.method import Setup
from kliep_tf.translation.methods.cyclegan.networks import uses_winograd
from kliep_tf.translation.methods.cyclegan.settings import CycleGANSettings
from tests.translation.methods.cyclegan.small_model import (
    assert_same,
    make_batch,
    trained_weights,
)

SETUP = Setup(image_size=(64, 64))


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("rematerialize", [False, True])
def test_training_takes_the_same_step(rematerialize):
    batch = make_batch([0.5, 1.5], [1.2, 0.8])
    direct, winograd = (
        trained_weights(
            2,
            batch,
            num_residual_blocks=1,
            convolution=convolution,
            rematerialize=rematerialize,
        )
        for convolution in ("direct", "winograd")
    )
    assert_same(winograd, direct)


@pytest.fixture
def num_gpus(monkeypatch):
    """Sets how many GPUs TensorFlow finds."""

    def set_number(number):
        devices = [tf.config.PhysicalDevice("GPU", "GPU")] * number
        monkeypatch.setattr(
            tf.config, "list_physical_devices", lambda kind: devices
        )

    set_number(0)
    return set_number


@pytest.mark.parametrize(
    ("settings", "setup"),
    [({}, {"jit_compile": True}), ({"generator_filters": 16}, {})],
)
def test_auto_is_direct_where_winograd_is_no_gain(num_gpus, settings, setup):
    setup = Setup(image_size=(64, 64), **setup)
    assert not uses_winograd(CycleGANSettings(**settings), setup)
    settings = CycleGANSettings(convolution="winograd", **settings)
    assert uses_winograd(settings, setup)


def test_auto_is_winograd_on_cpus_alone(num_gpus):
    assert uses_winograd(CycleGANSettings(), SETUP)
    num_gpus(1)
    assert not uses_winograd(CycleGANSettings(), SETUP)
