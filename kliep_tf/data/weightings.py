"""How a training uses importance weights: powers, overlap, a limit, a third."""

import dataclasses

import numpy as np

from kliep_tf.data.weights import ImportanceWeights, figure
from kliep_tf.errors import UserError

# Equal parts of a domain by importance, the least typical images first.
COHORTS = ("low", "medium", "high")
# How weights are used: each to its exponent, or as overlap weights.
WEIGHTINGS = ("exponents", "overlap")
# Of both domains where a training says nothing: with exact ratios the weighted
# domains then coincide. The paper's eq. 12 has 1; docs/results/weighting.md
# compares them.
DEFAULT_EXPONENT = 0.5


def temper(weights: np.ndarray, exponent: float) -> np.ndarray:
    """Returns float32 [N]: weights**exponent, renormalised to mean 1.

    Exponent 0 gives ones (plain CycleGAN), 1 the weights themselves (eq. 12).
    A weight of 0 stays 0 at every exponent above 0.

    Raises:
        UserError: nothing is left to normalise.
    """
    powered = np.power(np.asarray(weights, np.float64), exponent)
    mean = powered.mean()
    if not np.isfinite(mean) or mean <= 0:
        raise UserError(
            f"weights to the power {exponent}: expected a positive mean, found "
            f"{mean}"
        )
    return (powered / mean).astype(np.float32)


def overlap(weights: ImportanceWeights) -> np.ndarray:
    """Returns float32 [N]: overlap weights, 2 q / (p + q), of mean 1.

    p is the density of the domain itself, q of the other. Both domains weighted
    so have one and the same density, p q / (p + q), and no weight is above 2
    before the mean is made 1 (Li, Morgan and Zaslavsky, JASA 113, 2018).

    Estimators give r = q / ((1 - m) p + m q), with the mixture m of the
    summary: 0 for the plain ratio, 1/2 for relative ones, which are overlap
    weights already. Of any m they are 2 (1 - m) r / (1 + (1 - 2 m) r), which
    for m = 0 is 2 w / (1 + w). Where w has errors these remain in it, and the
    two directions of KLIEP are two fits: a relative estimator is made for this.
    """
    mixture = figure(weights, "mixture", 0.0)
    ratio = np.asarray(weights.weights, np.float64)
    ratio = ratio * figure(weights, "mean_ratio", 1.0)
    found = (
        2.0 * (1.0 - mixture) * ratio / (1.0 + (1.0 - 2.0 * mixture) * ratio)
    )
    return (found / found.mean()).astype(np.float32)


def as_weighting(
    weights: ImportanceWeights, weighting: str
) -> ImportanceWeights:
    """Returns the weights as one of WEIGHTINGS uses them, before exponents."""
    if weighting != "overlap":
        return weights
    return dataclasses.replace(weights, weights=overlap(weights))


def exponents_of(
    weighting: str, source: float, target: float
) -> dict[str, float]:
    """Returns the exponent of each domain's weights; overlap weights have 1.

    Args:
        weighting: one of WEIGHTINGS.
        source: the exponent that was asked for the source's weights.
        target: the exponent that was asked for the target's.

    Raises:
        UserError: overlap weights come with exponents. The default's and 1 are
            none: who names neither flag has the former.
    """
    if weighting != "overlap":
        return {"source": source, "target": target}
    if (source, target) not in (
        (DEFAULT_EXPONENT, DEFAULT_EXPONENT),
        (1.0, 1.0),
    ):
        raise UserError(
            "--weighting=overlap: expected no --source_weight_exponent and "
            "--target_weight_exponent, as overlap weights have none, found "
            f"{source:g} and {target:g}"
        )
    return {"source": 1.0, "target": 1.0}


def clip(weights: np.ndarray, max_weight: float) -> np.ndarray:
    """Returns float32 [N]: no weight above `max_weight`, and mean 1.

    min(c w, max_weight), where c makes the mean 1: the limit of clipping and
    renormalising by turns. A single round would bring the largest weights above
    the limit again. Clip last, after `temper`: the limit is a multiple of the
    mean of the weights that train.

    Args:
        weights: [N], not negative.
        max_weight: of 1 or more; 1 makes all weights equal.

    Raises:
        UserError: so few weights are above 0 that they cannot have mean 1.
    """
    number = len(weights)
    order = np.argsort(weights)[::-1]
    descending = np.asarray(weights, np.float64)[order]
    positive = int(np.count_nonzero(descending))
    if not positive * max_weight >= number:
        # Rounded up: what is advised must be taken.
        least = np.ceil(1000 * number / max(positive, 1)) / 1000
        raise UserError(
            f"--max_weight={max_weight}: expected at least {least:g}, since "
            f"{positive} of {number} weights are above 0 and the mean is 1"
        )
    # With the k largest at the limit, the others are multiplied by scale[k];
    # the first k whose others then stay below is the one.
    others = np.cumsum(descending[::-1])[::-1][:positive]
    scale = (number - np.arange(positive) * max_weight) / others
    fits = scale * descending[:positive] <= max_weight * (1 + 1e-12)
    # By rounding none may fit where the limit leaves a single solution.
    fits[-1] = True
    scaled = scale[np.argmax(fits)] * np.asarray(weights, np.float64)
    return np.minimum(scaled, max_weight).astype(np.float32)


def cohort_rows(weights: np.ndarray, cohort: str) -> np.ndarray:
    """Returns the rows of one of three equal parts of `weights` [N], ascending.

    Equal weights are told apart by their row; parts differ by one row at most.

    Args:
        weights: [N].
        cohort: a name in COHORTS.
    """
    ascending = np.argsort(weights, kind="stable")
    part = np.array_split(ascending, len(COHORTS))[COHORTS.index(cohort)]
    return np.sort(part)


def effective_sample_size(weights: np.ndarray) -> float:
    """Returns (sum w)^2 / (N sum w^2), the ESS as a share of N, in (0, 1]."""
    weights = np.asarray(weights, np.float64)
    return float(weights.sum() ** 2 / (len(weights) * np.sum(weights**2)))
