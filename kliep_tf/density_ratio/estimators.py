"""The estimators of `estimate_weights`, by name.

To add one, write an object with the face of `estimates.Estimator`, put it into
ESTIMATORS, and its name and a word about it into `options.ESTIMATORS`.
"""

import dataclasses
import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from kliep_tf.density_ratio.classifier import (
    LinearLogRatio,
    ShareRatio,
    fit_class_shares,
    fit_classifier,
)
from kliep_tf.density_ratio.estimates import (
    Estimate,
    Estimator,
    Ratio,
)
from kliep_tf.density_ratio.kliep import (
    KliepResult,
    density_ratio,
    fit_kliep,
    from_arrays,
    to_arrays,
)
from kliep_tf.density_ratio.least_squares import (
    LeastSquaresResult,
    fit_least_squares,
    least_squares_ratio,
)
from kliep_tf.density_ratio.options import FitSettings
from kliep_tf.density_ratio.relative import (
    RelativeResult,
    fit_relative_kliep,
    relative_from_arrays,
    relative_ratio,
    reverse_ratio,
)
from kliep_tf.density_ratio.result import values_from

_Fitted = TypeVar("_Fitted")
_HALF = 0.5  # the mixture of the relative ratios: both domains equally


class Kliep:
    """KLIEP, one fit a direction."""

    name = "kliep"

    def fit(
        self, source: np.ndarray, target: np.ndarray, settings: FitSettings
    ) -> tuple[Estimate, Estimate]:
        """Returns w and psi; see `fit_kliep`."""
        return (
            self._fit(source, target, settings),
            self._fit(target, source, settings),
        )

    def load(self, arrays: Mapping[str, np.ndarray]) -> Ratio:
        """Returns the ratio of a file."""
        return self._ratio(from_arrays(arrays))

    def _fit(
        self, own: np.ndarray, other: np.ndarray, settings: FitSettings
    ) -> Estimate:
        result, notes = _with_notes(
            lambda: fit_kliep(own, other, **dataclasses.asdict(settings))
        )
        return Estimate(
            ratio=self._ratio(result),
            summary=_solved(result),
            arrays=to_arrays(result),
            selection=result.selection,
            normalised=True,
            notes=notes,
        )

    def _ratio(self, result: KliepResult) -> Ratio:
        return functools.partial(density_ratio, result=result)


class RelativeKliep:
    """Relative KLIEP: both directions by one fit, bounded by 2."""

    name = "relative_kliep"

    def fit(
        self, source: np.ndarray, target: np.ndarray, settings: FitSettings
    ) -> tuple[Estimate, Estimate]:
        """Returns r and 2 - r; see `fit_relative_kliep`."""
        result, notes = _with_notes(
            lambda: fit_relative_kliep(
                source,
                target,
                settings.num_centers,
                settings.bandwidth,
                settings.seed,
                mixture=_HALF,
                kernel=settings.kernel,
            )
        )
        forward = Estimate(
            ratio=functools.partial(relative_ratio, result=result),
            summary=_solved(result),
            arrays={**to_arrays(result), "reverse": np.asarray(False)},
            selection=result.selection,
            mixture=_HALF,
            notes=notes,
        )
        table = dataclasses.replace(
            result.selection,
            ess=np.where(
                np.isfinite(result.selection.ess), result.reverse_ess, np.nan
            ),
        )
        reverse = dataclasses.replace(
            forward,
            ratio=functools.partial(reverse_ratio, result=result),
            arrays={**forward.arrays, "reverse": np.asarray(True)},
            selection=table,
            notes=(),
        )
        return forward, reverse

    def load(self, arrays: Mapping[str, np.ndarray]) -> Ratio:
        """Returns the ratio of a file."""
        result = relative_from_arrays(arrays)
        ratio = reverse_ratio if arrays["reverse"] else relative_ratio
        return functools.partial(ratio, result=result)


@dataclasses.dataclass(frozen=True)
class LeastSquares:
    """uLSIF (mixture 0) and RuLSIF, one fit a direction.

    Attributes:
        name: of the estimator.
        mixture: the other domain's share in the denominator.
    """

    name: str
    mixture: float

    def fit(
        self, source: np.ndarray, target: np.ndarray, settings: FitSettings
    ) -> tuple[Estimate, Estimate]:
        """Returns w and psi; see `fit_least_squares`."""
        return (
            self._fit(source, target, settings),
            self._fit(target, source, settings),
        )

    def load(self, arrays: Mapping[str, np.ndarray]) -> Ratio:
        """Returns the ratio of a file."""
        result = LeastSquaresResult(**values_from(arrays, LeastSquaresResult))
        return functools.partial(least_squares_ratio, result=result)

    def _fit(
        self, own: np.ndarray, other: np.ndarray, settings: FitSettings
    ) -> Estimate:
        result = fit_least_squares(
            own,
            other,
            settings.num_centers,
            settings.bandwidth,
            settings.seed,
            mixture=self.mixture,
            kernel=settings.kernel,
        )
        return Estimate(
            ratio=functools.partial(least_squares_ratio, result=result),
            summary={
                "bandwidth": result.bandwidth,
                "bandwidth_decided_by": (
                    "score" if settings.bandwidth is None else "given"
                ),
                "num_centers": len(result.centers),
                "ridge": result.ridge,
            },
            arrays=to_arrays(result),
            selection=result.selection,
            mixture=self.mixture,
        )


class Classifier:
    """The odds of a calibrated logistic regression, for both directions."""

    name = "classifier"

    def fit(
        self, source: np.ndarray, target: np.ndarray, settings: FitSettings
    ) -> tuple[Estimate, Estimate]:
        """Returns the odds and their inverse; see `fit_classifier`."""
        forward = fit_classifier(source, target, settings.seed)
        reverse = LinearLogRatio(-forward.coefficients, -forward.intercept)
        return self._estimate(forward), self._estimate(reverse)

    def load(self, arrays: Mapping[str, np.ndarray]) -> Ratio:
        """Returns the ratio of a file."""
        return LinearLogRatio(
            np.asarray(arrays["coefficients"]), float(arrays["intercept"])
        ).ratio

    def _estimate(self, found: LinearLogRatio) -> Estimate:
        arrays = {
            "coefficients": found.coefficients,
            "intercept": np.asarray(found.intercept),
        }
        return Estimate(found.ratio, {}, arrays)


class ClassShares:
    """The ratio of mean class shares."""

    name = "class_shares"

    def fit(
        self, source: np.ndarray, target: np.ndarray, settings: FitSettings
    ) -> tuple[Estimate, Estimate]:
        """Returns w and psi; see `fit_class_shares`."""
        found = (
            fit_class_shares(source, target),
            fit_class_shares(target, source),
        )
        forward, reverse = (
            Estimate(one.ratio, {}, {"ratios": one.ratios}) for one in found
        )
        return forward, reverse

    def load(self, arrays: Mapping[str, np.ndarray]) -> Ratio:
        """Returns the ratio of a file."""
        return ShareRatio(np.asarray(arrays["ratios"])).ratio


KLIEP = Kliep()
ESTIMATORS: dict[str, Estimator] = {
    estimator.name: estimator
    for estimator in (
        KLIEP,
        RelativeKliep(),
        LeastSquares("ulsif", 0.0),
        LeastSquares("rulsif", _HALF),
        Classifier(),
        ClassShares(),
    )
}


def _with_notes(fit: Callable[[], _Fitted]) -> tuple[_Fitted, tuple[str, ...]]:
    """Returns what was fitted, and the warnings, a sentence each."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = fit()
    return result, tuple(str(warning.message) for warning in caught)


def _solved(result: KliepResult | RelativeResult) -> dict[str, Any]:
    """Returns the figures of a fit that a solver ended."""
    return {
        "bandwidth": result.bandwidth,
        "bandwidth_decided_by": result.decided_by,
        "num_centers": len(result.centers),
        "mean_log_ratio": result.log_likelihood,
        "duality_gap": result.duality_gap,
        "iterations": result.num_iterations,
    }
