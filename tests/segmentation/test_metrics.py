import numpy as np
import pytest

from kliep_tf.data.datasets import CLASS_NAMES
from kliep_tf.errors import UserError
from kliep_tf.segmentation import metrics


def test_rows_are_labels_and_columns_predictions():
    labels = np.array([[0, 0], [1, 2]], np.uint8)
    predictions = np.array([[0, 2], [1, 1]], np.uint8)
    # label 0: once right, once taken for 2; label 1: right; label 2: taken
    # for 1.
    expected = [[1, 0, 1], [0, 1, 0], [0, 1, 0]]
    matrix = metrics.confusion_matrix(labels, predictions, 3)
    np.testing.assert_array_equal(matrix, expected)
    assert matrix.dtype == np.int64


def test_scores_by_hand():
    matrix = np.array([[1, 0, 1], [0, 1, 0], [0, 1, 0]])
    # sum_row = [2, 1, 1], sum_col = [1, 2, 1], true_positives = [1, 1, 0]
    # iou = true_positives / (sum_row + sum_col - true_positives)
    expected = [1 / (2 + 1 - 1), 1 / (1 + 2 - 1), 0 / (1 + 1 - 0)]
    np.testing.assert_allclose(metrics.per_class_iou(matrix), expected)
    assert metrics.mean_iou(matrix) == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    # 2 of 4 pixels lie on the diagonal.
    assert metrics.pixel_accuracy(matrix) == 2 / 4


def test_ignored_pixels_are_left_out_whatever_is_predicted_there():
    labels = np.array([255, 0, 255, 1], np.uint8)
    predictions = np.array([1, 0, 200, 1], np.uint8)
    matrix = metrics.confusion_matrix(labels, predictions, 2)
    np.testing.assert_array_equal(matrix, [[1, 0], [0, 1]])


def test_another_ignore_label():
    matrix = metrics.confusion_matrix(
        np.array([0, 1]), np.array([0, 0]), 2, ignore_label=1
    )
    np.testing.assert_array_equal(matrix, [[1, 0], [0, 0]])


def test_class_absent_from_both_is_left_out_of_the_mean():
    # Class 1 is absent; class 2 is predicted but never labelled.
    matrix = np.array([[3, 0, 1], [0, 0, 0], [0, 0, 0]])
    iou = metrics.per_class_iou(matrix)
    # class 0: 3 / (4 + 3 - 3); class 2: 0 / (0 + 1 - 0)
    np.testing.assert_array_equal(iou, [3 / 4, np.nan, 0.0])
    assert metrics.mean_iou(matrix) == (3 / 4 + 0) / 2


def test_no_pixels_have_no_score():
    matrix = metrics.confusion_matrix(
        np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8), 3
    )
    assert not matrix.any()
    assert np.isnan(metrics.mean_iou(matrix))
    assert np.isnan(metrics.pixel_accuracy(matrix))


def test_frequency_weighted_iou_by_hand():
    # Labelled 3 and 1 pixels; class 2 is predicted once and never labelled.
    matrix = np.array([[2, 0, 1], [0, 1, 0], [0, 0, 0]])
    # IoU 2 / 3 and 1 / 1, weights 3 / 4 and 1 / 4
    assert metrics.frequency_weighted_iou(matrix) == pytest.approx(
        3 / 4 * 2 / 3 + 1 / 4
    )
    assert np.isnan(metrics.frequency_weighted_iou(np.zeros((3, 3))))


def test_classes_of_one_category_are_one():
    car, bus, sky = (CLASS_NAMES.index(n) for n in ("car", "bus", "sky"))
    matrix = np.zeros((19, 19), np.int64)
    matrix[car, bus], matrix[car, sky], matrix[sky, sky] = 5, 1, 2
    found = metrics.category_matrix(matrix)
    names = list(metrics.CATEGORIES)
    vehicle, heaven = names.index("vehicle"), names.index("sky")
    assert found[vehicle, vehicle] == 5 and found[vehicle, heaven] == 1
    assert found[heaven, heaven] == 2 and found.sum() == 8
    every = [
        name for members in metrics.CATEGORIES.values() for name in members
    ]
    assert sorted(every) == sorted(CLASS_NAMES)


def test_normalized_rows_sum_to_one_where_labelled():
    shares = metrics.normalize_rows(np.array([[3, 1], [0, 0]]))
    np.testing.assert_array_equal(shares, [[3 / 4, 1 / 4], [np.nan, np.nan]])


@pytest.mark.parametrize(
    "labels, predictions, message",
    [
        ([0, 7], [0, 0], "labels: expected 0..2 or 255, found 7"),
        ([0, -1], [0, 0], "labels: expected 0..2 or 255, found -1"),
        ([0, 1], [0, 3], "predictions: expected 0..2, found 3"),
        ([0, 1], [0, 255], "predictions: expected 0..2, found 255"),
        ([0, 1], [0], r"equal shapes, found \[2\] and \[1\]"),
        ([0, 1], [0.0, 1.0], "predictions: expected integers, found float64"),
    ],
)
def test_bad_values_are_named(labels, predictions, message):
    with pytest.raises(UserError, match=message):
        metrics.confusion_matrix(np.array(labels), np.array(predictions), 3)
