"""Both directions' weights from both domains' features."""

import dataclasses
import functools
from typing import Any

import numpy as np

from kliep_tf.data.features import Features
from kliep_tf.data.weightings import effective_sample_size
from kliep_tf.data.weights import ImportanceWeights
from kliep_tf.density_ratio.estimates import Estimate, Estimator
from kliep_tf.density_ratio.estimators import ESTIMATORS, KLIEP
from kliep_tf.density_ratio.inputs import draw_rows
from kliep_tf.density_ratio.options import FitSettings
from kliep_tf.density_ratio.result import SelectionTable
from kliep_tf.density_ratio.scaling import FeatureScaling, fit_scaling
from kliep_tf.errors import DataError, UserError


@dataclasses.dataclass(frozen=True)
class FittedWeights:
    """One domain's weights, the bandwidths compared, and warnings.

    Attributes:
        weights: by filename, as saved.
        selection: the bandwidths that were compared, if any were.
        notes: what the solver warned of, a sentence each.
    """

    weights: ImportanceWeights
    selection: SelectionTable | None
    notes: tuple[str, ...]

    @property
    def ess(self) -> float:
        """The effective sample size, as a share of the images."""
        return float(self.weights.summary["effective_sample_size"])


def fit_both_directions(
    source: Features,
    target: Features,
    scaling_kind: str,
    settings: FitSettings,
    estimator: Estimator = KLIEP,
    max_images: int | None = None,
) -> tuple[FittedWeights, FittedWeights]:
    """Returns w over the source (eq. 5) and psi over the target.

    A fit keeps kernels of all its images in memory. So of a larger domain it
    takes `max_images`, drawn with the settings' seed; every image is weighted.

    Args:
        source: features of the source domain.
        target: features of the target domain.
        scaling_kind: one of `scaling.SCALINGS`, fitted on both together.
        settings: of the estimator.
        estimator: one of `estimators.ESTIMATORS`.
        max_images: of each domain, that are fitted on; None for all.
    """
    scaling = fit_scaling(source.values, target.values, scaling_kind)
    scaled_source = scaling.apply(source.values)
    scaled_target = scaling.apply(target.values)
    some_source, some_target = (
        rows[draw_rows(len(rows), max_images, settings.seed, "max_images")]
        for rows in (scaled_source, scaled_target)
    )
    forward, reverse = estimator.fit(some_source, some_target, settings)
    weights = functools.partial(
        _weights, scaling=scaling, estimator=estimator.name
    )
    return (
        weights("source", source, scaled_source, len(some_source), forward),
        weights("target", target, scaled_target, len(some_target), reverse),
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
    # Files of earlier versions are all KLIEP's.
    name = weights.summary.get("estimator") or KLIEP.name
    if name not in ESTIMATORS:
        raise DataError(
            f"{weights.domain} weights: expected an estimator of "
            f"{', '.join(ESTIMATORS)}, found {name!r}"
        )
    try:
        ratio = ESTIMATORS[name].load(weights.model)(
            scaling.apply(features.values)
        )
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise DataError(
            f"{weights.domain} weights: expected the arrays of {name}, found "
            f"others ({error})"
        ) from error
    return ratio / (weights.summary.get("mean_ratio") or 1.0)


def _ends(names: list[str]) -> str:
    return f"{names[0]!r} to {names[-1]!r}" if names else "without names"


def _weights(
    domain: str,
    features: Features,
    scaled: np.ndarray,
    images_fitted: int,
    found: Estimate,
    scaling: FeatureScaling,
    estimator: str,
) -> FittedWeights:
    """Returns the weights of the images, of mean 1."""
    ratio = found.ratio(scaled)
    # Of more images than were fitted on, the mean is not 1 as it is.
    normalised = found.normalised and images_fitted == len(scaled)
    mean = 1.0 if normalised else float(ratio.mean())
    if not 0 < mean < np.inf:
        raise UserError(
            f"--estimator={estimator}: expected {domain} images that resemble "
            f"the other domain's, found a mean ratio of {mean:g}; kliep and "
            "relative_kliep, or a wider --bandwidth, may find some"
        )
    values = (ratio / mean).astype(np.float32)
    summary: dict[str, Any] = {
        "images": len(scaled),
        "images_fitted": images_fitted,
        "estimator": estimator,
        "mixture": found.mixture,
        "mean_ratio": mean,
        "effective_sample_size": effective_sample_size(values),
        **found.summary,
        "scaling": scaling.kind,
        "scaled_columns": scaled.shape[1],
        "feature_names": [str(name) for name in features.names],
    }
    weights = ImportanceWeights(
        domain=domain,
        filenames=features.filenames,
        weights=values,
        summary=summary,
        model={**found.arrays, **scaling.to_arrays()},
    )
    return FittedWeights(weights, found.selection, found.notes)
