import numpy as np
import pytest

from kliep_tf.data.class_sets import CITYSCAPES_CLASSES, ClassSet, LabelClass
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


def test_class_accuracy_by_hand():
    # Recalls 2 / 3 and 1 / 1; class 2 is never labelled.
    matrix = np.array([[2, 0, 1], [0, 1, 0], [0, 0, 0]])
    assert metrics.class_accuracy(matrix) == pytest.approx((2 / 3 + 1) / 2)
    assert np.isnan(metrics.class_accuracy(np.zeros((3, 3))))


def _classes(*names) -> ClassSet:
    return ClassSet("few", tuple(LabelClass(n, (0, 0, 0)) for n in names))


def test_classes_of_one_group_are_one():
    classes = _classes("car", "bus", "sky")
    matrix = np.array([[3, 5, 1], [0, 0, 0], [0, 0, 2]])
    groups = metrics.groups_of(classes)
    assert groups == {"sky": ("sky",), "vehicle": ("car", "bus")}
    found = metrics.group_matrix(matrix, classes, groups)
    # Cars taken for buses are vehicles taken for vehicles.
    np.testing.assert_array_equal(found, [[2, 0], [1, 8]])


def test_classes_of_no_group_have_no_scores_by_group():
    assert metrics.groups_of(_classes("car", "heaven")) == {}
    groups = {"all": ("car", "heaven")}
    assert metrics.groups_of(_classes("car", "heaven"), groups) == groups


def test_every_class_of_cityscapes_has_one_category():
    groups = metrics.groups_of(CITYSCAPES_CLASSES)
    members = [name for names in groups.values() for name in names]
    assert sorted(members) == sorted(CITYSCAPES_CLASSES.names)


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


def _scores(classes: np.ndarray) -> np.ndarray:
    """float32 [B, H, W, 19] whose largest class is given."""
    return np.eye(19, dtype=np.float32)[classes]


def test_each_image_has_its_own_matrix():
    label = np.array([[[0, 0, 18]], [[18, 255, 255]]], np.uint8)[..., None]
    predicted = np.array([[[0, 7, 18]], [[3, 3, 18]]])
    prediction, counts = metrics.predict_and_count(_scores(predicted), label)
    matrices = metrics.count_matrices(counts, label, CITYSCAPES_CLASSES)
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
    _, counts = metrics.predict_and_count(_scores(predicted), label)
    for found, one_label, one in zip(
        metrics.count_matrices(counts, label, CITYSCAPES_CLASSES),
        label,
        predicted,
        strict=True,
    ):
        expected = metrics.confusion_matrix(one_label[..., 0], one, 19)
        np.testing.assert_array_equal(found, expected)


def test_scores_are_brought_to_the_size_of_the_label():
    label = np.zeros((1, 8, 12, 1), np.uint8)
    label[:, :, 6:] = 5
    halves = np.repeat([[[0] * 3 + [5] * 3]], 4, axis=1)
    prediction, counts = metrics.predict_and_count(_scores(halves), label)
    np.testing.assert_array_equal(prediction, label[..., 0])
    assert (
        np.trace(metrics.count_matrices(counts, label, CITYSCAPES_CLASSES)[0])
        == 96
    )


def test_label_that_is_none_is_named():
    label = np.array([[[0, 19]]], np.uint8)[..., None]
    _, counts = metrics.predict_and_count(
        _scores(np.zeros((1, 1, 2), int)), label
    )
    with pytest.raises(UserError, match=r"expected 0\.\.18 or 255, found 19"):
        metrics.count_matrices(counts, label, CITYSCAPES_CLASSES)


def test_another_number_of_classes_and_ignore_label():
    classes = ClassSet(
        "few",
        tuple(LabelClass(name, (0, 0, 0)) for name in "abc"),
        ignore_label=7,
    )
    label = np.array([[[0, 1, 7, 2]]], np.uint8)[..., None]
    scores = np.eye(3, dtype=np.float32)[np.array([[[0, 2, 1, 2]]])]
    _, counts = metrics.predict_and_count(scores, label, 7)
    (matrix,) = metrics.count_matrices(counts, label, classes)
    np.testing.assert_array_equal(matrix, [[1, 0, 0], [0, 0, 1], [0, 0, 1]])


@pytest.mark.parametrize("num_classes", [2, 3, 5, 2])
def test_one_process_counts_for_several_sets_of_classes(num_classes):
    labels = np.arange(num_classes, dtype=np.uint8)[None, None, :, None]
    scores = np.eye(num_classes, dtype=np.float32)[None, None]
    _, counts = metrics.predict_and_count(scores, labels)
    cells = counts.numpy()[0, : num_classes**2]
    np.testing.assert_array_equal(
        cells.reshape(num_classes, num_classes), np.eye(num_classes)
    )
