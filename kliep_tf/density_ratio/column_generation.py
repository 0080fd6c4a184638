"""The KLIEP optimum over any number of candidate centers.

Solves a working set of columns, then prices every candidate by one pass over
the target, `g_l = mean_j P[j, l] / w_j`. A candidate whose price is above 1
would improve the solution. Those of the highest price join the working set,
those without weight leave it, until the certificate `log max_l g_l` over all
candidates is small. Few centers carry weight at the optimum, so the working
set stays small where the full system would not fit in memory.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from kliep_tf import progress
from kliep_tf.density_ratio import distances, optimum
from kliep_tf.density_ratio.options import Options
from kliep_tf.density_ratio.samples import Sample, Samples

# Up to as many candidates are solved without generating columns.
_DIRECT_COLUMNS = 127
_LEAST_WIDTH = 128
_LEAST_NEW_COLUMNS = 48
_MAX_ROUNDS = 60
_CANDIDATES_AT_ONCE = 2048
_LEAST_WEIGHT = 1e-7
# Distances of the target to all candidates that are kept between rounds.
_KEPT_ENTRIES = 1 << 27
# Of kernels; a pass over as many takes seconds, and shows how far it is.
_LONG_PASS = 1 << 31


def find_optimum(
    samples: Samples,
    centers: np.ndarray,
    bandwidth: float,
    options: Options,
) -> optimum.Optimum:
    """Returns the optimum over `centers` [b, d], certified in float64.

    Distances are float32; where the certificate shows that this was not
    enough, they are float64.
    """
    rng = np.random.default_rng(options.seed)

    def find(dtype: type) -> optimum.Optimum:
        if len(centers) <= _DIRECT_COLUMNS:
            return optimum.solve_all(
                samples, centers, bandwidth, dtype, options
            )
        generation = _Generation(samples, centers, bandwidth, dtype, options)
        return generation.run(rng)

    dtype = samples.coordinates.dtype_for(bandwidth)
    found = find(dtype)
    if found.gap > optimum.TOLERANCE and dtype == np.float32:
        found = min(found, find(np.float64), key=lambda found: found.gap)
    return found


class _Generation:
    """One run: the candidates, their source means, and the rounds."""

    def __init__(
        self,
        samples: Samples,
        centers: np.ndarray,
        bandwidth: float,
        dtype: type,
        options: Options,
    ):
        self._samples = samples
        self._centers = centers
        self._dtype = dtype
        self._options = options
        self._inverse_width = samples.coordinates.inverse_width(bandwidth)
        self._log_q = optimum.uniform(len(samples.target))
        self._step = -(-len(centers) // -(-len(centers) // _CANDIDATES_AT_ONCE))
        self._log_means = self._source_means()
        entries = len(samples.target) * len(centers)
        self._kept = None
        if entries <= _KEPT_ENTRIES:
            self._kept = list(
                self._parts(samples.target, "KLIEP: target", keep=True)
            )

    def run(self, rng: np.random.Generator) -> optimum.Optimum:
        """Returns the optimum over all candidates."""
        first = rng.choice(len(self._centers), _LEAST_WIDTH - 1, replace=False)
        working = np.sort(first)
        num_iterations = 0
        for number in range(1, _MAX_ROUNDS + 1):
            columns, log_means = self._solve(working)
            num_iterations += columns.num_iterations
            log_prices = self._log_prices(columns.log_ratio, number)
            gap = max(columns.gap, float(log_prices.max()))
            grown = _grown(working, columns.log_a, log_prices)
            if gap <= optimum.TOLERANCE or np.isin(grown, working).all():
                break
            working = grown
        found = dataclasses.replace(
            columns, gap=gap, num_iterations=num_iterations
        )
        return self._normalised(working, found, log_means)

    def _solve(self, working: np.ndarray) -> tuple[optimum.Columns, np.ndarray]:
        """Returns the optimum over some candidates, and their source means."""
        to_target = self._distances(self._samples.target, working)
        log_means = np.full(to_target.width, np.inf)
        log_means[: len(working)] = self._log_means[working]
        if self._options.constant_basis:
            log_means[len(working)] = 0.0
        columns = optimum.solve_columns(
            to_target,
            log_means,
            self._log_q,
            self._inverse_width,
            self._options.solver,
        )
        return columns, log_means

    def _normalised(
        self,
        working: np.ndarray,
        columns: optimum.Columns,
        log_means: np.ndarray,
    ) -> optimum.Optimum:
        log_alpha = optimum.log_coefficients(columns.log_a, log_means)
        to_source = self._distances(self._samples.source, working, keep=False)
        found = optimum.normalised(
            log_alpha, to_source, len(working), self._inverse_width, columns
        )
        everywhere = np.full(len(self._centers), -np.inf)
        everywhere[working] = found.log_alpha
        return dataclasses.replace(found, log_alpha=everywhere)

    def _distances(
        self, sample: Sample, working: np.ndarray, keep: bool = True
    ) -> distances.SquaredDistances:
        return distances.SquaredDistances(
            sample,
            self._centers[working],
            self._samples.coordinates,
            self._dtype,
            width=_width_for(len(working)),
            keep=keep,
        )

    def _source_means(self) -> np.ndarray:
        """Returns float64 [b], log mean_i K(x_i^source, c_l)."""
        log_share = optimum.uniform(len(self._samples.source))
        parts = self._parts(self._samples.source, "KLIEP: source")
        return np.concatenate(
            [
                part.log_sums_over_points(log_share, self._inverse_width)[:size]
                for size, part in parts
            ]
        )

    def _log_prices(self, log_ratio: np.ndarray, number: int) -> np.ndarray:
        """Returns float64 [b], the log price of every candidate."""
        log_weights = self._log_q - log_ratio
        parts = self._kept or self._parts(
            self._samples.target, f"KLIEP: round {number}"
        )
        prices, first = np.empty(len(self._centers)), 0
        for size, part in parts:
            last = first + size
            prices[first:last] = part.prices(
                log_weights, self._log_means[first:last], self._inverse_width
            )[:size]
            first = last
        with np.errstate(divide="ignore"):
            return np.log(prices)

    def _parts(
        self, sample: Sample, name: str, keep: bool = False
    ) -> Iterator[tuple[int, distances.SquaredDistances]]:
        """Yields the distances to each part of the candidates in turn.

        With each comes the number of candidates in it.
        """
        starts: Iterable[int] = range(0, len(self._centers), self._step)
        if len(sample) * len(self._centers) > _LONG_PASS:
            number = -(-len(self._centers) // self._step)
            starts = progress.progress(starts, number, name, "part")
        for first in starts:
            centers = self._centers[first : first + self._step]
            yield (
                len(centers),
                distances.SquaredDistances(
                    sample,
                    centers,
                    self._samples.coordinates,
                    self._dtype,
                    width=distances.padded_width(self._step),
                    keep=keep,
                ),
            )


def _grown(
    working: np.ndarray, log_a: np.ndarray, log_prices: np.ndarray
) -> np.ndarray:
    """Returns the next working set: columns with weight or a high price."""
    active = working[log_a[: len(working)] > np.log(_LEAST_WEIGHT)]
    dearest = np.argsort(-log_prices, kind="stable")
    dearest = dearest[log_prices[dearest] > 0.5 * optimum.TOLERANCE]
    new = dearest[~np.isin(dearest, working)]
    room = _width_for(len(active) + _LEAST_NEW_COLUMNS) - 1 - len(active)
    return np.union1d(active, new[:room])


def _width_for(num_columns: int) -> int:
    """Returns 128, 256, 512, ...: few, because XLA compiles for each."""
    return max(_LEAST_WIDTH, 1 << num_columns.bit_length())
