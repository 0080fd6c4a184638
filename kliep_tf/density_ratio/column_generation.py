"""Optima over any number of candidate centers.

Solves a working set of columns, then prices every candidate by one pass over
the points, `g_l = sum_j q_j P[j, l] / w_j`. A candidate whose price is above 1
would improve the solution. Those of the highest price join the working set,
those without weight leave it, until the certificate `log max_l g_l` over all
candidates is small. Few centers carry weight at the optimum, so the working
set stays small where the full system would not fit in memory.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar

import numpy as np

from kliep_tf import progress
from kliep_tf.density_ratio import optimum
from kliep_tf.density_ratio.coordinates import Coordinates
from kliep_tf.density_ratio.exponents import Exponents, padded_width
from kliep_tf.density_ratio.kernels import Kernel
from kliep_tf.density_ratio.samples import Sample

_LEAST_WIDTH = 128
_LEAST_NEW_COLUMNS = 48
_MAX_ROUNDS = 60
_CANDIDATES_AT_ONCE = 2048
_LEAST_WEIGHT = 1e-7
# Distances of the target to all candidates that are kept between rounds.
_KEPT_ENTRIES = 1 << 27
# Of kernels; a pass over as many takes seconds, and shows how far it is.
_LONG_PASS = 1 << 31


class Found(Protocol):
    """A certified solution over a working set; a frozen dataclass."""

    @property
    def log_a(self) -> np.ndarray:
        """[width], log coefficients, those of the working set first."""
        ...

    @property
    def gap(self) -> float:
        """The certificate over the working set, in nats."""
        ...

    @property
    def num_iterations(self) -> int:
        """Of the solver."""
        ...


FoundType = TypeVar("FoundType", bound=Found)


class Candidates(Protocol[FoundType]):
    """A problem over many columns, of which few carry weight."""

    def __len__(self) -> int:
        """Returns the number of candidates."""
        ...

    def solve(self, working: np.ndarray) -> FoundType:
        """Returns the optimum over the candidates of these rows."""
        ...

    def log_prices(self, found: FoundType, number: int) -> np.ndarray:
        """Returns float64 [candidates], log g_l; `number` is the round."""
        ...


def generate(
    candidates: Candidates[FoundType], rng: np.random.Generator
) -> tuple[np.ndarray, FoundType]:
    """Returns the working set that is optimal over all candidates.

    With it comes its solution, whose gap is over all of them and whose
    iterations are those of all rounds.
    """
    first = rng.choice(len(candidates), _LEAST_WIDTH - 1, replace=False)
    working = np.sort(first)
    num_iterations = 0
    for number in range(1, _MAX_ROUNDS + 1):
        found = candidates.solve(working)
        num_iterations += found.num_iterations
        log_prices = candidates.log_prices(found, number)
        gap = max(found.gap, float(log_prices.max()))
        grown = _grown(working, found.log_a, log_prices)
        if gap <= optimum.TOLERANCE or np.isin(grown, working).all():
            break
        if number < _MAX_ROUNDS:  # else there is no solution of a larger set
            working = grown
    whole: Any = found
    return working, dataclasses.replace(
        whole, gap=gap, num_iterations=num_iterations
    )


class CandidateCenters:
    """Exponents of any of the candidate centers, by parts of them."""

    def __init__(
        self,
        coordinates: Coordinates,
        centers: np.ndarray,
        bandwidth: float,
        dtype: type,
        kernel: Kernel,
    ):
        """Keeps what exponents are taken of."""
        self._coordinates = coordinates
        self._centers = centers
        self._bandwidth = bandwidth
        self._dtype = dtype
        self._kernel = kernel
        self.rate = kernel.rate(coordinates, bandwidth)
        self._step = -(-len(centers) // -(-len(centers) // _CANDIDATES_AT_ONCE))

    def __len__(self) -> int:
        """Returns the number of candidates."""
        return len(self._centers)

    def of(
        self,
        sample: Sample,
        working: np.ndarray,
        keep: bool = True,
        width: int | None = None,
    ) -> Exponents:
        """Returns the exponents of the candidates of these rows."""
        return self._kernel.exponents(
            sample,
            self._centers[working],
            self._coordinates,
            self._dtype,
            self._bandwidth,
            width=width or width_for(len(working)),
            keep=keep,
        )

    def parts(
        self, sample: Sample, name: str, keep: bool = False
    ) -> Iterator[tuple[slice, Exponents]]:
        """Yields one part of the candidates after another, with exponents."""
        starts: Iterable[int] = range(0, len(self._centers), self._step)
        if len(sample) * len(self._centers) > _LONG_PASS:
            number = -(-len(self._centers) // self._step)
            starts = progress.progress(starts, number, name, "part")
        for first in starts:
            centers = self._centers[first : first + self._step]
            yield (
                slice(first, first + len(centers)),
                self._kernel.exponents(
                    sample,
                    centers,
                    self._coordinates,
                    self._dtype,
                    self._bandwidth,
                    width=padded_width(self._step),
                    keep=keep,
                ),
            )

    def kept_parts(
        self, sample: Sample, name: str
    ) -> list[tuple[slice, Exponents]] | None:
        """Returns all parts, kept for further passes; None if too many."""
        if len(sample) * len(self._centers) > _KEPT_ENTRIES:
            return None
        return list(self.parts(sample, name, keep=True))

    def log_means(self, sample: Sample, name: str) -> np.ndarray:
        """Returns float64 [b], log mean_i K(x_i, c_l) over the sample."""
        log_share = optimum.uniform(len(sample))
        found = np.empty(len(self._centers))
        for part, exponents in self.parts(sample, name):
            log_sums = exponents.log_sums_over_points(log_share, self.rate)
            found[part] = log_sums[: part.stop - part.start]
        return found


def _grown(
    working: np.ndarray, log_a: np.ndarray, log_prices: np.ndarray
) -> np.ndarray:
    """Returns the next working set: columns with weight or a high price."""
    active = working[log_a[: len(working)] > np.log(_LEAST_WEIGHT)]
    dearest = np.argsort(-log_prices, kind="stable")
    dearest = dearest[log_prices[dearest] > 0.5 * optimum.TOLERANCE]
    new = dearest[~np.isin(dearest, working)]
    room = width_for(len(active) + _LEAST_NEW_COLUMNS) - 1 - len(active)
    return np.union1d(active, new[:room])


def width_for(num_columns: int) -> int:
    """Returns 128, 256, 512, ...: few, because XLA compiles for each."""
    return max(_LEAST_WIDTH, 1 << num_columns.bit_length())
