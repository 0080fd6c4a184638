"""What a judge's confusion matrix says of semantic consistency."""

import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kliep_tf.data.class_sets import ClassSet
from kliep_tf.errors import UserError
from kliep_tf.json_files import read_json
from kliep_tf.segmentation import metrics
from kliep_tf.segmentation.consistency import WatchedConfusion
from kliep_tf.segmentation.report import REPORT_JSON


class WatchedKeys(NamedTuple):
    """What the shares of a watched confusion are called in reports' numbers.

    Attributes:
        kept: of the label's pixels, those still seen as it.
        turned: those seen as the other class.
        lost: those seen as anything else.
    """

    kept: str
    turned: str
    lost: str


def watched_keys(watched: WatchedConfusion) -> WatchedKeys:
    """Returns such as sky_kept, sky_to_vegetation and sky_to_other."""
    label = watched.label
    return WatchedKeys(
        f"{label}_kept", f"{label}_to_{watched.prediction}", f"{label}_to_other"
    )


def read_confusion(
    directory: str | os.PathLike, classes: ClassSet
) -> np.ndarray:
    """Returns int64 [C, C], the confusion matrix that evaluate left, by labels.

    Raises:
        UserError: it is of other classes.
    """
    path = Path(directory, REPORT_JSON)
    found = read_json(
        path, "the report that evaluate writes", {"confusion_matrix": [[int]]}
    )
    rows = found["confusion_matrix"]
    if {len(row) for row in rows} != {len(classes)}:
        rows = [[]]
    matrix = np.array(rows, np.int64)
    if matrix.shape != (len(classes), len(classes)):
        raise UserError(
            f"{path}: expected a confusion matrix of the {len(classes)} "
            f"classes of {classes.name}, found one of shape "
            f"{list(matrix.shape)}"
        )
    return matrix


def consistency_numbers(
    matrix: Any, classes: ClassSet, watched: WatchedConfusion
) -> dict[str, Any]:
    """Returns what a confusion matrix says of semantic consistency.

    Args:
        matrix: [C, C], labels in rows.
        classes: what the rows and columns are.
        watched: left out where the classes do not have it.

    Returns:
        Shares from 0 to 1, None where they are undefined: mean_iou,
        pixel_accuracy, those that `watched` names, per_class (iou, kept and
        labelled_share by class name); and the matrix.
    """
    matrix = np.asarray(matrix, np.int64)
    labelled = matrix.sum(axis=1) / max(matrix.sum(), 1)
    iou = metrics.per_class_iou(matrix)
    diagonal = np.diag(metrics.normalize_rows(matrix))
    return {
        **_watched_numbers(matrix, classes, watched),
        "mean_iou": defined(metrics.mean_iou(matrix)),
        "pixel_accuracy": defined(metrics.pixel_accuracy(matrix)),
        "per_class": {
            name: {
                "iou": defined(iou[row]),
                "kept": defined(diagonal[row]),
                "labelled_share": float(labelled[row]),
            }
            for row, name in enumerate(classes.names)
        },
        "confusion_matrix": matrix.tolist(),
    }


def defined(value: float) -> float | None:
    """Returns the value, None for NaN, which is no JSON."""
    return None if math.isnan(value) else float(value)


def _watched_numbers(
    matrix: np.ndarray, classes: ClassSet, watched: WatchedConfusion
) -> dict[str, float | None]:
    if not watched.is_in(classes):
        return {}
    kept = watched.kept(matrix, classes)
    turned = watched.confused(matrix, classes)
    shares = map(defined, (kept, turned, 1.0 - kept - turned))
    return dict(zip(watched_keys(watched), shares, strict=True))
