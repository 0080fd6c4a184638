"""One cell of the study: features and a setting, both directions, judged."""

import dataclasses
import warnings
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist

from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.features import Features
from kliep_tf.density_ratio.diagnostics import (
    effective_sample_size,
    matched_shares,
    normalised_error,
    rank_correlation,
)
from kliep_tf.density_ratio.extractors import EXTRACTORS
from kliep_tf.density_ratio.kliep import density_ratio, fit_kliep
from kliep_tf.density_ratio.scaling import fit_scaling
from kliep_tf.errors import UserError
from kliep_tf.experiments.feature_study.plan import Setting, Variant

# Points among which the median distance is taken.
_MOST_POINTS = 1000


@dataclasses.dataclass(frozen=True)
class Judge:
    """What one domain's weights are judged by; no estimate sees it.

    Attributes:
        filenames: [N] in the order of everything else.
        shares: [N, C], class shares of the labels.
        other_shares: [C], the other domain's mean.
        classes: whose shares they are.
        true_ratio: [N], or None where it is not known.
        watched: the class whose weighted share is shown, if there is one.
    """

    filenames: np.ndarray
    shares: np.ndarray
    other_shares: np.ndarray
    classes: ClassSet
    true_ratio: np.ndarray | None = None
    watched: str = "sky"


def run_cell(
    variant: Variant,
    setting: Setting,
    features: tuple[Features, Features],
    judges: tuple[Judge, Judge],
    seed: int,
) -> dict[str, Any]:
    """Returns how good w (source) and psi (target) are, by domain.

    Args:
        variant: says how the features are scaled.
        setting: of the solver.
        features: of source and target.
        judges: of source and target.
        seed: of the folds.
    """
    scaling = fit_scaling(
        features[0].values,
        features[1].values,
        EXTRACTORS[variant.extractor].scaling,
    )
    source, target = (scaling.apply(f.values) for f in features)
    for domain, judge in zip(features, judges, strict=True):
        if domain.filenames.tolist() != judge.filenames.tolist():
            raise UserError(
                f"{variant.name}: expected features of the images judged, "
                "found others; have the records changed?"
            )
    return {
        "source": _direction(source, target, setting, judges[0], seed),
        "target": _direction(target, source, setting, judges[1], seed),
    }


def equal_weights(judge: Judge) -> dict[str, Any]:
    """Returns how good weights of 1 are, to compare with."""
    return _judged(np.ones(len(judge.filenames)), judge)


def true_weights(judge: Judge) -> dict[str, Any]:
    """Returns how good the true ratio itself is, the best possible."""
    assert judge.true_ratio is not None
    return _judged(judge.true_ratio, judge)


def _direction(
    own: np.ndarray,
    other: np.ndarray,
    setting: Setting,
    judge: Judge,
    seed: int,
) -> dict[str, Any]:
    """Estimates p_other / p_own over the images of `own`, and judges it."""
    median = float(np.median(pdist(other[:_MOST_POINTS])))
    how: dict[str, Any] = {"min_ess": setting.min_ess, "seed": seed}
    if setting.width is None:
        how["selection"] = setting.selection
    else:
        how["bandwidth"] = setting.width * median
    with warnings.catch_warnings():
        # Where the floor decided is a column of the table.
        warnings.simplefilter("ignore")
        result = fit_kliep(own, other, **how)
    return {
        **_judged(density_ratio(own, result), judge),
        "width": result.bandwidth / median,
        "decided_by": result.decided_by,
        "duality_gap": result.duality_gap,
    }


def _judged(weights: np.ndarray, judge: Judge) -> dict[str, Any]:
    shares = matched_shares(judge.shares, weights)
    numbers = {
        "ess": effective_sample_size(weights),
        "share_distance": float(
            0.5 * np.abs(shares - judge.other_shares).sum()
        ),
    }
    if judge.watched in judge.classes.names:
        share = shares[judge.classes.index(judge.watched)]
        numbers[judge.watched] = float(share)
    if judge.true_ratio is not None:
        correlation = rank_correlation(weights, judge.true_ratio)
        numbers |= {
            "rank_correlation": float(np.nan_to_num(correlation)),
            "normalised_error": normalised_error(weights, judge.true_ratio),
        }
    return numbers
