"""The KLIEP optimum over given candidates: one solve, or column generation.

Everything here is at one bandwidth. A candidate that is not among the columns
being solved is priced by `g_l = mean_j P[j, l] / w_j`; `log max_l g_l`
over all candidates is the certificate (see `interior_point`), so columns whose
price is above 1 are what the solution lacks.
"""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from kliep_tf.density_ratio import interior_point, kernels

TOLERANCE = 1e-6  # of the certificate, in nats
# Below the tolerance, so that the recomputed certificate stays below it.
_SOLVER_TOLERANCE = 1e-7
# More candidates than this are solved by column generation.
_DIRECT_COLUMNS = 256
_FIRST_COLUMNS = 96
_NEW_COLUMNS = 64
_MAX_ROUNDS = 60
_CANDIDATES_AT_ONCE = 2048
_LEAST_COEFFICIENT = 1e-10

Solver = Callable[..., interior_point.Solution]


@dataclasses.dataclass(frozen=True)
class Samples:
    """Two samples and where their distances are taken.

    Attributes:
        source: [N_s, d].
        target: [N_t, d].
        frame: see `kernels.Frame`.
    """

    source: np.ndarray
    target: np.ndarray
    frame: kernels.Frame


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
        weights = np.exp(self.log_ratio - self.log_ratio.max())
        return float(weights.sum() ** 2 / (weights**2).sum() / len(weights))


def find_optimum(
    samples: Samples,
    centers: np.ndarray,
    bandwidth: float,
    *,
    solver: Solver,
    constant_basis: bool,
    rng: np.random.Generator,
) -> Optimum:
    """Returns the optimum over `centers` [b, d], certified in float64.

    float32 distances are used where they are good enough; where the
    certificate shows that they were not, float64.
    """
    dtype = samples.frame.dtype_for(bandwidth)
    direct = len(centers) <= _DIRECT_COLUMNS
    find = _solve_all if direct else _generate_columns
    arguments = (solver, constant_basis, rng)
    best = find(samples, centers, bandwidth, dtype, *arguments)
    if best.gap > TOLERANCE and dtype == np.float32:
        again = find(samples, centers, bandwidth, np.float64, *arguments)
        best = min(best, again, key=lambda optimum: optimum.gap)
    return best


def _solve_all(
    samples, centers, bandwidth, dtype, solver, constant_basis, rng
) -> Optimum:
    """Solves over all centers at once."""
    inverse_width = samples.frame.inverse_width(bandwidth)
    to_source = kernels.SquaredDistances(
        samples.source, centers, samples.frame, dtype
    )
    to_target = kernels.SquaredDistances(
        samples.target, centers, samples.frame, dtype
    )
    log_q = uniform(len(samples.target))
    log_means = source_means(
        to_source, len(centers), inverse_width, constant_basis
    )
    solution = solve_columns(to_target, log_means, log_q, inverse_width, solver)
    return _normalised(
        log_coefficients(solution.log_a, log_means),
        to_source,
        to_target,
        len(centers),
        inverse_width,
        solution.gap,
        solution.num_iterations,
    )


def uniform(size: int) -> np.ndarray:
    """Returns the log weights of `size` equal points, float64 [size]."""
    return np.full(size, -np.log(size))


def source_means(
    to_source: kernels.SquaredDistances,
    num_centers: int,
    inverse_width: float,
    constant_basis: bool,
    log_q: np.ndarray | None = None,
) -> np.ndarray:
    """Returns float64 [width], log mean_i K(x_i^source, c_l).

    The constant's is 0; padding (and a constant not wanted) has +inf.
    `log_q` [N_s] are log weights of the source points, uniform if not given.
    """
    if log_q is None:
        log_q = uniform(to_source.num_points)
    log_means = to_source.column_sums(log_q, inverse_width)
    log_means[num_centers] = 0.0 if constant_basis else np.inf
    log_means[num_centers + 1 :] = np.inf
    return log_means


@dataclasses.dataclass(frozen=True)
class Columns:
    """What was found over one set of columns.

    Attributes:
        log_a: [width] float64, log coefficients on the simplex.
        gap: the certificate over these columns, recomputed in float64.
        num_iterations: of the solver.
    """

    log_a: np.ndarray
    gap: float
    num_iterations: int


def solve_columns(
    to_target: kernels.SquaredDistances,
    log_means: np.ndarray,
    log_q: np.ndarray,
    inverse_width: float,
    solver: Solver,
    tolerance: float = _SOLVER_TOLERANCE,
    certify: bool = True,
) -> Columns:
    """Returns the coefficients over these columns with their certificate.

    Without `certify` the gap is the solver's own, and cheaper.
    """
    whole = to_target.whole()
    padded_q = np.full(len(whole), -np.inf)
    padded_q[: len(log_q)] = log_q
    solution = solver(
        whole,
        tf.constant(inverse_width, tf.float64),
        tf.constant(log_means),
        tf.constant(padded_q),
        tf.constant(tolerance, tf.float64),
    )
    a = solution.a.numpy()
    a = np.where(np.isfinite(log_means) & (a > _LEAST_COEFFICIENT), a, 0.0)
    a /= a.sum()
    with np.errstate(divide="ignore"):
        log_a = np.log(a)
    gap = float(solution.gap)
    if certify:
        gap = certificate(to_target, log_a, log_means, log_q, inverse_width)
    return Columns(log_a, gap, int(solution.num_iterations))


def log_coefficients(log_a: np.ndarray, log_means: np.ndarray) -> np.ndarray:
    """Returns log alpha [width], -inf for columns that are not present."""
    present = np.isfinite(log_means)
    return np.where(present, log_a - np.where(present, log_means, 0), -np.inf)


def certificate(
    to_target: kernels.SquaredDistances,
    log_a: np.ndarray,
    log_means: np.ndarray,
    log_q: np.ndarray,
    inverse_width: float,
) -> float:
    """Returns log max_l sum_j q_j P[j, l] / (P a)_j, in float64 NumPy."""
    prices = np.zeros(len(log_a))
    a = np.exp(log_a)
    for first, last, block in to_target.blocks():
        logs = block.numpy()[: last - first].astype(np.float64)
        logs *= -inverse_width
        logs -= log_means
        logs -= logs.max(axis=1, keepdims=True)
        kernel = np.exp(logs, out=logs)
        prices += (np.exp(log_q[first:last]) / (kernel @ a)) @ kernel
    return max(float(np.log(prices.max())), 0.0)


def _normalised(
    log_alpha,
    to_source,
    to_target,
    num_centers,
    inverse_width,
    gap,
    num_iterations,
) -> Optimum:
    """Returns the optimum scaled to mean exactly 1 over the source."""
    log_ratio = to_source.row_sums(log_alpha, inverse_width)
    largest = log_ratio.max()
    mean = largest + np.log(np.mean(np.exp(log_ratio - largest)))
    on_target = to_target.row_sums(log_alpha, inverse_width)
    return Optimum(
        log_alpha=log_alpha[:num_centers] - mean,
        log_constant=float(log_alpha[num_centers] - mean),
        log_likelihood=float(np.mean(on_target) - mean),
        gap=gap,
        num_iterations=num_iterations,
        log_ratio=log_ratio - mean,
    )


def _generate_columns(
    samples, centers, bandwidth, dtype, solver, constant_basis, rng
) -> Optimum:
    """Solves over a working set that grows by what the prices ask for."""
    inverse_width = samples.frame.inverse_width(bandwidth)
    candidates = _Candidates(samples, centers, dtype, inverse_width)
    log_q = uniform(len(samples.target))
    working = np.sort(rng.choice(len(centers), _FIRST_COLUMNS, replace=False))
    num_iterations = 0
    for _ in range(_MAX_ROUNDS):
        to_target = kernels.SquaredDistances(
            samples.target, centers[working], samples.frame, dtype
        )
        log_means = np.full(to_target.width, np.inf)
        log_means[: len(working)] = candidates.log_means[working]
        if constant_basis:
            log_means[len(working)] = 0.0
        solution = solve_columns(
            to_target, log_means, log_q, inverse_width, solver
        )
        num_iterations += solution.num_iterations
        log_alpha = log_coefficients(solution.log_a, log_means)
        log_ratio = to_target.row_sums(log_alpha, inverse_width)
        log_prices = candidates.log_prices(log_q - log_ratio)
        gap = max(solution.gap, float(log_prices.max()))
        grown = _grow(working, solution.log_a, log_prices, candidates)
        if gap <= TOLERANCE or len(np.setdiff1d(grown, working)) == 0:
            break
        working = grown
    used = np.isfinite(log_alpha[: len(working)])
    to_source = kernels.SquaredDistances(
        samples.source, centers[working], samples.frame, dtype
    )
    optimum = _normalised(
        log_alpha,
        to_source,
        to_target,
        len(working),
        inverse_width,
        gap,
        num_iterations,
    )
    full = np.full(len(centers), -np.inf)
    full[working[used]] = optimum.log_alpha[used]
    return dataclasses.replace(optimum, log_alpha=full)


class _Candidates:
    """All centers, by blocks: their source means and their prices."""

    def __init__(self, samples, centers, dtype, inverse_width):
        self._samples = samples
        self._centers = centers
        self._dtype = dtype
        self._inverse_width = inverse_width
        self._to_target = None
        self.log_means = self._column_sums(
            samples.source, uniform(len(samples.source))
        )

    def log_prices(self, log_weights: np.ndarray) -> np.ndarray:
        """Returns float64 [b], log sum_j exp(log_weights_j) P[j, l]."""
        sums = self._column_sums(self._samples.target, log_weights)
        return sums - self.log_means

    def _column_sums(self, points, log_weights) -> np.ndarray:
        sums = np.empty(len(self._centers))
        for part in self._parts():
            distances = kernels.SquaredDistances(
                points,
                self._centers[part],
                self._samples.frame,
                self._dtype,
                keep=False,
            )
            found = distances.column_sums(log_weights, self._inverse_width)
            sums[part] = found[: part.stop - part.start]
        return sums

    def _parts(self) -> Iterator[slice]:
        size = len(self._centers)
        count = -(-size // _CANDIDATES_AT_ONCE)
        step = -(-size // count)
        for first in range(0, size, step):
            yield slice(first, min(first + step, size))


def _grow(working, log_a, log_prices, candidates) -> np.ndarray:
    """Returns the next working set: what carries weight, and what is asked."""
    active = working[log_a[: len(working)] > np.log(1e-7)]
    order = np.argsort(-log_prices, kind="stable")
    order = order[log_prices[order] > 0.5 * TOLERANCE]
    new = order[~np.isin(order, working)][:_NEW_COLUMNS]
    return np.sort(np.union1d(active, new))
