"""What holds of every method: weights, and who learns from which term."""

import numpy as np
import pytest

from tests.segmentation.adaptation.steps import (
    VARIANTS,
    build,
    make_batch,
    needs_backbone,
    state,
)

# Batch normalisation mixes the images of a batch: there a weight of 0 removes
# an image's losses, and not the image from the statistics.
INDEPENDENT = [name for name in VARIANTS if not needs_backbone(name)]


@pytest.mark.parametrize("variant", INDEPENDENT)
def test_weight_0_removes_an_example_and_2_counts_it_twice(variant):
    found = []
    for batch in (
        make_batch(source_weight=(2, 0), target_weight=(2, 0)),
        make_batch(rows=(0, 0)),
    ):
        network, adapter = build(variant)
        adapter.train_step(batch)
        found.append(state(network, adapter))
    for name, value in found[0].items():
        if name.startswith("accuracies"):
            continue  # judged on all images alike
        np.testing.assert_allclose(
            value, found[1][name], rtol=1e-4, atol=1e-6, err_msg=name
        )


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_learns_from_images_of_weight_0(variant):
    network, adapter = build(variant)
    before = [v.numpy() for v in network.trainable_variables]
    adapter.train_step(make_batch((0, 0), (0, 0)))
    for old, variable in zip(before, network.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, variable)


@pytest.mark.parametrize("variant", INDEPENDENT)
def test_source_and_target_weights_are_told_apart(variant):
    changes = []
    for weights in (((1, 1), (0, 0)), ((0, 0), (1, 1)), ((1, 1), (1, 1))):
        network, adapter = build(variant)
        before = network.get_weights()
        adapter.train_step(make_batch(*weights))
        after = network.get_weights()
        changes.append([b - a for a, b in zip(before, after, strict=True)])
    for of_source, of_target, of_both in zip(*changes, strict=True):
        assert np.abs(of_source).max() > np.abs(of_target).max() >= 0
        # Plain SGD: the terms of the domains add up, but for what the second
        # of two steps sees of the first.
        np.testing.assert_allclose(
            of_source + of_target, of_both, rtol=1e-2, atol=1e-5
        )
