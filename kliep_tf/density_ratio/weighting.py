"""Both directions' weights from both domains' features."""

import dataclasses
import warnings
from typing import Any

import numpy as np

from kliep_tf.data.features import Features
from kliep_tf.data.weights import ImportanceWeights
from kliep_tf.density_ratio.kliep import (
    KliepResult,
    density_ratio,
    fit_kliep,
    from_arrays,
    to_arrays,
)
from kliep_tf.density_ratio.scaling import FeatureScaling, fit_scaling
from kliep_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class FittedWeights:
    """One domain's weights, the fit behind them, and its warnings.

    Attributes:
        weights: by filename, as saved.
        result: of the solver.
        notes: what the solver warned of, a sentence each.
    """

    weights: ImportanceWeights
    result: KliepResult
    notes: tuple[str, ...]


def fit_both_directions(
    source: Features, target: Features, scaling_kind: str, **kliep: Any
) -> tuple[FittedWeights, FittedWeights]:
    """Returns w over the source (eq. 5) and psi over the target.

    Args:
        source: features of the source domain.
        target: features of the target domain.
        scaling_kind: one of `scaling.SCALINGS`, fitted on both together.
        **kliep: keyword arguments of `fit_kliep`.
    """
    scaling = fit_scaling(source.values, target.values, scaling_kind)
    scaled_source = scaling.apply(source.values)
    scaled_target = scaling.apply(target.values)
    return (
        _fit("source", source, scaled_source, scaled_target, scaling, kliep),
        _fit("target", target, scaled_target, scaled_source, scaling, kliep),
    )


def equal_weights(
    domain: str, features: Features, reason: str
) -> ImportanceWeights:
    """Returns weights of 1 over a domain, where none could be trusted.

    Args:
        domain: "source" or "target".
        features: of the domain; only the filenames are used.
        reason: why, for whoever reads the file.
    """
    number = len(features.filenames)
    return ImportanceWeights(
        domain=domain,
        filenames=features.filenames,
        weights=np.ones(number, np.float32),
        summary={
            "images": number,
            "effective_sample_size": 1.0,
            "equal_because": reason,
        },
        model={},
    )


def ratio_at(weights: ImportanceWeights, features: Features) -> np.ndarray:
    """Returns float64 [N], the ratio at new images; nothing is fitted again.

    Args:
        weights: as `data.weights.load_weights` returns them; the scaling of
            the features and the kernel's centers stand in their file.
        features: [N, d], by the extractor that the weights were made with.

    Raises:
        UserError: the features are others, or the weights hold no model.
    """
    expected = list(weights.summary.get("feature_names", ()))
    found = [str(name) for name in features.names]
    if expected != found:
        raise UserError(
            f"{weights.domain} weights: expected the {len(expected)} features "
            f"they were made with, {_ends(expected)}, found {len(found)}, "
            f"{_ends(found)}"
        )
    scaling = FeatureScaling.from_arrays(weights.model)
    return density_ratio(
        scaling.apply(features.values), from_arrays(weights.model)
    )


def _ends(names: list[str]) -> str:
    return f"{names[0]!r} to {names[-1]!r}" if names else "without names"


def _fit(
    domain: str,
    features: Features,
    own: np.ndarray,
    other: np.ndarray,
    scaling: FeatureScaling,
    kliep: dict[str, Any],
) -> FittedWeights:
    """Estimates p_other / p_own over the images of `own`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = fit_kliep(own, other, **kliep)
    weights = ImportanceWeights(
        domain=domain,
        filenames=features.filenames,
        weights=density_ratio(own, result).astype(np.float32),
        summary={
            "images": len(own),
            "effective_sample_size": result.ess,
            "bandwidth": result.bandwidth,
            "bandwidth_decided_by": result.decided_by,
            "num_centers": len(result.centers),
            "mean_log_ratio": result.log_likelihood,
            "duality_gap": result.duality_gap,
            "iterations": result.num_iterations,
            "scaling": scaling.kind,
            "scaled_columns": own.shape[1],
            "feature_names": [str(name) for name in features.names],
        },
        model={**to_arrays(result), **scaling.to_arrays()},
    )
    notes = tuple(str(warning.message) for warning in caught)
    return FittedWeights(weights, result, notes)
