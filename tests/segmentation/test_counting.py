import numpy as np
import pytest

from kliep_tf.errors import UserError
from kliep_tf.segmentation.counting import matrices_of, predict_and_count
from kliep_tf.segmentation.metrics import confusion_matrix


def _scores(classes: np.ndarray) -> np.ndarray:
    """float32 [B, H, W, 19] whose largest class is given."""
    return np.eye(19, dtype=np.float32)[classes]


def test_each_image_has_its_own_matrix():
    label = np.array([[[0, 0, 18]], [[18, 255, 255]]], np.uint8)[..., None]
    predicted = np.array([[[0, 7, 18]], [[3, 3, 18]]])
    prediction, counts = predict_and_count(_scores(predicted), label)
    matrices = matrices_of(counts, label)
    np.testing.assert_array_equal(prediction, predicted)
    assert matrices.shape == (2, 19, 19) and matrices.dtype == np.int64
    assert matrices[0, 0, 0] == matrices[0, 0, 7] == matrices[0, 18, 18] == 1
    assert matrices[1, 18, 3] == 1
    assert matrices.sum() == 4  # two pixels are ignored


def test_counts_are_those_of_numpy():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 19, (3, 8, 8, 1)).astype(np.uint8)
    label[rng.random(label.shape) < 0.2] = 255
    predicted = rng.integers(0, 19, (3, 8, 8))
    _, counts = predict_and_count(_scores(predicted), label)
    for found, one_label, one in zip(
        matrices_of(counts, label), label, predicted, strict=True
    ):
        expected = confusion_matrix(one_label[..., 0], one, 19)
        np.testing.assert_array_equal(found, expected)


def test_scores_are_brought_to_the_size_of_the_label():
    label = np.zeros((1, 8, 12, 1), np.uint8)
    label[:, :, 6:] = 5
    halves = np.repeat([[[0] * 3 + [5] * 3]], 4, axis=1)
    prediction, counts = predict_and_count(_scores(halves), label)
    np.testing.assert_array_equal(prediction, label[..., 0])
    assert np.trace(matrices_of(counts, label)[0]) == 96


def test_label_that_is_none_is_named():
    label = np.array([[[0, 19]]], np.uint8)[..., None]
    _, counts = predict_and_count(_scores(np.zeros((1, 1, 2), int)), label)
    with pytest.raises(UserError, match=r"expected 0\.\.18 or 255, found 19"):
        matrices_of(counts, label)
