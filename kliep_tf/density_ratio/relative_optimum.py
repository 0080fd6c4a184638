"""The relative ratio's optimum at one bandwidth, over any number of centers."""

import dataclasses

import numpy as np

from kliep_tf.density_ratio import optimum
from kliep_tf.density_ratio.column_generation import CandidateCenters, generate
from kliep_tf.density_ratio.coordinates import LOG_ERROR
from kliep_tf.density_ratio.exponents import Exponents, close_width
from kliep_tf.density_ratio.inputs import draw_rows
from kliep_tf.density_ratio.kernels import Kernel
from kliep_tf.density_ratio.kliep_optimum import in_precision
from kliep_tf.density_ratio.relative_columns import (
    Columns,
    Ratios,
    Weights,
    mixture_means,
    price_weights,
)
from kliep_tf.density_ratio.samples import Samples
from kliep_tf.density_ratio.simplex import Solver

# Up to as many candidates are solved without generating columns.
_DIRECT_COLUMNS = 255
_SOLVER_TOLERANCE = 3e-7  # below that of the certificate


@dataclasses.dataclass(frozen=True)
class RelativeOptions:
    """What the caller of `fit_relative_kliep` has chosen.

    Attributes:
        mixture: a, the target's share in the denominator.
        kernel: of the basis functions.
        solver: finds the coefficients.
        num_folds: of the cross-validation.
        seed: of the draws of centers and folds.
    """

    mixture: float
    kernel: Kernel
    solver: Solver
    num_folds: int
    seed: int


@dataclasses.dataclass(frozen=True)
class Basis:
    """The kernel centers: target points, then source points.

    Attributes:
        centers: [b, d].
        target_rows: the rows of those that are target points.
        source_rows: of those that are source points.
    """

    centers: np.ndarray
    target_rows: np.ndarray
    source_rows: np.ndarray

    @classmethod
    def draw(
        cls,
        source: np.ndarray,
        target: np.ndarray,
        num_centers: int | None,
        seed: int,
    ) -> "Basis":
        """Returns all points, or as many of each sample.

        Raises:
            UserError: `num_centers` is no whole number of 1 or more.
        """
        target_rows, source_rows = (
            draw_rows(len(sample), num_centers, seed)
            for sample in (target, source)
        )
        return cls.of(source, target, target_rows, source_rows)

    @classmethod
    def of(
        cls,
        source: np.ndarray,
        target: np.ndarray,
        target_rows: np.ndarray,
        source_rows: np.ndarray,
    ) -> "Basis":
        """Returns the basis at these rows of the samples."""
        centers = np.concatenate([target[target_rows], source[source_rows]])
        return cls(centers, target_rows, source_rows)

    @property
    def of_target(self) -> np.ndarray:
        """Bool [b]: which centers are target points."""
        return np.arange(len(self.centers)) < len(self.target_rows)


@dataclasses.dataclass(frozen=True)
class RelativeOptimum:
    """The coefficients at one bandwidth; see `RelativeResult`."""

    centers: np.ndarray
    coefficients: np.ndarray
    constant: float
    log_likelihood: float
    gap: float
    num_iterations: int
    ess: float
    reverse_ess: float


def find_relative_optimum(
    samples: Samples, basis: Basis, bandwidth: float, options: RelativeOptions
) -> RelativeOptimum:
    """Returns the optimum over all centers of the basis, certified."""
    rng = np.random.default_rng(options.seed)

    def find(dtype: type) -> RelativeOptimum:
        candidates = _Candidates(samples, basis, bandwidth, dtype, options)
        if len(candidates) <= _DIRECT_COLUMNS:
            working = np.arange(len(candidates))
            return candidates.optimum(working, candidates.solve(working))
        return candidates.optimum(*generate(candidates, rng))

    dtype = options.kernel.dtype_for(samples.coordinates, bandwidth, LOG_ERROR)
    return in_precision(find, dtype)


class _Candidates:
    """The columns of all centers; the constant stands in each working set."""

    def __init__(
        self,
        samples: Samples,
        basis: Basis,
        bandwidth: float,
        dtype: type,
        options: RelativeOptions,
    ):
        self._samples = samples
        self._basis = basis
        self._options = options
        self._centers = CandidateCenters(
            samples.coordinates,
            basis.centers,
            bandwidth,
            dtype,
            options.kernel,
        )
        self._weights = Weights.of(
            np.ones(len(samples.target), bool),
            np.ones(len(samples.source), bool),
            options.mixture,
        )
        self._all = None
        if len(self) <= _DIRECT_COLUMNS:
            self._all = self._exponents(np.arange(len(self)))
        target, source = self._sample_means()
        self._log_means = mixture_means(target, source, options.mixture)

    def __len__(self) -> int:
        return len(self._centers)

    def solve(self, working: np.ndarray) -> Ratios:
        """Returns the optimum over some candidates."""
        number = len(working)
        to_target, to_source = self._all or self._exponents(working)
        log_means = np.full(to_target.width, np.inf)
        log_means[:number] = self._log_means[working]
        log_means[number] = 0.0
        of_target = np.ones(to_target.width, bool)
        of_target[:number] = self._basis.of_target[working]
        columns = Columns(
            to_target=to_target,
            to_source=to_source,
            log_means=log_means,
            of_target=of_target,
            constant=number,
            mixture=self._options.mixture,
            rate=self._centers.rate,
        )
        return columns.solve(
            self._weights,
            self._options.solver,
            _SOLVER_TOLERANCE,
            optimum.TOLERANCE,
        )

    def _exponents(self, working: np.ndarray) -> tuple[Exponents, Exponents]:
        """Returns those at target points and at source points."""
        width = None
        if len(self) <= _DIRECT_COLUMNS:
            width = close_width(len(working))
        target, source = self._samples.target, self._samples.source
        return (
            self._centers.of(target, working, width=width),
            self._centers.of(source, working, width=width),
        )

    def _sample_means(self) -> list[np.ndarray]:
        """Returns each center's log mean of K over target and source."""
        name = "relative KLIEP"
        if self._all is None:
            return [
                self._centers.log_means(self._samples.target, name),
                self._centers.log_means(self._samples.source, name),
            ]
        return [
            exponents.log_sums_over_points(
                optimum.uniform(exponents.num_points), self._centers.rate
            )[: len(self)]
            for exponents in self._all
        ]

    def log_prices(self, found: Ratios, number: int) -> np.ndarray:
        """Returns float64 [b], the log price of every candidate."""
        prices = np.zeros(len(self))
        for sample, ratios, weights, name in (
            (
                self._samples.target,
                found.target,
                self._weights.target,
                "target",
            ),
            (
                self._samples.source,
                found.source,
                self._weights.source,
                "source",
            ),
        ):
            own, own_constant, reverse, reverse_constant = price_weights(
                ratios, weights, self._options.mixture
            )
            of_target = self._basis.of_target
            prices += np.where(of_target, own_constant, reverse_constant)
            for part, exponents in self._centers.parts(
                sample, f"relative KLIEP: round {number}, {name}"
            ):
                size = part.stop - part.start
                for counted, kind in (
                    (own, of_target[part]),
                    (reverse, ~of_target[part]),
                ):
                    if kind.any():
                        sums = exponents.sums_over_points(
                            counted, self._log_means[part], self._centers.rate
                        )
                        prices[part] += np.where(kind, sums[:size], 0.0)
        # A price below 0 is far below 1, the only one that matters.
        return np.log(np.maximum(prices, 1e-300))

    def optimum(self, working: np.ndarray, found: Ratios) -> RelativeOptimum:
        """Returns the coefficients of r from those of the columns."""
        a = self._options.mixture
        share = np.exp(found.log_a)
        used = share[: len(working)] > 0.0
        rows = working[used]
        shares = share[: len(working)][used]
        of_target = self._basis.of_target[rows]
        factor = np.where(of_target, 1.0, -(1.0 - a) / a)
        constant = share[len(working)] + shares[~of_target].sum() / a
        return RelativeOptimum(
            centers=self._basis.centers[rows],
            coefficients=factor * shares * np.exp(-self._log_means[rows]),
            constant=float(constant),
            log_likelihood=found.objective(self._weights),
            gap=found.gap,
            num_iterations=found.num_iterations,
            ess=optimum.effective_share(np.log(found.source[0])),
            reverse_ess=optimum.effective_share(np.log(found.target[1])),
        )
