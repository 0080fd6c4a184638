"""KLIEP weights of the toy's source, in both readings.

Vectors: KLIEP on the vectors as they are, one weight each. Scalars: KLIEP on
single coordinates, which are all drawn alike, one weight each; the fit sees a
bounded number of them, the ratio is then taken at all.
"""

import dataclasses
import warnings
from typing import Any

import numpy as np
from scipy.spatial import distance

from kliep_tf.density_ratio.kliep import (
    KliepResult,
    density_ratio,
    fit_kliep,
)
from kliep_tf.experiments.toy_study.data import Samples

_DISTANCES_BETWEEN = 1_000  # target vectors


@dataclasses.dataclass(frozen=True)
class WeightSettings:
    """How the weights are estimated; see `fit_kliep`.

    Attributes:
        num_centers: target points that are kernel centres.
        min_ess: least effective sample size that a selected width may have.
        fit_scalars: scalars of each sample that KLIEP is fitted on.
    """

    num_centers: int
    min_ess: float
    fit_scalars: int


@dataclasses.dataclass(frozen=True)
class ToyWeights:
    """One set of weights, and what to know of it.

    Attributes:
        values: float32 [num_vectors, 1 or num_features], mean 1 (eq. 9).
        summary: numbers for the report, by name.
    """

    values: np.ndarray
    summary: dict[str, Any]


def estimate_weights(
    samples: Samples,
    reading: str,
    settings: WeightSettings,
    seed: int,
    bandwidth: float | None = None,
) -> ToyWeights:
    """Returns w over the source of one reading.

    Args:
        samples: of both domains.
        reading: "vectors" or "scalars".
        settings: of the estimate.
        seed: of the draws of scalars, centres and folds.
        bandwidth: of the kernel; None selects it by cross-validation under
            the floor of the effective sample size.
    """
    points = samples
    if reading == "scalars":
        points = Samples(*(values.reshape(-1, 1) for values in samples))
    result = _fit(points, reading, settings, seed, bandwidth)
    weights = density_ratio(points.source, result)
    # The fit saw a part of the scalars; eq. 9 is about all of them.
    weights /= weights.mean()
    values = weights.reshape(len(samples.source), -1)
    return ToyWeights(
        values.astype(np.float32), _summary(samples, values, result)
    )


def typical_distance(samples: Samples) -> float:
    """Returns the median distance between (the first) target vectors."""
    some = samples.target[:_DISTANCES_BETWEEN].astype(np.float64)
    return float(np.median(distance.pdist(some)))


def _fit(
    points: Samples,
    reading: str,
    settings: WeightSettings,
    seed: int,
    bandwidth: float | None,
) -> KliepResult:
    if reading == "scalars":
        rng = np.random.default_rng([seed, 2])
        points = Samples(*(_some(p, settings.fit_scalars, rng) for p in points))
    with warnings.catch_warnings():
        # That the floor decided the width is said in the summary.
        warnings.simplefilter("ignore", UserWarning)
        return fit_kliep(
            points.source,
            points.target,
            num_centers=min(settings.num_centers, len(points.target)),
            bandwidth=bandwidth,
            min_ess=settings.min_ess,
            seed=seed,
        )


def _some(
    points: np.ndarray, size: int, rng: np.random.Generator
) -> np.ndarray:
    if len(points) <= size:
        return points
    return points[np.sort(rng.choice(len(points), size, replace=False))]


def _summary(
    samples: Samples, weights: np.ndarray, result: KliepResult
) -> dict[str, Any]:
    """Returns what the weights make of the source's coordinates."""
    every = np.broadcast_to(weights, samples.source.shape)
    mean = np.average(samples.source, weights=every)
    variance = np.average((samples.source - mean) ** 2, weights=every)
    return {
        "bandwidth": result.bandwidth,
        "decided_by": result.decided_by,
        "ess": float(weights.sum() ** 2 / (weights**2).sum() / weights.size),
        "largest": float(weights.max()),
        "weighted_mean": float(mean),
        "weighted_std": float(np.sqrt(variance)),
        "duality_gap": result.duality_gap,
    }
