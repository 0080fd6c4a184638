"""The numbers of the demo's report on weights and class shares."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.weightings import clip, temper
from kliep_tf.data.weights import ImportanceWeights
from kliep_tf.density_ratio.diagnostics import (
    effective_sample_size,
    matched_shares,
    normalised_error,
    rank_correlation,
)
from kliep_tf.experiments.reporting.consistency import defined
from kliep_tf.experiments.reporting.true_ratios import in_order


def weight_numbers(
    weights: ImportanceWeights, true_ratios: Mapping[str, float]
) -> dict[str, Any]:
    """Returns one domain's summary, and how well it agrees with the truth."""
    estimated = np.asarray(weights.weights, np.float64)
    truth = in_order(
        true_ratios, weights.filenames, "scenes.csv", f"{weights.domain} image"
    )
    return {
        **weights.summary,
        "effective_sample_size": effective_sample_size(estimated),
        "largest_weight": float(estimated.max()),
        "true_effective_sample_size": effective_sample_size(truth),
        "rank_correlation": defined(rank_correlation(estimated, truth)),
        "normalised_error": normalised_error(estimated, truth),
        "normalised_error_of_equal_weights": normalised_error(
            np.ones_like(truth), truth
        ),
        "estimated": estimated.tolist(),
        "true": truth.tolist(),
    }


def class_shares(
    shares: np.ndarray,
    weights: np.ndarray,
    exponent: float,
    max_weight: float,
    classes: ClassSet,
) -> dict[str, dict[str, float]]:
    """Returns mean class shares: plain, weighted, and as training saw them.

    Args:
        shares: [N, C] of the images.
        weights: [N], theirs.
        exponent: that the training raised the weights to.
        max_weight: that it then clipped them to; 0 for none.
        classes: whose shares they are.
    """
    trained = temper(weights, exponent)
    if max_weight:
        trained = clip(trained, max_weight)
    means = {
        "unweighted": shares.mean(axis=0),
        "weighted": matched_shares(shares, weights),
        "as_trained": matched_shares(shares, trained),
    }
    return {
        kind: dict(zip(classes.names, mean.tolist(), strict=True))
        for kind, mean in means.items()
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
