"""Do translated images still show what their labels say?

A segmenter that has learned the target's looks is applied to translated source
images and compared with the source's labels. Trees painted into the sky appear
as sky labels predicted as vegetation.
"""

from collections.abc import Iterable

import numpy as np

from kliep_tf.data.datasets import CLASS_NAMES, NUM_CLASSES
from kliep_tf.segmentation.inference import Segmenter, predict_labels
from kliep_tf.segmentation.metrics import confusion_matrix


def semantic_consistency(
    segmenter: Segmenter,
    image_label_batches: Iterable[tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """Returns int64 [19, 19]: source labels (rows) against predictions.

    Args:
        segmenter: uint8 [N, H, W, 3] to probabilities [N, H, W, 19].
        image_label_batches: translated images, uint8 [N, H, W, 3], and the
            labels of their sources, uint8 [N, H, W, 1] train ids or 255.

    Raises:
        UserError: a label is neither a train id nor 255, or its size is not
            the image's.
    """
    matrix = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)
    for images, labels in image_label_batches:
        predictions = predict_labels(segmenter, images)
        matrix += confusion_matrix(
            np.asarray(labels)[..., 0], predictions, NUM_CLASSES
        )
    return matrix


def predicted_share(matrix: np.ndarray, label: str, prediction: str) -> float:
    """Returns the share of a class's pixels that are predicted as another.

    `predicted_share(matrix, "sky", "vegetation")` is the paper's complaint;
    with the same class twice it is the share that is kept.

    Args:
        matrix: [19, 19], as `semantic_consistency` returns it.
        label: a name of CLASS_NAMES, the row.
        prediction: a name of CLASS_NAMES, the column.

    Returns:
        NaN where the class is labelled nowhere.
    """
    row = np.asarray(matrix, np.float64)[CLASS_NAMES.index(label)]
    total = row.sum()
    if total == 0:
        return float("nan")
    return float(row[CLASS_NAMES.index(prediction)] / total)


def sky_kept(matrix: np.ndarray) -> float:
    """Returns the share of sky pixels still taken for sky."""
    return predicted_share(matrix, "sky", "sky")


def sky_to_vegetation(matrix: np.ndarray) -> float:
    """Returns the share of sky pixels now taken for vegetation."""
    return predicted_share(matrix, "sky", "vegetation")
