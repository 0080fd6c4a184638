"""The simplex problem where entries of P may be negative.

The constant function is above 0 at all points. So the solver starts from a
mixture with it, and screening begins with it among the columns.
"""

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf

from kliep_tf.density_ratio.simplex import Certified, Problem

# With fewer rows a solve over all columns costs no more.
_SCREENED_ROWS = 2000
_SOME_ROWS = 768
# How many columns are solved before all are; few, as XLA compiles for each.
_SOME_COLUMNS = (32, 96)
_ACTIVE = 1e-3  # weight
_ROUGH_TOLERANCE = 1e-2  # nats; so few rows tell no more
# Of what a row has by the safe column, a start may take this much away.
_LEFT = 0.9
_MOST_START = 0.95  # of a start that is not the safe column
_UNIFORM = 0.1  # of a start that is known


@dataclasses.dataclass(frozen=True)
class SignedProblem(Problem):
    """A Problem whose entries may be negative; rows of weight 0 hold ones.

    Attributes:
        safe: a column that is above 0 at all points.
    """

    safe: int = 0

    # Where P a is the small difference of large terms, small ones count.
    least_coefficient: ClassVar[float] = 1e-15

    def solve_screened(self, tolerance: float, largest_gap: float) -> Certified:
        """Returns the optimum, by columns that may carry weight if they do.

        They are those of a rough solution on some rows, and the dearest; then
        more; then all.
        """
        if len(self.q) < _SCREENED_ROWS:
            return self.solve(tolerance)
        rough = self._rough()
        a, num_iterations = rough._coefficients(_ROUGH_TOLERANCE)
        prices, _ = rough._prices(a)
        for size in _SOME_COLUMNS:
            if size >= len(a):
                break
            columns = self._likely(a, prices, size)
            part = self._part(columns, a)
            a = np.zeros(len(self.present))
            a[columns], more = part._coefficients(tolerance)
            num_iterations += more
            prices, ratio = self._prices(a)
            gap = max(float(np.log(prices.max())), 0.0)
            if gap <= largest_gap:
                return Certified(a, ratio, gap, num_iterations)
        a, more = self._coefficients(tolerance)
        return self._certified(a, num_iterations + more)

    def _rough(self) -> "SignedProblem":
        """Returns the problem over rows at even steps of their weights."""
        places = (np.arange(_SOME_ROWS) + 0.5) / _SOME_ROWS
        total = np.cumsum(self.q)
        rows = np.searchsorted(total, places * total[-1])
        return dataclasses.replace(
            self,
            columns=tf.gather(self.columns, rows, axis=1),
            q=np.full(_SOME_ROWS, 1.0 / _SOME_ROWS),
        )

    def _likely(
        self, a: np.ndarray, prices: np.ndarray, size: int
    ) -> np.ndarray:
        """Returns the columns that carry most, and the dearest others."""
        carrying = np.where(a > _ACTIVE, a, 0.0)
        carrying[self.safe] = 1.0
        carrying[np.argsort(-carrying)[3 * size // 4 :]] = 0.0
        order = np.lexsort([-prices, -carrying])
        return np.sort(order[:size])

    def _part(self, columns: np.ndarray, a: np.ndarray) -> "SignedProblem":
        """Returns the problem over some of its columns, begun from `a`."""
        return dataclasses.replace(
            self,
            columns=tf.gather(self.columns, columns),
            present=self.present[columns],
            start=a[columns],
            safe=int(np.searchsorted(columns, self.safe)),
        )

    def _start(self) -> np.ndarray:
        """Returns a mixture with the safe column, so that P a > 0."""
        uniform = self.present / self.present.sum()
        a = uniform
        if self.start is not None:
            a = (1.0 - _UNIFORM) * super()._start() + _UNIFORM * uniform
        columns = np.asarray(self.columns)
        safe = columns[self.safe].astype(np.float64)
        lost = (safe - a.astype(np.float32) @ columns) / safe
        share = min(_MOST_START, _LEFT / max(float(lost.max()), _LEFT))
        mixed = share * a
        mixed[self.safe] += 1.0 - share
        return mixed
