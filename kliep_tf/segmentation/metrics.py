"""Confusion matrices and what is read off them, as cityscapesScripts does."""

import numpy as np

from kliep_tf.data.datasets import CLASS_NAMES, IGNORE_LABEL
from kliep_tf.errors import UserError

# The seven categories of Cityscapes and their classes.
CATEGORIES = {
    "flat": ("road", "sidewalk"),
    "construction": ("building", "wall", "fence"),
    "object": ("pole", "traffic light", "traffic sign"),
    "nature": ("vegetation", "terrain"),
    "sky": ("sky",),
    "human": ("person", "rider"),
    "vehicle": ("car", "truck", "bus", "train", "motorcycle", "bicycle"),
}


def confusion_matrix(
    labels: np.ndarray,
    predictions: np.ndarray,
    num_classes: int,
    ignore_label: int = IGNORE_LABEL,
) -> np.ndarray:
    """Returns int64 [C, C]: pixels by label (row) and prediction (column).

    Args:
        labels: integers of any shape, 0..C-1 or `ignore_label`.
        predictions: integers of the same shape, 0..C-1 where the label is not
            ignored, anything elsewhere.
        num_classes: C.
        ignore_label: pixels of this label are left out.

    Raises:
        UserError: the shapes differ, the values are no integers, or one of
            them lies outside its range.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape:
        raise UserError(
            f"labels and predictions: expected equal shapes, found "
            f"{list(labels.shape)} and {list(predictions.shape)}"
        )
    for name, values in (("labels", labels), ("predictions", predictions)):
        if not np.issubdtype(values.dtype, np.integer):
            raise UserError(f"{name}: expected integers, found {values.dtype}")
    valid = labels != ignore_label
    labels, predictions = labels[valid], predictions[valid]
    _check_range("labels", labels, num_classes, f" or {ignore_label}")
    _check_range("predictions", predictions, num_classes, "")
    cells = labels.astype(np.int64) * num_classes + predictions
    counts = np.bincount(cells.ravel(), minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def per_class_iou(matrix: np.ndarray) -> np.ndarray:
    """Returns float64 [C]: true positives / (labelled or predicted pixels).

    NaN where a class occurs neither in the labels nor in the predictions.
    """
    matrix = np.asarray(matrix, np.float64)
    true_positives = np.diag(matrix)
    union = matrix.sum(axis=1) + matrix.sum(axis=0) - true_positives
    return _ratio(true_positives, union)


def mean_iou(matrix: np.ndarray) -> float:
    """Returns the mean IoU of the classes that occur; NaN if none does."""
    iou = per_class_iou(matrix)
    present = ~np.isnan(iou)
    return float(iou[present].mean()) if present.any() else float("nan")


def pixel_accuracy(matrix: np.ndarray) -> float:
    """Returns the share of pixels predicted as labelled; NaN without pixels."""
    matrix = np.asarray(matrix, np.float64)
    return float(_ratio(np.trace(matrix), matrix.sum()))


def frequency_weighted_iou(matrix: np.ndarray) -> float:
    """Returns the classes' IoU weighted by their labelled pixels.

    NaN without pixels.
    """
    labelled = np.asarray(matrix, np.float64).sum(axis=1)
    iou = np.where(labelled > 0, per_class_iou(matrix), 0.0)
    return float(_ratio(np.sum(labelled * iou), labelled.sum()))


def category_matrix(matrix: np.ndarray) -> np.ndarray:
    """Returns the confusion [7, 7] of CATEGORIES from that of the 19 classes.

    `per_class_iou` of it is the category IoU: taking a car for a bus is right.
    """
    membership = np.array(
        [
            [name in members for name in CLASS_NAMES]
            for members in CATEGORIES.values()
        ],
        np.int64,
    )
    return membership @ np.asarray(matrix) @ membership.T


def normalize_rows(matrix: np.ndarray) -> np.ndarray:
    """Returns float64 [C, C]: each label's pixels as shares of its row.

    The rows of classes that are not labelled anywhere are NaN.
    """
    matrix = np.asarray(matrix, np.float64)
    return _ratio(matrix, matrix.sum(axis=1, keepdims=True))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Returns part / whole, NaN where whole is 0."""
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)


def _check_range(
    name: str, values: np.ndarray, num_classes: int, addition: str
) -> None:
    bad = (values < 0) | (values >= num_classes)
    if bad.any():
        raise UserError(
            f"{name}: expected 0..{num_classes - 1}{addition}, found "
            f"{values[np.argmax(bad)]}"
        )
