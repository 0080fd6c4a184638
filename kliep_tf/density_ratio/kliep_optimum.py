"""The KLIEP optimum over any number of centers."""

import dataclasses
from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np

from kliep_tf.density_ratio import optimum
from kliep_tf.density_ratio.column_generation import CandidateCenters, generate
from kliep_tf.density_ratio.coordinates import LOG_ERROR
from kliep_tf.density_ratio.options import Options
from kliep_tf.density_ratio.samples import Samples

# Up to as many candidates are solved without generating columns.
_DIRECT_COLUMNS = 127


class _HasGap(Protocol):
    @property
    def gap(self) -> float: ...


_Certified = TypeVar("_Certified", bound=_HasGap)


def find_optimum(
    samples: Samples,
    centers: np.ndarray,
    bandwidth: float,
    options: Options,
) -> optimum.Optimum:
    """Returns KLIEP's optimum over `centers` [b, d], certified in float64.

    Exponents are float32; where the certificate shows that this was not
    enough, they are float64.
    """
    rng = np.random.default_rng(options.seed)

    def find(dtype: type) -> optimum.Optimum:
        if len(centers) <= _DIRECT_COLUMNS:
            return optimum.solve_all(
                samples, centers, bandwidth, dtype, options
            )
        candidates = _KliepCandidates(
            samples, centers, bandwidth, dtype, options
        )
        working, columns = generate(candidates, rng)
        return candidates.normalised(working, columns)

    kernel = options.kernel
    dtype = kernel.dtype_for(samples.coordinates, bandwidth, LOG_ERROR)
    return in_precision(find, dtype)


class _KliepCandidates:
    """KLIEP's columns: one a center, and the constant in each working set."""

    def __init__(
        self,
        samples: Samples,
        centers: np.ndarray,
        bandwidth: float,
        dtype: type,
        options: Options,
    ):
        self._samples = samples
        self._options = options
        self._centers = CandidateCenters(
            samples.coordinates, centers, bandwidth, dtype, options.kernel
        )
        self._log_q = optimum.uniform(len(samples.target))
        self._log_means = self._centers.log_means(
            samples.source, "KLIEP: source"
        )
        self._kept = self._centers.kept_parts(samples.target, "KLIEP: target")

    def __len__(self) -> int:
        return len(self._centers)

    def solve(self, working: np.ndarray) -> optimum.Columns:
        """Returns the optimum over some candidates."""
        to_target = self._centers.of(self._samples.target, working)
        return optimum.solve_columns(
            to_target,
            self._log_means_of(working, to_target.width),
            self._log_q,
            self._centers.rate,
            self._options.solver,
        )

    def normalised(
        self, working: np.ndarray, columns: optimum.Columns
    ) -> optimum.Optimum:
        """Returns the optimum over all candidates from that over some."""
        to_source = self._centers.of(self._samples.source, working, keep=False)
        log_means = self._log_means_of(working, to_source.width)
        log_alpha = optimum.log_coefficients(columns.log_a, log_means)
        found = optimum.normalised(
            log_alpha, to_source, len(working), self._centers.rate, columns
        )
        everywhere = np.full(len(self), -np.inf)
        everywhere[working] = found.log_alpha
        return dataclasses.replace(found, log_alpha=everywhere)

    def log_prices(self, found: optimum.Columns, number: int) -> np.ndarray:
        """Returns float64 [b], the log price of every candidate."""
        log_weights = self._log_q - found.log_ratio
        parts = self._kept or self._centers.parts(
            self._samples.target, f"KLIEP: round {number}"
        )
        prices = np.empty(len(self))
        for part, exponents in parts:
            prices[part] = exponents.prices(
                log_weights, self._log_means[part], self._centers.rate
            )[: part.stop - part.start]
        with np.errstate(divide="ignore"):
            return np.log(prices)

    def _log_means_of(self, working: np.ndarray, width: int) -> np.ndarray:
        """Returns [width], of the working set and the constant after it."""
        log_means = np.full(width, np.inf)
        log_means[: len(working)] = self._log_means[working]
        if self._options.constant_basis:
            log_means[len(working)] = 0.0
        return log_means


def in_precision(find: Callable[[type], _Certified], dtype: type) -> _Certified:
    """Returns find(dtype), in float64 where float32 was not good enough."""
    found = find(dtype)
    if found.gap > optimum.TOLERANCE and dtype == np.float32:
        found = min(found, find(np.float64), key=lambda found: found.gap)
    return found
