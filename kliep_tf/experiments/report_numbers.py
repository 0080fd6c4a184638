"""The numbers of the demo's report."""

import csv
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from kliep_tf.data.datasets import CLASS_NAMES
from kliep_tf.data.weights import ImportanceWeights
from kliep_tf.density_ratio.diagnostics import (
    effective_sample_size,
    normalised_error,
    rank_correlation,
)
from kliep_tf.errors import UserError
from kliep_tf.segmentation import consistency, metrics


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
    kept = consistency.sky_kept(matrix)
    vegetation = consistency.sky_to_vegetation(matrix)
    labelled = matrix.sum(axis=1) / max(matrix.sum(), 1)
    iou = metrics.per_class_iou(matrix)
    diagonal = np.diag(metrics.normalize_rows(matrix))
    return {
        "sky_kept": _number(kept),
        "sky_to_vegetation": _number(vegetation),
        "sky_to_other": _number(1.0 - kept - vegetation),
        "mean_iou": _number(metrics.mean_iou(matrix)),
        "pixel_accuracy": _number(metrics.pixel_accuracy(matrix)),
        "per_class": {
            name: {
                "iou": _number(iou[row]),
                "kept": _number(diagonal[row]),
                "labelled_share": float(labelled[row]),
            }
            for row, name in enumerate(CLASS_NAMES)
        },
        "confusion_matrix": matrix.tolist(),
    }


def weight_numbers(
    weights: ImportanceWeights, true_ratios: Mapping[str, float]
) -> dict[str, Any]:
    """Returns one domain's figures: its summary, and the truth's agreement."""
    estimated = np.asarray(weights.weights, np.float64)
    truth = _true_ratios(weights, true_ratios)
    return {
        **weights.summary,
        "effective_sample_size": effective_sample_size(estimated),
        "largest_weight": float(estimated.max()),
        "true_effective_sample_size": effective_sample_size(truth),
        "rank_correlation": _number(rank_correlation(estimated, truth)),
        "normalised_error": normalised_error(estimated, truth),
        "normalised_error_of_equal_weights": normalised_error(
            np.ones_like(truth), truth
        ),
        "estimated": estimated.tolist(),
        "true": truth.tolist(),
    }


def share_distances(
    shares: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> dict[str, float]:
    """Returns the total variation between the domains' mean class shares.

    Args:
        shares: by domain, then by kind of weighting, then by class.

    Returns:
        unweighted; source_weighted (w on the source alone); as_trained (both
        domains' weights to the powers of the training).
    """

    def distance(source_kind: str, target_kind: str) -> float:
        source = shares["source"][source_kind]
        target = shares["target"][target_kind]
        return 0.5 * sum(abs(source[name] - target[name]) for name in source)

    return {
        "unweighted": distance("unweighted", "unweighted"),
        "source_weighted": distance("weighted", "unweighted"),
        "as_trained": distance("as_trained", "as_trained"),
    }


def read_true_ratios(path: str | os.PathLike, column: str) -> dict[str, float]:
    """Returns a column of the rendered city's scenes.csv by filename.

    Raises:
        UserError: the file or the column is missing.
    """
    try:
        with open(path, newline="") as file:
            return {
                row["filename"]: float(row[column])
                for row in csv.DictReader(file)
            }
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise UserError(
            f"{path}: expected the rendered city's scenes with the columns "
            f"filename and {column}, found something else ({error})"
        ) from error


def _true_ratios(
    weights: ImportanceWeights, true_ratios: Mapping[str, float]
) -> np.ndarray:
    """Returns float64 [N], the true ratios in the order of the weights."""
    try:
        return np.array([true_ratios[str(name)] for name in weights.filenames])
    except KeyError as error:
        raise UserError(
            f"scenes.csv: expected a row for every {weights.domain} image, "
            f"found none for {error.args[0]!r}"
        ) from None


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
