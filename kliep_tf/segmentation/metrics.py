"""Confusion matrices and scores of them, as cityscapesScripts defines them."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from kliep_tf.data.class_sets import IGNORE_LABEL, ClassSet
from kliep_tf.errors import UserError

# Classes of one group may be taken for each other: group name -> class names.
Groups = Mapping[str, tuple[str, ...]]

CITYSCAPES_CATEGORIES: Groups = {
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


@tf.function(reduce_retracing=True, autograph=False)
def predict_and_count(
    scores: tf.Tensor, label: tf.Tensor, ignore_label: int = IGNORE_LABEL
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns each image's prediction and counts, at the label's resolution.

    It runs on the device that predicts, so that only counts need leave it.

    Args:
        scores: float [B, h, w, C], probabilities or logits; brought to the
            label's size first.
        label: uint8 [B, H, W, 1], train ids or `ignore_label`.
        ignore_label: of the labels' ClassSet.

    Returns:
        uint8 [B, H, W] train ids, and int32 [B, C * C + 2] for
        `count_matrices`.
    """
    size = tf.shape(label)[1:3]
    scores = tf.cond(
        tf.reduce_all(tf.shape(scores)[1:3] == size),
        lambda: scores,
        lambda: tf.cast(tf.image.resize(scores, size), scores.dtype),
    )
    # Not the static shape: once a second set of classes has been seen, the
    # trace is shared and the last axis has any length.
    num_classes = tf.shape(scores)[-1]
    # Behind the cells of the matrix: ignored pixels, and values that are no
    # label.
    ignored, invalid = num_classes**2, num_classes**2 + 1
    num_bins = num_classes**2 + 2
    prediction = tf.argmax(scores, -1, output_type=tf.int32)
    label = tf.cast(label[..., 0], tf.int32)
    cell = label * num_classes + prediction
    cell = tf.where(label < num_classes, cell, invalid)
    cell = tf.where(label == ignore_label, ignored, cell)
    batch = tf.shape(label)[0]
    # One histogram for all images: each has bins of its own.
    cell += num_bins * tf.range(batch)[:, tf.newaxis, tf.newaxis]
    counts = tf.math.bincount(
        tf.reshape(cell, [-1]),
        minlength=batch * num_bins,
        maxlength=batch * num_bins,
    )
    return tf.cast(prediction, tf.uint8), tf.reshape(counts, [batch, num_bins])


def count_matrices(
    counts: tf.Tensor, label: np.ndarray, classes: ClassSet
) -> np.ndarray:
    """Returns int64 [B, C, C]: labels in rows, predictions in columns.

    Args:
        counts: as `predict_and_count` returns them.
        label: what they were counted on, uint8 [B, H, W, 1].
        classes: of the labels.

    Raises:
        UserError: a label is neither a train id nor ignored.
    """
    counts = np.asarray(counts, np.int64)
    num_classes = len(classes)
    if counts[:, -1].any():
        # Rare, and the slow way names the label.
        confusion_matrix(
            label, np.zeros_like(label), num_classes, classes.ignore_label
        )
    return counts[:, :-2].reshape(-1, num_classes, num_classes)


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
    return _mean_of_defined(per_class_iou(matrix))


def pixel_accuracy(matrix: np.ndarray) -> float:
    """Returns the share of pixels predicted as labelled; NaN without pixels."""
    matrix = np.asarray(matrix, np.float64)
    return float(_ratio(np.trace(matrix), matrix.sum()))


def class_accuracy(matrix: np.ndarray) -> float:
    """Returns the mean over labelled classes of each one's recall.

    NaN without pixels.
    """
    return _mean_of_defined(np.diag(normalize_rows(matrix)))


def frequency_weighted_iou(matrix: np.ndarray) -> float:
    """Returns the classes' IoU weighted by their labelled pixels.

    NaN without pixels.
    """
    labelled = np.asarray(matrix, np.float64).sum(axis=1)
    iou = np.where(labelled > 0, per_class_iou(matrix), 0.0)
    return float(_ratio(np.sum(labelled * iou), labelled.sum()))


def groups_of(
    classes: ClassSet, groups: Groups = CITYSCAPES_CATEGORIES
) -> dict[str, tuple[str, ...]]:
    """Returns the groups of the classes that a set has.

    Empty where some class belongs to no group: scores by group would then
    leave out its pixels.
    """
    known = {name for members in groups.values() for name in members}
    if not known.issuperset(classes.names):
        return {}
    found = {
        group: tuple(name for name in members if name in classes.names)
        for group, members in groups.items()
    }
    return {group: members for group, members in found.items() if members}


def group_matrix(
    matrix: np.ndarray, classes: ClassSet, groups: Groups
) -> np.ndarray:
    """Returns the confusion [G, G] of groups from the [C, C] of classes.

    `per_class_iou` of it is Cityscapes' category IoU: taking a car for a bus
    is right.
    """
    membership = np.array(
        [
            [name in members for name in classes.names]
            for members in groups.values()
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


def _mean_of_defined(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


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
