"""Relative KLIEP: both directions by one fit, bounded and certified.

With the mixture m = (1 - a) p_s + a p_t the relative ratios are r = p_t / m and
r' = p_s / m = (1 - a r) / (1 - a) (Yamada et al., "Relative density-ratio
estimation for robust distribution comparison", NIPS 2011, eq. 2). They are at
most 1 / a and 1 / (1 - a), so few images can never carry all weight, and no
floor of the effective sample size is needed. At a = 1/2 both weight their
domain to one and the same distribution, p_s p_t / (p_s + p_t): the overlap
weights of Li, Morgan and Zaslavsky (JASA 113, 2018).

The fit maximises

    J = a E_t[log r] + (1 - a) E_s[log r']    subject to    E_m[r] = 1

over mixtures of kernels at points of both samples (`relative_columns`). At
a -> 0 that is KLIEP. J estimates the Jensen-Shannon divergence of the domains,
of weights a and 1 - a; the expectations weigh the domains so whatever their
numbers of images.
"""

import dataclasses
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kliep_tf.density_ratio.coordinates import LOG_ERROR, Coordinates
from kliep_tf.density_ratio.inputs import (
    as_matrix,
    require_positive,
    require_same_columns,
    require_whole,
)
from kliep_tf.density_ratio.interior_point import InteriorPoint
from kliep_tf.density_ratio.kernels import (
    GAUSSIAN,
    Kernel,
    as_kernel,
    only_bandwidth,
)
from kliep_tf.density_ratio.optimum import has_converged
from kliep_tf.density_ratio.relative_optimum import (
    Basis,
    RelativeOptimum,
    RelativeOptions,
    find_relative_optimum,
)
from kliep_tf.density_ratio.relative_selection import (
    score_bandwidths,
    widest_of_the_best,
)
from kliep_tf.density_ratio.result import SelectionTable, values_from
from kliep_tf.density_ratio.samples import Samples, measure, measure_points
from kliep_tf.density_ratio.selection import candidate_bandwidths
from kliep_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class RelativeResult:
    """The relative ratio r = p_t / ((1 - a) p_s + a p_t) and its certificate.

    r(x) = constant + sum_l coefficients_l K(x, c_l), held to 0..1/a; the
    reverse ratio is (1 - a r) / (1 - a).

    Attributes:
        mixture: a.
        coefficients: [b] float64, negative at source centers.
        centers: [b, d], target points and source points.
        constant: see above.
        bandwidth: of the kernel, in the features' unit.
        log_likelihood: J, in nats.
        duality_gap: bound on what J lacks from its optimum, nats.
        num_iterations: of the solver.
        converged: whether `duality_gap` reached the tolerance.
        ess: effective sample size of r over the source, as a fraction.
        reverse_ess: of the reverse ratio over the target.
        decided_by: how the bandwidth was found: "given" or "score".
        selection: the candidates (one row when given).
        origin: [d] float64, of the coordinates in which distances are taken.
        scale: their unit.
        kernel: K; in a file, its name.
    """

    mixture: float
    coefficients: np.ndarray
    centers: np.ndarray
    constant: float
    bandwidth: float
    log_likelihood: float
    duality_gap: float
    num_iterations: int
    converged: bool
    ess: float
    reverse_ess: float
    decided_by: str
    selection: SelectionTable
    origin: np.ndarray
    scale: float
    kernel: Kernel = GAUSSIAN


def fit_relative_kliep(
    source: Any,
    target: Any,
    num_centers: int | None = None,
    bandwidth: float | None = None,
    seed: int = 0,
    *,
    mixture: float = 0.5,
    bandwidths: Sequence[float] | None = None,
    num_folds: int = 5,
    kernel: Any = "gaussian",
    compiled: bool = True,
) -> RelativeResult:
    """Returns the estimate of p_target / ((1 - a) p_source + a p_target).

    One fit serves both directions: see `relative_ratio` and `reverse_ratio`.

    Args:
        source: features [N_s, d], numeric.
        target: features [N_t, d].
        num_centers: how many points of each sample, drawn with `seed`, are
            kernel centers; None means all of them.
        bandwidth: of the kernel, in the features' unit; None selects the
            widest whose held-out J may be as good as the best.
        seed: of the draws of centers and folds.
        mixture: a, the target's share in the denominator, above 0 and below 1.
        bandwidths: candidates for selection; None means ten from .1 to 2 times
            the median distance between target points.
        num_folds: of the cross-validation.
        kernel: as in `fit_kliep`.
        compiled: False runs the solver without XLA.

    Raises:
        UserError: an argument is not as described above.
    """
    source = as_matrix(source, "source")
    target = as_matrix(target, "target")
    require_same_columns(source, "source", target, "target")
    seed = require_whole(seed, "seed", 0)
    options = RelativeOptions(
        mixture=_fraction(mixture),
        kernel=as_kernel(kernel),
        solver=InteriorPoint(compiled, signed=True),
        num_folds=require_whole(num_folds, "num_folds", 2),
        seed=seed,
    )
    basis = Basis.draw(source, target, num_centers, seed)
    samples = measure(source, target)
    bandwidth = only_bandwidth(options.kernel, bandwidth)
    if bandwidth is not None:
        widths = np.array([require_positive(bandwidth, "bandwidth")])
        scores, choice, decided_by = np.array([np.nan]), 0, "given"
    else:
        widths = candidate_bandwidths(samples, bandwidths)
        by_fold = score_bandwidths(samples, basis, widths, options)
        scores, decided_by = by_fold.mean(axis=1), "score"
        choice = widest_of_the_best(by_fold)
    found = find_relative_optimum(samples, basis, widths[choice], options)
    table = _table(widths, scores, choice, found)
    return _as_result(samples, options, found, table, choice, decided_by)


def relative_ratio(x: Any, result: RelativeResult) -> np.ndarray:
    """Returns float64 [N], r = p_t / m at `x` [N, d], within 0..1/a.

    Raises:
        UserError: x is not [N, d] with the fit's d, or not finite.
    """
    points = as_matrix(x, "x")
    require_same_columns(result.centers, "the fit", points, "x")
    used = np.flatnonzero(result.coefficients)
    if not used.size:
        return np.full(len(points), result.constant)
    coordinates = Coordinates(result.origin, result.scale)
    kernel, bandwidth = result.kernel, result.bandwidth
    exponents = kernel.exponents(
        measure_points(points, result.origin, "x"),
        result.centers[used],
        coordinates,
        kernel.dtype_for(coordinates, bandwidth, LOG_ERROR),
        bandwidth,
        keep=False,
    )
    weights = np.zeros(exponents.width)
    weights[: len(used)] = result.coefficients[used]
    rate = kernel.rate(coordinates, bandwidth)
    ratio = exponents.sums_over_centers(weights, rate) + result.constant
    return np.clip(ratio, 0.0, 1.0 / result.mixture)


def reverse_ratio(x: Any, result: RelativeResult) -> np.ndarray:
    """Returns float64 [N], r' = p_s / m at `x` [N, d], within 0..1/(1-a).

    Raises:
        UserError: see `relative_ratio`.
    """
    a = result.mixture
    return np.maximum(1.0 - a * relative_ratio(x, result), 0.0) / (1.0 - a)


def relative_from_arrays(arrays: Mapping[str, np.ndarray]) -> RelativeResult:
    """Returns the result whose `result.to_arrays` are given.

    Raises:
        KeyError: an array is missing.
    """
    return RelativeResult(**values_from(arrays, RelativeResult))


def _fraction(mixture: Any) -> float:
    if not (isinstance(mixture, numbers.Real) and 0 < float(mixture) < 1):
        raise UserError(
            f"mixture: expected a number above 0 and below 1, found {mixture!r}"
        )
    return float(mixture)


def _table(
    widths: np.ndarray, scores: np.ndarray, choice: int, found: RelativeOptimum
) -> SelectionTable:
    """Returns the candidates; ESS and J are known of the one chosen."""
    ess, likelihoods = np.full((2, len(widths)), np.nan)
    ess[choice] = found.ess
    likelihoods[choice] = found.log_likelihood
    return SelectionTable(widths, scores, ess, likelihoods)


def _as_result(
    samples: Samples,
    options: RelativeOptions,
    found: RelativeOptimum,
    table: SelectionTable,
    choice: int,
    decided_by: str,
) -> RelativeResult:
    return RelativeResult(
        mixture=options.mixture,
        coefficients=found.coefficients,
        centers=found.centers,
        constant=found.constant,
        bandwidth=float(table.bandwidths[choice]),
        log_likelihood=found.log_likelihood,
        duality_gap=found.gap,
        num_iterations=found.num_iterations,
        converged=has_converged(
            found.gap, found.num_iterations, "relative KLIEP"
        ),
        ess=found.ess,
        reverse_ess=found.reverse_ess,
        decided_by=decided_by,
        selection=table,
        origin=samples.coordinates.origin,
        scale=samples.coordinates.scale,
        kernel=options.kernel,
    )
