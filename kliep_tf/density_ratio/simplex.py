"""Solves KLIEP over one matrix of kernels and certifies the solution.

Few columns carry weight at the optimum. A solve on some of the points says
which ones may; a solve on all points then takes those columns alone, in a third
of the time. The certificate over all columns tells whether one was missed.
"""

import dataclasses
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

_CERTIFIED_AT_ONCE = 512  # points; blocks as small stay in the cache
# With fewer points a solve over all columns costs no more.
_SCREENED_POINTS = 2000
_SOME_POINTS = 768
_SOME_COLUMNS = 32
_MOST_ACTIVE = 24  # of them
_ACTIVE = 1e-3  # weight
_ROUGH_TOLERANCE = 1e-2  # nats; so few points tell no more


class Solution(NamedTuple):
    """How a solver ended.

    Attributes:
        a: [b] float64, the coefficients, on the simplex.
        gap: [] float64, bound on the shortfall in nats (its own arithmetic).
        num_iterations: [] int32.
    """

    a: tf.Tensor
    gap: tf.Tensor
    num_iterations: tf.Tensor


class Solver(Protocol):
    """What finds the coefficients.

    Attributes:
        screens: whether all points may be solved over a part of the columns,
            those that a rough solution names. Not where a solver is there to
            show where it ends by itself.
    """

    @property
    def screens(self) -> bool:
        """See the class."""

    def solve(
        self,
        kernels: tf.Tensor,
        present: tf.Tensor,
        q: tf.Tensor,
        tolerance: tf.Tensor,
        start: tf.Tensor,
    ) -> Solution:
        """Maximises sum_j q_j log (P a)_j over the simplex.

        Args:
            kernels: [b, n] float32, P' with each point's column scaled at will
                (that does not change the problem); b is a multiple of 8. Rows
                of zeros are padding.
            present: [b] bool, False for padding.
            q: [n] float64, weights of the points, sum 1; 0 takes one out.
            tolerance: [] float64, the gap to reach, in nats.
            start: [b] float64 on the simplex: uniform, or coefficients of a
                problem much like this one, which save iterations.
        """


@dataclasses.dataclass(frozen=True)
class Certified:
    """Coefficients with their certificate.

    Attributes:
        a: [b] float64, on the simplex.
        ratio: [n] float64, P a.
        gap: the certificate over all columns, recomputed in float64.
        num_iterations: of the solver.
    """

    a: np.ndarray
    ratio: np.ndarray
    gap: float
    num_iterations: int


@dataclasses.dataclass(frozen=True)
class Problem:
    """maximise sum_j q_j log (P a)_j over the simplex.

    Attributes:
        columns: [b, n] float32, P'; see `Solver.solve`.
        present: [b] bool, False for padding.
        q: [n] float64, weights of the points.
        solver: what finds the coefficients.
        start: [b] float64, coefficients of a problem much like this one.
    """

    columns: tf.Tensor
    present: np.ndarray
    q: np.ndarray
    solver: Solver
    start: np.ndarray | None = None

    # Smaller ones are 0.
    least_coefficient: ClassVar[float] = 1e-10

    def solve(self, tolerance: float) -> Certified:
        """Returns the optimum to a tolerance in nats."""
        return self._certified(*self._coefficients(tolerance))

    def solve_screened(self, tolerance: float, largest_gap: float) -> Certified:
        """Returns the same, solving only columns that may carry weight.

        All columns are solved if more than a few may, or if the certificate
        is then above `largest_gap`.
        """
        if np.count_nonzero(self.q) < _SCREENED_POINTS:
            return self.solve(tolerance)
        likely, num_iterations = self._likely_columns()
        if likely is not None:
            part = Problem(
                tf.gather(self.columns, likely),
                self.present[likely],
                self.q,
                self.solver,
                None if self.start is None else self.start[likely],
            )
            a = np.zeros(len(self.present))
            a[likely], more = part._coefficients(tolerance)
            num_iterations += more
            found = self._certified(a, num_iterations)
            if found.gap <= largest_gap:
                return found
        a, more = self._coefficients(tolerance)
        return self._certified(a, num_iterations + more)

    def _coefficients(self, tolerance: float) -> tuple[np.ndarray, int]:
        solution = self.solver.solve(
            self.columns,
            tf.constant(self.present),
            tf.constant(self.q),
            tf.constant(tolerance, tf.float64),
            tf.constant(self._start()),
        )
        a = solution.a.numpy()
        a = np.where(self.present & (a > self.least_coefficient), a, 0.0)
        return a / a.sum(), int(solution.num_iterations)

    def _start(self) -> np.ndarray:
        """Returns where the solver starts, uniform if nothing is known."""
        start = self.present.astype(np.float64)
        if self.start is not None and (self.start * start).sum() > 0.0:
            start *= self.start
        return start / start.sum()

    def _certified(self, a: np.ndarray, num_iterations: int) -> Certified:
        prices, ratio = self._prices(a)
        gap = max(float(np.log(prices.max())), 0.0)
        return Certified(a, ratio, gap, num_iterations)

    def _likely_columns(self) -> tuple[np.ndarray | None, int]:
        """Returns 32 columns, None if more may carry weight; iterations."""
        a, num_iterations = self._rough_coefficients()
        active = a > _ACTIVE
        if active.sum() > _MOST_ACTIVE:
            return None, num_iterations
        prices, _ = self._prices(a)
        if not np.isfinite(prices).all():
            return None, num_iterations
        dearest = np.argsort(-np.where(active, np.inf, prices), kind="stable")
        return np.sort(dearest[:_SOME_COLUMNS]), num_iterations

    def _rough_coefficients(self) -> tuple[np.ndarray, int]:
        """Returns where to start, or a solution on few points; iterations."""
        if self.start is not None:
            return self._start(), 0
        points = np.flatnonzero(self.q)
        points = points[
            np.linspace(0, len(points) - 1, _SOME_POINTS, dtype=int)
        ]
        rough = Problem(
            tf.gather(self.columns, points, axis=1),
            self.present,
            self.q[points] / self.q[points].sum(),
            self.solver,
        )
        return rough._coefficients(_ROUGH_TOLERANCE)

    def _prices(self, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns sum_j q_j P[j, l] / (P a)_j of every l, and P a.

        Not finite where the columns of `a` leave a point out.
        """
        columns = np.asarray(self.columns)
        ratio, prices = np.empty(len(self.q)), np.zeros(len(a))
        for first in range(0, len(self.q), _CERTIFIED_AT_ONCE):
            part = slice(first, first + _CERTIFIED_AT_ONCE)
            block = columns[:, part].astype(np.float64)
            ratio[part] = a @ block
            # Points of weight 0 may have no kernel that reaches them.
            shares = np.zeros(block.shape[1])
            with np.errstate(divide="ignore", invalid="ignore"):
                weighty = self.q[part] > 0
                np.divide(self.q[part], ratio[part], shares, where=weighty)
                prices += block @ shares
        return prices, ratio
