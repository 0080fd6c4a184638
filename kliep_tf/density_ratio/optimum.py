"""The KLIEP optimum at one bandwidth over one set of columns.

The columns are kernel centers and, beside them, the constant function. The
certificate is `log max_l g_l` with the prices `g_l = mean_j P[j, l] / w_j`
(see `interior_point`), recomputed by float64 products (`simplex`).
"""

import dataclasses
import warnings

import numpy as np
import tensorflow as tf

from kliep_tf.density_ratio import kernel_sums
from kliep_tf.density_ratio.exponents import Exponents, close_width
from kliep_tf.density_ratio.options import Options
from kliep_tf.density_ratio.samples import Samples
from kliep_tf.density_ratio.simplex import Problem, Solver

TOLERANCE = 1e-6  # of the certificate, in nats
# Below the tolerance, so that the recomputed certificate stays below it.
_SOLVER_TOLERANCE = 1e-7
_LEAST_RATIO = 1e-30  # of a point's kernels, the largest being 1


@dataclasses.dataclass(frozen=True)
class Optimum:
    """The coefficients at one bandwidth, normalised over the source.

    Attributes:
        log_alpha: [b] float64, -inf where 0.
        log_constant: float.
        log_likelihood: mean log w over the target, nats.
        gap: the certificate over all candidates, nats.
        num_iterations: of the solver, all rounds.
        log_ratio: [N_s] float64, log w over the source.
    """

    log_alpha: np.ndarray
    log_constant: float
    log_likelihood: float
    gap: float
    num_iterations: int
    log_ratio: np.ndarray

    @property
    def ess(self) -> float:
        """(sum w)^2 / sum w^2 over the source, as a fraction of N_s."""
        return effective_share(self.log_ratio)


def has_converged(gap: float, num_iterations: int, method: str) -> bool:
    """Returns whether a fit reached the tolerance, and warns if it did not.

    Args:
        gap: the certificate, in nats.
        num_iterations: of the solver.
        method: its name, for the message.
    """
    if gap <= TOLERANCE:
        return True
    warnings.warn(
        f"{method} stopped up to {gap:.2g} nats below its optimum after "
        f"{num_iterations} iterations",
        stacklevel=4,  # who called the fit
    )
    return False


def solve_all(
    samples: Samples,
    centers: np.ndarray,
    bandwidth: float,
    dtype: type,
    options: Options,
) -> Optimum:
    """Returns the optimum over all of `centers` [b, d], in one solve."""
    inverse_width = options.kernel.rate(samples.coordinates, bandwidth)
    to_source, to_target = (
        options.kernel.exponents(
            sample,
            centers,
            samples.coordinates,
            dtype,
            bandwidth,
            width=close_width(len(centers)),
        )
        for sample in (samples.source, samples.target)
    )
    log_q = uniform(len(samples.target))
    log_means = source_means(
        to_source, len(centers), inverse_width, options.constant_basis
    )
    columns = solve_columns(
        to_target,
        log_means,
        log_q,
        inverse_width,
        options.solver,
        screen=options.solver.screens,
    )
    return normalised(
        log_coefficients(columns.log_a, log_means),
        to_source,
        len(centers),
        inverse_width,
        columns,
    )


def effective_share(log_weights: np.ndarray) -> float:
    """Returns (sum w)^2 / sum w^2 over N of log weights [N], any scale."""
    weights = np.exp(log_weights - log_weights.max())
    return float(weights.sum() ** 2 / (weights**2).sum() / len(weights))


def uniform(size: int) -> np.ndarray:
    """Returns the log weights of `size` equal points, float64 [size]."""
    return np.full(size, -np.log(size))


def source_means(
    to_source: Exponents,
    num_centers: int,
    inverse_width: float,
    constant_basis: bool,
) -> np.ndarray:
    """Returns float64 [width], log mean_i K(x_i^source, c_l)."""
    log_means = to_source.log_sums_over_points(
        uniform(to_source.num_points), inverse_width
    )
    return with_constant(log_means, num_centers, constant_basis)


def with_constant(
    log_means: np.ndarray, num_centers: int, constant_basis: bool
) -> np.ndarray:
    """Returns [..., width]: the constant's log mean is 0.

    That of padding, and of a constant that is not wanted, is +inf.
    """
    log_means[..., num_centers] = 0.0 if constant_basis else np.inf
    log_means[..., num_centers + 1 :] = np.inf
    return log_means


@dataclasses.dataclass(frozen=True)
class Columns:
    """The solution over one set of columns.

    Attributes:
        log_a: [width] float64, log coefficients on the simplex.
        gap: the certificate over these columns, recomputed in float64.
        num_iterations: of the solver.
        log_ratio: [N_t] float64, log P a; -inf where float32 kernels do not
            show it, which is at points of weight 0 alone.
    """

    log_a: np.ndarray
    gap: float
    num_iterations: int
    log_ratio: np.ndarray


def solve_columns(
    to_target: Exponents,
    log_means: np.ndarray,
    log_q: np.ndarray,
    inverse_width: float,
    solver: Solver,
    tolerance: float = _SOLVER_TOLERANCE,
    screen: bool = False,
    start: np.ndarray | None = None,
) -> Columns:
    """Returns the coefficients over these columns with their certificate.

    Args:
        to_target: exponents of the columns' centers at the target.
        log_means: [width], log of the columns' source means.
        log_q: [N_t], log weights of the target points.
        inverse_width: see `Coordinates`.
        solver: what finds the coefficients.
        tolerance: of the solver, in nats.
        screen: whether to look first for columns that may carry weight.
        start: [width], coefficients of a problem much like this one.
    """
    columns, log_scale = kernel_sums.scaled_kernels(
        to_target.whole(),
        tf.constant(log_means, tf.float64),
        tf.constant(inverse_width, tf.float64),
    )
    q = np.zeros(columns.shape[1])
    q[: len(log_q)] = np.exp(log_q)
    problem = Problem(columns, np.isfinite(log_means), q, solver, start)
    found = (
        problem.solve_screened(tolerance, max(2.0 * tolerance, TOLERANCE))
        if screen
        else problem.solve(tolerance)
    )
    shown = np.where(found.ratio > _LEAST_RATIO, found.ratio, 0.0)
    with np.errstate(divide="ignore"):
        log_ratio = np.log(shown) + log_scale.numpy()
        return Columns(
            log_a=np.log(found.a),
            gap=found.gap,
            num_iterations=found.num_iterations,
            log_ratio=log_ratio[: len(log_q)],
        )


def log_coefficients(log_a: np.ndarray, log_means: np.ndarray) -> np.ndarray:
    """Returns log alpha [width], -inf for columns that are not present."""
    present = np.isfinite(log_means)
    return np.where(present, log_a - np.where(present, log_means, 0), -np.inf)


def normalised(
    log_alpha: np.ndarray,
    to_source: Exponents,
    num_centers: int,
    inverse_width: float,
    columns: Columns,
) -> Optimum:
    """Returns the optimum scaled to mean exactly 1 over the source."""
    log_ratio = to_source.log_sums_over_centers(log_alpha, inverse_width)
    largest = log_ratio.max()
    mean = largest + np.log(np.mean(np.exp(log_ratio - largest)))
    optimum = Optimum(
        log_alpha=log_alpha[:num_centers] - mean,
        log_constant=float(log_alpha[num_centers] - mean),
        log_likelihood=float(np.mean(columns.log_ratio) - mean),
        gap=columns.gap,
        num_iterations=columns.num_iterations,
        log_ratio=log_ratio - mean,
    )
    if optimum.log_likelihood < 0.0 and np.isfinite(optimum.log_constant):
        return _weights_of_one(optimum)
    return optimum


def _weights_of_one(optimum: Optimum) -> Optimum:
    """Returns w = 1, which is feasible and better than a negative J."""
    return dataclasses.replace(
        optimum,
        log_alpha=np.full_like(optimum.log_alpha, -np.inf),
        log_constant=0.0,
        log_likelihood=0.0,
        # J* <= J + gap still holds, and J has become 0.
        gap=max(optimum.gap + optimum.log_likelihood, 0.0),
        log_ratio=np.zeros_like(optimum.log_ratio),
    )
