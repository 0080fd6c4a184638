import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.errors import UserError
from kliep_tf.segmentation.adaptation import road, road_parts
from kliep_tf.segmentation.drn import drn_c_26
from kliep_tf.segmentation.optimizers import backbone_of
from kliep_tf.segmentation.train_step import cross_entropy
from tests.segmentation.adaptation.steps import (
    NUM_CLASSES,
    build,
    make_batch,
    make_setup,
    teacher_file,
)
from tests.segmentation.small_network import normalized, small


def test_cells_are_a_3x3_grid_over_the_frame():
    rows, columns = np.mgrid[:7, :12]
    features = tf.constant((100 * rows + columns)[None, ..., None])
    found = road_parts.cells(features)
    # Rows 0-1, 2-3, 4-6; columns 0-3, 4-7, 8-11.
    assert [cell.shape[1:3] for cell in found] == [
        (2, 4), (2, 4), (2, 4), (2, 4), (2, 4), (2, 4), (3, 4), (3, 4), (3, 4)
    ]  # fmt: skip
    corners = [int(cell[0, 0, 0, 0]) for cell in found]
    assert corners == [0, 4, 8, 200, 204, 208, 400, 404, 408]


def test_distance_by_hand():
    features = np.zeros((2, 1, 2, 2), np.float32)
    features[0, 0, 0] = (3, 4)  # 5 from 0, and 0: mean 2.5
    found = road_parts.distance(tf.constant(features), tf.zeros_like(features))
    np.testing.assert_allclose(found, [2.5, 0], atol=1e-5)


def test_equal_features_have_a_distance_without_gradient():
    features = tf.ones([1, 2, 2, 3])
    with tf.GradientTape() as tape:
        tape.watch(features)
        loss = road_parts.distance(features, tf.ones([1, 2, 2, 3]))
    np.testing.assert_array_equal(tape.gradient(loss, features), 0)


def test_gradient_is_reversed():
    x = tf.constant(2.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = 3.0 * road_parts.reverse_gradient(x)
    assert float(y) == 6.0 and float(tape.gradient(y, x)) == -3.0


def test_domain_classifiers_have_the_parameters_of_their_definition():
    model = road_parts.domain_classifiers(512, 256, seed=0)
    # Nine of 512-256-1 with biases.
    expected = 9 * (512 * 256 + 256 + 256 + 1)
    assert model.count_params() == expected


def test_last_features_are_those_of_the_backbone_or_before_the_classifier():
    assert road_parts.last_features(drn_c_26(19, 0)).shape[-1] == 512
    assert road_parts.last_features(small(3, 0)).shape[-1] == 8


def test_step_is_that_of_the_losses_written_out():
    """Batch of one, weights of 1, without a teacher."""
    network, adapter = build("road_alone", batch_size=1)
    classifiers = adapter.trackables()["classifiers"]
    start = classifiers.get_weights()
    batch = make_batch((1,), (1,), rows=(0,))
    reference = small(NUM_CLASSES, 1)
    body = keras.Sequential(reference.layers[:-1])
    head = reference.layers[-1]
    bce = keras.losses.BinaryCrossentropy(from_logits=True)
    edges = (0, 10, 21, 32)

    def told(images, truth):
        features = body(images, training=True)
        parts = [
            features[:, edges[i] : edges[i + 1], edges[j] : edges[j + 1]]
            for i in range(3)
            for j in range(3)
        ]
        losses = [
            bce(tf.fill(logits.shape, truth), logits)
            for logits in classifiers(parts)
        ]
        return tf.reduce_mean(losses)

    with tf.GradientTape(persistent=True) as tape:
        entropy = cross_entropy(
            batch.source_label, head(body(batch.source, training=True))
        )[0]
        domains = told(batch.source, 1.0) + told(batch.target, 0.0)
        # The segmenter makes the classifiers' loss larger, they smaller.
        of_segmenter = entropy - 0.5 * domains
        of_classifiers = 0.5 * domains
    expected = tape.gradient(of_segmenter, reference.trainable_variables)
    expected += tape.gradient(of_classifiers, classifiers.trainable_variables)
    before = [*network.get_weights(), *start]
    adapter.train_step(batch)
    after = [*network.get_weights(), *classifiers.get_weights()]
    for old, new, gradient in zip(before, after, expected, strict=True):
        np.testing.assert_allclose(old - new, gradient, rtol=1e-3, atol=1e-6)


def test_teacher_is_the_file_and_stays_as_it_is():
    _, adapter = build("road")
    teacher = adapter._teacher
    expected = backbone_of(normalized(NUM_CLASSES, seed=77)).get_weights()
    adapter.train_step(make_batch())
    for found, value in zip(teacher.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(found, value)


def test_distillation_draws_the_segmenter_towards_the_teacher():
    _, adapter = build("road", distillation_weight=0.1, spatial_weight=0.0)
    batch = make_batch()
    ignored = batch._replace(source_label=batch.source_label * 0 + 255)
    apart = [float(adapter.train_step(ignored)["distillation"]) for _ in "1234"]
    assert apart == sorted(apart, reverse=True) and apart[-1] < apart[0]


def test_features_too_coarse_for_the_grid_are_named():
    setup = dataclasses.replace(make_setup(), least_side=16)
    # Output stride 8: two rows.
    settings = road.RoadSettings(distillation_weight=0.0)
    with pytest.raises(UserError, match="3 rows and columns or more, found 2"):
        road.Road(drn_c_26(3, 0), settings, setup, lambda step: step)


def test_teacher_of_another_network_is_named():
    settings = road.RoadSettings(teacher_weights=teacher_file())
    setup = make_setup(network="drn_c_26")
    with pytest.raises(UserError, match=r"--teacher_weights=.*backbone"):
        road.frozen_teacher(settings, setup)
