"""The KLIEP optimum over any number of candidate centers.

A working set of columns is solved; every candidate is then priced by one pass
over the target, `g_l = mean_j P[j, l] / w_j`. A candidate of price above 1 is
one that the solution lacks: the dearest join the working set, what carries no
weight leaves it, and so on until the certificate `log max_l g_l` over all
candidates is small. Few centers carry weight at the optimum, so the working
set stays small where the full system would not fit.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from kliep_tf.density_ratio import kernels, optimum

# Up to as many candidates are solved without generating columns.
_DIRECT_COLUMNS = 127
_FIRST_COLUMNS = 96
_LEAST_NEW_COLUMNS = 64
_MAX_ROUNDS = 60
_CANDIDATES_AT_ONCE = 2048
_LEAST_WEIGHT = 1e-7
# Distances of the target to all candidates that are kept between rounds.
_KEPT_ENTRIES = 1 << 27


def find_optimum(
    samples: optimum.Samples,
    centers: np.ndarray,
    bandwidth: float,
    *,
    solver: optimum.Solver,
    constant_basis: bool,
    rng: np.random.Generator,
) -> optimum.Optimum:
    """Returns the optimum over `centers` [b, d], certified in float64.

    float32 distances are used where they are good enough; where the
    certificate shows that they were not, float64.
    """

    def find(dtype: type) -> optimum.Optimum:
        if len(centers) <= _DIRECT_COLUMNS:
            return optimum.solve_all(
                samples, centers, bandwidth, dtype, solver, constant_basis
            )
        generation = _Generation(
            samples, centers, bandwidth, dtype, solver, constant_basis
        )
        return generation.run(rng)

    dtype = samples.frame.dtype_for(bandwidth)
    found = find(dtype)
    if found.gap > optimum.TOLERANCE and dtype == np.float32:
        found = min(found, find(np.float64), key=lambda found: found.gap)
    return found


class _Generation:
    """One run: the candidates, their source means, and the rounds."""

    def __init__(
        self, samples, centers, bandwidth, dtype, solver, constant_basis
    ):
        self._samples = samples
        self._centers = centers
        self._dtype = dtype
        self._solver = solver
        self._constant_basis = constant_basis
        self._inverse_width = samples.frame.inverse_width(bandwidth)
        self._log_q = optimum.uniform(len(samples.target))
        self._step = -(-len(centers) // -(-len(centers) // _CANDIDATES_AT_ONCE))
        entries = len(samples.target) * len(centers)
        self._kept: list | None = [] if entries <= _KEPT_ENTRIES else None
        self._log_means = self._sums_over(
            self._to_candidates(samples.source),
            optimum.uniform(len(samples.source)),
        )

    def run(self, rng: np.random.Generator) -> optimum.Optimum:
        """Returns the optimum over all candidates."""
        working = np.sort(
            rng.choice(len(self._centers), _FIRST_COLUMNS, replace=False)
        )
        num_iterations = 0
        for _ in range(_MAX_ROUNDS):
            to_target = self._distances(self._samples.target, working)
            log_means = self._means_of(working, to_target.width)
            columns = optimum.solve_columns(
                to_target,
                log_means,
                self._log_q,
                self._inverse_width,
                self._solver,
            )
            num_iterations += columns.num_iterations
            log_alpha = optimum.log_coefficients(columns.log_a, log_means)
            log_prices = self._log_prices(to_target, log_alpha)
            gap = max(columns.gap, float(log_prices.max()))
            grown = _grown(working, columns.log_a, log_prices)
            if gap <= optimum.TOLERANCE or np.isin(grown, working).all():
                break
            working = grown
        found = optimum.normalised(
            log_alpha,
            self._distances(self._samples.source, working),
            to_target,
            len(working),
            self._inverse_width,
            optimum.Columns(columns.log_a, gap, num_iterations),
        )
        everywhere = np.full(len(self._centers), -np.inf)
        everywhere[working] = found.log_alpha
        return dataclasses.replace(found, log_alpha=everywhere)

    def _distances(self, points, working) -> kernels.SquaredDistances:
        return kernels.SquaredDistances(
            points,
            self._centers[working],
            self._samples.frame,
            self._dtype,
            # 128, 256, 512, ...: few shapes, because each is compiled.
            width=max(128, 1 << len(working).bit_length()),
        )

    def _means_of(self, working, width) -> np.ndarray:
        log_means = np.full(width, np.inf)
        log_means[: len(working)] = self._log_means[working]
        if self._constant_basis:
            log_means[len(working)] = 0.0
        return log_means

    def _log_prices(self, to_target, log_alpha) -> np.ndarray:
        """Returns float64 [b], the log price of every candidate."""
        log_ratio = to_target.row_sums(log_alpha, self._inverse_width)
        distances = self._kept or self._to_candidates(
            self._samples.target, keep=self._kept is not None
        )
        if self._kept is not None:
            self._kept = distances = list(distances)
        sums = self._sums_over(distances, self._log_q - log_ratio)
        return sums - self._log_means

    def _to_candidates(
        self, points: np.ndarray, keep: bool = False
    ) -> Iterator[kernels.SquaredDistances]:
        """Yields the distances of points to one part of them after another."""
        for first in range(0, len(self._centers), self._step):
            yield kernels.SquaredDistances(
                points,
                self._centers[first : first + self._step],
                self._samples.frame,
                self._dtype,
                width=kernels.padded_width(self._step),
                keep=keep,
            )

    def _sums_over(
        self,
        distances: Iterable[kernels.SquaredDistances],
        log_weights: np.ndarray,
    ) -> np.ndarray:
        """Returns float64 [b], log sum_i exp(log_weights_i) K(x_i, c_l)."""
        sums = [
            part.column_sums(log_weights, self._inverse_width)[: self._step]
            for part in distances
        ]
        return np.concatenate(sums)[: len(self._centers)]


def _grown(
    working: np.ndarray, log_a: np.ndarray, log_prices: np.ndarray
) -> np.ndarray:
    """Returns the next working set: what carries weight and what is dear."""
    active = working[log_a[: len(working)] > np.log(_LEAST_WEIGHT)]
    dearest = np.argsort(-log_prices, kind="stable")
    dearest = dearest[log_prices[dearest] > 0.5 * optimum.TOLERANCE]
    new = dearest[~np.isin(dearest, working)]
    size = max(_LEAST_NEW_COLUMNS, len(working) // 2)
    return np.union1d(active, new[:size])
