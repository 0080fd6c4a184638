"""One cell of the study: a problem, a method and a seed, judged."""

import time
from typing import Any

import numpy as np

from kliep_tf.data.features import Features
from kliep_tf.data.weightings import overlap
from kliep_tf.data.weights import ImportanceWeights
from kliep_tf.density_ratio.diagnostics import (
    effective_sample_size,
    normalised_error,
    rank_correlation,
)
from kliep_tf.density_ratio.estimators import ESTIMATORS
from kliep_tf.density_ratio.options import FitSettings
from kliep_tf.density_ratio.weighting import fit_both_directions
from kliep_tf.experiments.estimator_study.gaussians import Gaussians
from kliep_tf.experiments.estimator_study.plan import Method

_SCALING = "raw"


def estimate(
    method: Method,
    settings: FitSettings,
    source: Features,
    target: Features,
) -> tuple[ImportanceWeights, ImportanceWeights, float]:
    """Returns the weights of both domains and the CPU seconds they took."""
    begin = time.process_time()
    fitted = fit_both_directions(
        source, target, _SCALING, settings, ESTIMATORS[method.estimator]
    )
    seconds = time.process_time() - begin
    return fitted[0].weights, fitted[1].weights, seconds


def judge_gaussians(
    problem: Gaussians,
    points: tuple[Features, Features],
    weights: tuple[ImportanceWeights, ImportanceWeights],
) -> dict[str, Any]:
    """Returns how near w, psi and the overlap weights are to the formula."""
    return _compared(
        problem,
        points,
        [one.weights for one in weights],
        [overlap(one) for one in weights],
    )


def judge_truth(
    problem: Gaussians, points: tuple[Features, Features]
) -> dict[str, Any]:
    """Returns the same of the true ratios, the best possible."""
    true = _true_ratios(problem, points)
    return _compared(problem, points, true, [2 * w / (1 + w) for w in true])


def _true_ratios(
    problem: Gaussians, points: tuple[Features, Features]
) -> list[np.ndarray]:
    source, target = (problem.ratio(one.values) for one in points)
    return [source, 1.0 / target]


def _compared(
    problem: Gaussians,
    points: tuple[Features, Features],
    weights: list[np.ndarray],
    overlaps: list[np.ndarray],
) -> dict[str, Any]:
    true = _true_ratios(problem, points)
    pairs = list(zip(weights, true, strict=True))
    return {
        "error": [normalised_error(*pair) for pair in pairs],
        "rank_correlation": [
            float(np.nan_to_num(rank_correlation(*pair))) for pair in pairs
        ],
        "overlap_error": [
            normalised_error(found, 2 * w / (1 + w))
            for found, w in zip(overlaps, true, strict=True)
        ],
        "ess": list(map(effective_sample_size, weights)),
    }
