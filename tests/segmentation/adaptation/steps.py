"""Single steps of adaptation methods on two small images a domain."""

import functools
import tempfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kliep_tf.data.pipeline import LabelledUnpairedBatch
from kliep_tf.segmentation.adaptation.method import Adapter, Setup, Step
from kliep_tf.segmentation.adaptation.methods import load_method
from kliep_tf.segmentation.optimizers import OptimizerSettings, backbone_of
from tests.segmentation.small_network import normalized, small

NUM_CLASSES = 3
# Method, settings that differ from the published ones.
VARIANTS = {
    "adaptsegnet": ("adaptsegnet", {"discriminator_filters": 2}),
    "adaptsegnet_2": (
        "adaptsegnet",
        {"levels": 2, "discriminator_filters": 2},
    ),
    "road": ("road", {"classifier_filters": 2, "spatial_weight": 0.5}),
    # The same without a teacher, which asks for a backbone.
    "road_alone": (
        "road",
        {
            "classifier_filters": 2,
            "spatial_weight": 0.5,
            "distillation_weight": 0.0,
        },
    ),
    # Without dropout, whose masks differ between the images of a batch; and
    # with a segmenter that always learns.
    "adda": (
        "adda",
        {
            "discriminator_filters": 4,
            "discriminator_dropout": 0.0,
            "least_accuracy": 0.0,
        },
    ),
}


def make_batch(
    source_weight=(1.0, 1.0), target_weight=(1.0, 1.0), rows=(0, 1)
) -> LabelledUnpairedBatch:
    """A batch of the images `rows` of two, [2, 32, 32, 3]."""
    rng = np.random.default_rng(0)
    source, target = rng.uniform(-1, 1, (2, 2, 32, 32, 3)).astype(np.float32)
    label = rng.integers(0, NUM_CLASSES, (2, 32, 32, 1)).astype(np.uint8)
    label[:, :4] = 255
    rows = list(rows)
    return LabelledUnpairedBatch(
        tf.constant(source[rows]),
        tf.constant(source_weight, tf.float32),
        tf.constant(target[rows]),
        tf.constant(target_weight, tf.float32),
        tf.constant(label[rows]),
    )


# At rate 1, so that a step is the gradient.
PLAIN_SGD = OptimizerSettings(1, 1.0, "sgd", momentum=0.0, schedule="constant")


def make_setup(
    batch_size: int = 2,
    network: str = "small",
    optimizer: OptimizerSettings = PLAIN_SGD,
) -> Setup:
    return Setup(
        network_name=network,
        num_classes=NUM_CLASSES,
        ignore_label=255,
        global_batch_size=batch_size,
        optimizer=optimizer,
        least_side=32,
    )


def build(
    variant: str,
    batch_size: int = 2,
    replicate: Callable[[Step], Step] = lambda step: step,
    optimizer: OptimizerSettings = PLAIN_SGD,
    **changes: Any,
) -> tuple[keras.Model, Adapter]:
    """The segmenter and the method at work around it.

    Levels other than the output need a backbone, whose batch normalisation
    mixes the images of a batch.
    """
    name, settings = VARIANTS[variant][0], settings_of(variant)
    method = load_method(name)
    network = (normalized if needs_backbone(variant) else small)(NUM_CLASSES, 1)
    setup = make_setup(batch_size, network.name, optimizer)
    values = method.settings(**settings | changes)
    return network, method.build(network, values, setup, replicate)


def settings_of(variant: str) -> dict[str, Any]:
    """The settings of a variant; a teacher's weights lie in a file."""
    _, settings = VARIANTS[variant]
    if variant == "road":
        return {**settings, "teacher_weights": teacher_file()}
    return settings


def needs_backbone(variant: str) -> bool:
    return variant in ("adaptsegnet_2", "road")


@functools.cache
def teacher_file() -> str:
    """Returns a file of weights for the backbone of `normalized`."""
    path = tempfile.mkdtemp() + "/teacher.weights.h5"
    backbone_of(normalized(NUM_CLASSES, seed=77)).save_weights(path)
    return path


def state(network: keras.Model, adapter: Adapter) -> dict[str, np.ndarray]:
    """Every number that a step may change, by name."""
    found = {}
    parts = {"network": network, **adapter.trackables()}
    for name, part in parts.items():
        variables = [part] if isinstance(part, tf.Variable) else part.variables
        for number, variable in enumerate(variables):
            found[f"{name}/{number}"] = variable.numpy().copy()
    return found


def changed(before: dict, after: dict) -> set[str]:
    """The parts, such as "network", of which some number has changed."""
    return {
        name.split("/")[0]
        for name, value in before.items()
        if not np.array_equal(value, after[name])
    }
