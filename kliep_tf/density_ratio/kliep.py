"""KLIEP: a density ratio from two samples, at its certified optimum.

w(x) = p_target(x) / p_source(x) ~ constant + sum_l alpha_l K(x, c_l): Sugiyama
et al., "Direct importance estimation with model selection", NIPS 2007;
equations 5 to 11 of Savkin and Tombari, "KLIEP-based density ratio estimation
for semantically consistent synthetic to real images adaptation".
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kliep_tf.density_ratio.cross_validation import Centers
from kliep_tf.density_ratio.gradient_ascent import GradientAscent
from kliep_tf.density_ratio.inputs import (
    as_features,
    as_matrix,
    require_positive,
    require_same_columns,
    require_whole,
)
from kliep_tf.density_ratio.interior_point import InteriorPoint
from kliep_tf.density_ratio.kernels import as_kernel, only_bandwidth
from kliep_tf.density_ratio.optimum import has_converged
from kliep_tf.density_ratio.options import SELECTIONS, SOLVERS, Options
from kliep_tf.density_ratio.result import (
    KliepResult,
    coefficients,
    density_ratio,
    from_arrays,
    log_density_ratio,
    to_arrays,
)
from kliep_tf.density_ratio.samples import Samples, measure
from kliep_tf.density_ratio.selection import (
    Selected,
    fit_given,
    select_bandwidth,
)
from kliep_tf.density_ratio.simplex import Solver
from kliep_tf.errors import UserError

__all__ = [
    "SELECTIONS",
    "SOLVERS",
    "KliepResult",
    "density_ratio",
    "fit_kliep",
    "from_arrays",
    "log_density_ratio",
    "to_arrays",
]

# A log weight is a difference of such numbers, accurate to 1e-16 of them.
_LARGEST_LOG_ALPHA = 1e9


def fit_kliep(
    source: Any,
    target: Any,
    num_centers: int | None = None,
    bandwidth: float | None = None,
    seed: int = 0,
    *,
    centers: Any = None,
    bandwidths: Sequence[float] | None = None,
    selection: str = "nwj",
    num_folds: int = 5,
    min_ess: float = 0.05,
    constant_basis: bool = True,
    solver: str | Solver = "interior_point",
    compiled: bool = True,
    kernel: Any = "gaussian",
) -> KliepResult:
    """Returns the KLIEP estimate of p_target / p_source.

    The other direction is the same call with the samples exchanged.

    Args:
        source: features [N_s, d], numeric; computed on in float32, or float64
            where that is needed.
        target: features [N_t, d].
        num_centers: how many target points, drawn with `seed`, are kernel
            centers; None means all of them.
        bandwidth: of the kernel, in the features' unit; None selects
            it by cross-validation.
        seed: of the draws of centers and folds.
        centers: [b, d] instead of target points.
        bandwidths: candidates for selection; None means ten from .1 to 2
            times the median distance between target points.
        selection: "nwj" scores a width on held-out parts of both samples
            (mean log w(target) - mean w(source) + 1), "lcv" on the
            held-out target alone, as Sugiyama et al. do.
        num_folds: of the cross-validation.
        min_ess: least effective sample size over the source, as a fraction
            of N_s, that a selected bandwidth may lead to; 0 for none. A
            warning says when this decides. The program estimate_weights asks
            for .2.
        constant_basis: whether a constant stands beside the Gaussians.
        solver: "interior_point", "gradient_ascent" for comparison, or any
            object with the `solve` of `simplex.Solver`.
        compiled: False runs the solver named without XLA.
        kernel: "gaussian", "rational_quadratic", "matern" (of smoothness 3/2),
            a kernel of `tfp.math.psd_kernels` that is nowhere negative, with
            its own length scale, or a function that returns one of a
            bandwidth.

    Raises:
        UserError: an argument is not as described above; the message says
            which, what was expected and what was found.
    """
    source = as_matrix(source, "source")
    target = as_matrix(target, "target")
    require_same_columns(source, "source", target, "target")
    seed = require_whole(seed, "seed", 0)
    chosen_centers = _centers(centers, num_centers, target, seed)
    samples = measure(source, target)
    options = Options(
        selection=selection,
        num_folds=num_folds,
        min_ess=min_ess,
        constant_basis=constant_basis,
        solver=_solver(solver, compiled),
        kernel=as_kernel(kernel),
        seed=seed,
    )
    bandwidth = only_bandwidth(options.kernel, bandwidth)
    if bandwidth is None:
        chosen = select_bandwidth(samples, chosen_centers, bandwidths, options)
    else:
        width = require_positive(bandwidth, "bandwidth")
        chosen = fit_given(samples, chosen_centers, width, options)
    return _as_result(samples, chosen_centers, chosen, options)


def _centers(
    given: Any, num_centers: int | None, target: np.ndarray, seed: int
) -> Centers:
    """Returns the centers given, drawn, or all target points."""
    if given is not None:
        points = as_features(given, "centers")
        require_same_columns(target, "target", points, "centers")
        if num_centers not in (None, len(points)):
            raise UserError(
                f"num_centers: expected {len(points)}, the number of centers "
                f"given, or None, found {num_centers!r}"
            )
        return Centers(points, None)
    rows = np.arange(len(target))
    if num_centers is None:
        return Centers(target, rows)
    whole = isinstance(num_centers, int | np.integer)
    if not (
        whole and num_centers is not True and 1 <= num_centers <= len(rows)
    ):
        raise UserError(
            f"num_centers: expected a whole number from 1 to {len(target)}, "
            f"the number of points to draw them from, found {num_centers!r}"
        )
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(rows, int(num_centers), replace=False))
    return Centers(np.asarray(target[rows]), rows)


def _solver(solver: str | Solver, compiled: bool) -> Solver:
    """Returns the solver of a name; a solver is returned as it is."""
    if not isinstance(solver, str):
        return solver
    if solver not in SOLVERS:
        raise UserError(
            f"solver: expected one of {', '.join(SOLVERS)}, found {solver!r}"
        )
    if solver == "gradient_ascent":
        return GradientAscent(compiled)
    return InteriorPoint(compiled)


def _as_result(
    samples: Samples, centers: Centers, chosen: Selected, options: Options
) -> KliepResult:
    found = chosen.optimum
    _require_in_range(found.log_alpha, chosen.bandwidth)
    return KliepResult(
        **coefficients(found.log_alpha, found.log_constant),
        centers=centers.points,
        bandwidth=chosen.bandwidth,
        log_likelihood=found.log_likelihood,
        duality_gap=found.gap,
        num_iterations=found.num_iterations,
        converged=has_converged(found.gap, found.num_iterations, "KLIEP"),
        ess=found.ess,
        decided_by=chosen.decided_by,
        selection=chosen.table,
        origin=samples.coordinates.origin,
        scale=samples.coordinates.scale,
        kernel=options.kernel,
    )


def _require_in_range(log_alpha: np.ndarray, bandwidth: float) -> None:
    """Raises a UserError if float64 cannot tell the weights any more."""
    farthest = int(np.argmax(log_alpha))
    if log_alpha[farthest] > _LARGEST_LOG_ALPHA:
        distance = np.sqrt(2.0 * log_alpha[farthest])
        raise UserError(
            f"bandwidth {bandwidth:.4g}: expected source points within "
            f"{np.sqrt(2.0 * _LARGEST_LOG_ALPHA):.0f} bandwidths of the "
            f"target's, found center {farthest} about {distance:.3g} "
            "bandwidths from the nearest"
        )
