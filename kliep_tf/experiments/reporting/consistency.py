"""What a judge's confusion matrix says of semantic consistency."""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from kliep_tf.data.datasets import CLASS_NAMES
from kliep_tf.segmentation import metrics
from kliep_tf.segmentation.consistency import SKY_TO_VEGETATION
from kliep_tf.segmentation.report import REPORT_JSON


def read_confusion(directory: str | os.PathLike) -> list[list[int]]:
    """Returns the [19, 19] confusion matrix that evaluate left, by labels."""
    text = Path(directory, REPORT_JSON).read_text()
    return json.loads(text)["confusion_matrix"]


def consistency_numbers(matrix: Any) -> dict[str, Any]:
    """Returns what a confusion matrix says of semantic consistency.

    Args:
        matrix: [19, 19], labels in rows.

    Returns:
        Shares from 0 to 1, None where they are undefined: sky_kept,
        sky_to_vegetation, sky_to_other, mean_iou, pixel_accuracy, per_class
        (iou, kept and labelled_share by class name) and the matrix.
    """
    matrix = np.asarray(matrix, np.int64)
    kept = SKY_TO_VEGETATION.kept(matrix)
    vegetation = SKY_TO_VEGETATION.confused(matrix)
    labelled = matrix.sum(axis=1) / max(matrix.sum(), 1)
    iou = metrics.per_class_iou(matrix)
    diagonal = np.diag(metrics.normalize_rows(matrix))
    return {
        "sky_kept": defined(kept),
        "sky_to_vegetation": defined(vegetation),
        "sky_to_other": defined(1.0 - kept - vegetation),
        "mean_iou": defined(metrics.mean_iou(matrix)),
        "pixel_accuracy": defined(metrics.pixel_accuracy(matrix)),
        "per_class": {
            name: {
                "iou": defined(iou[row]),
                "kept": defined(diagonal[row]),
                "labelled_share": float(labelled[row]),
            }
            for row, name in enumerate(CLASS_NAMES)
        },
        "confusion_matrix": matrix.tolist(),
    }


def defined(value: float) -> float | None:
    """Returns the value, None for NaN, which is no JSON."""
    return None if math.isnan(value) else float(value)
