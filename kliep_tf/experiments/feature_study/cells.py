"""One cell of the study: features and a setting, both directions, judged."""

import dataclasses
import warnings
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist

from kliep_tf.data.datasets import CLASS_NAMES
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

_SKY = CLASS_NAMES.index("sky")
# Points among which the median distance is taken.
_MOST_POINTS = 1000


@dataclasses.dataclass(frozen=True)
class Judge:
    """What one domain's weights are judged by; no estimate sees it.

    Attributes:
        filenames: [N] in the order of everything else.
        shares: [N, 19], class shares of the labels.
        other_shares: [19], the other domain's mean.
        true_ratio: [N], or None where it is not known.
    """

    filenames: np.ndarray
    shares: np.ndarray
    other_shares: np.ndarray
    true_ratio: np.ndarray | None


def run_cell(
    variant: Variant,
    setting: Setting,
    features: tuple[Features, Features],
    judges: tuple[Judge, Judge],
    seed: int,
) -> dict[str, Any]:
    """Returns the figures of w (source) and psi (target), by domain.

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
    """Returns the figures of weights that are all 1, to compare with."""
    return _judged(np.ones(len(judge.filenames)), judge)


def true_weights(judge: Judge) -> dict[str, Any]:
    """Returns the figures of the true ratio itself, the best possible."""
    return _judged(judge.true_ratio, judge)


def _direction(
    own: np.ndarray, other: np.ndarray, setting: Setting, judge: Judge, seed
) -> dict[str, Any]:
    """Estimates p_other / p_own over the images of `own`, and judges it."""
    median = float(np.median(pdist(other[:_MOST_POINTS])))
    how = {"min_ess": setting.min_ess, "seed": seed}
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
    figures = {
        "ess": effective_sample_size(weights),
        "share_distance": float(
            0.5 * np.abs(shares - judge.other_shares).sum()
        ),
        "sky": float(shares[_SKY]),
    }
    if judge.true_ratio is not None:
        correlation = rank_correlation(weights, judge.true_ratio)
        figures |= {
            "rank_correlation": float(np.nan_to_num(correlation)),
            "normalised_error": normalised_error(weights, judge.true_ratio),
        }
    return figures
