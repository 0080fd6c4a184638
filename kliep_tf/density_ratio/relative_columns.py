"""The relative ratio as a simplex problem: its columns and their prices.

With the mixture m = (1 - a) p_s + a p_t, the relative ratios are

    r(x) = p_t(x) / m(x)    and    r'(x) = p_s(x) / m(x) = (1 - a r) / (1 - a).

Each basis function has mean 1 over the mixture of both samples, so a point of
the simplex is a ratio of mean 1:

    at a target center c:    r  = K(x, c) / b,   b = the mixture's mean of K
    at a source center c:    r' = K(x, c) / b,   so r = (1 - (1 - a) r') / a
    the constant:            r  = r' = 1.

Every point is two rows of the matrix, r and r': the objective takes the
logarithms of both, and so holds both above 0, and r below 1 / a.
"""

import dataclasses
import os

import numpy as np
import tensorflow as tf

from kliep_tf.density_ratio import blocks
from kliep_tf.density_ratio.exponents import Exponents
from kliep_tf.density_ratio.signed_problem import SignedProblem
from kliep_tf.density_ratio.simplex import Solver
from kliep_tf.errors import UserError

# Of memory that a solve takes at its peak, for each point and column: two rows
# of float32, and what the solver makes of them (measured on 100,000 points).
_BYTES = 90
_LARGEST_LOG = 80.0  # of K / b, which is at most 1 / (weight of one point)


@dataclasses.dataclass(frozen=True)
class Weights:
    """How much each point counts for log r and for log r'.

    Labels are smoothed as Platt does ("Probabilistic outputs for support
    vector machines", 1999): one in N + 2 points of a domain is taken to be of
    the other one. So both ratios are above 0 at all points.

    Attributes:
        target: [2, N_t], of r and r' at the target points.
        source: [2, N_s].
    """

    target: np.ndarray
    source: np.ndarray

    @classmethod
    def of(
        cls,
        target_inside: np.ndarray,
        source_inside: np.ndarray,
        mixture: float,
    ) -> "Weights":
        """Returns the weights that share 1; 0 where bool [N] is False."""
        smoothed = []
        for inside, share in (
            (target_inside, mixture),
            (source_inside, 1.0 - mixture),
        ):
            number = inside.sum()
            wrong = 1.0 / (number + 2.0)
            each = share * inside / number
            smoothed.append(np.stack([(1.0 - wrong) * each, wrong * each]))
        target, source = smoothed
        return cls(target, source[::-1])

    @property
    def leaves_out(self) -> bool:
        """Whether some points count for nothing."""
        return not (self.target.all() and self.source.all())


@dataclasses.dataclass(frozen=True)
class Ratios:
    """r and r' at all points, and the coefficients that they come from.

    Attributes:
        log_a: [width] float64, log coefficients on the simplex.
        gap: the certificate over these columns, in nats.
        num_iterations: of the solver.
        target: [2, N_t] float64, r and r' at the target points.
        source: [2, N_s] float64.
    """

    log_a: np.ndarray
    gap: float
    num_iterations: int
    target: np.ndarray
    source: np.ndarray

    def objective(self, weights: Weights) -> float:
        """Returns sum q log r + sum q' log r' over both samples, in nats."""
        return sum(
            float(np.sum(q[q > 0] * np.log(ratios[q > 0])))
            for q, ratios in (
                (weights.target, self.target),
                (weights.source, self.source),
            )
        )


@dataclasses.dataclass(frozen=True)
class Columns:
    """One set of basis functions.

    Attributes:
        to_target: exponents of their centers at the target points.
        to_source: exponents at the source points.
        log_means: [width] float64, log b; +inf for what is not there, and 0
            for the constant, whose exponents are 0.
        of_target: [width] bool, whether a center is a target point; True for
            the constant.
        constant: the constant's place.
        mixture: a.
        rate: of the kernel.
    """

    to_target: Exponents
    to_source: Exponents
    log_means: np.ndarray
    of_target: np.ndarray
    constant: int
    mixture: float
    rate: float

    def solve(
        self,
        weights: Weights,
        solver: Solver,
        tolerance: float,
        largest_gap: float,
    ) -> Ratios:
        """Returns the optimum, to a tolerance in nats, and its certificate.

        Screened (`Problem.solve_screened`), unless that leaves a larger gap.

        Raises:
            UserError: this machine has not the memory.
        """
        _require_memory(
            self.to_target.num_points + self.to_source.num_points,
            self.to_target.width,
        )
        wholes = self.to_target.whole(), self.to_source.whole()
        rows, scales = self._rows(wholes)
        sizes = [whole.shape[1] for whole in wholes]
        q = np.concatenate(
            [
                _padded(weights.target, sizes[0]),
                _padded(weights.source, sizes[1]),
            ]
        )
        present = np.isfinite(self.log_means)
        counted = _where_counted(rows, tf.constant(q > 0), tf.constant(present))
        if not weights.leaves_out:
            del rows  # as large as `counted`
        problem = SignedProblem(
            counted,
            present,
            q,
            solver,
            safe=self.constant,
        )
        found = problem.solve_screened(tolerance, largest_gap)
        ratios = found.ratio
        if weights.leaves_out:
            # A point that counts for nothing was not in the problem.
            others = found.a.astype(np.float32) @ rows.numpy()
            ratios = np.where(q > 0, ratios, others)
        ratios = ratios * scales.numpy()
        target, source = (
            part.reshape(2, -1) for part in np.split(ratios, [2 * sizes[0]])
        )
        with np.errstate(divide="ignore"):
            log_a = np.log(found.a)
        return Ratios(
            log_a=log_a,
            gap=found.gap,
            num_iterations=found.num_iterations,
            target=target[:, : self.to_target.num_points],
            source=source[:, : self.to_source.num_points],
        )

    def _rows(
        self, wholes: tuple[tf.Tensor, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns float32 [width, n] and float64 [n], see `_scaled_rows`."""
        parts = [
            _scaled_rows(
                whole,
                tf.constant(self.log_means),
                tf.constant(self.of_target),
                tf.constant(self.mixture, tf.float64),
                tf.constant(self.rate, tf.float64),
            )
            for whole in wholes
        ]
        return (
            tf.concat([rows for rows, _ in parts], axis=1),
            tf.concat([scales for _, scales in parts], axis=0),
        )


def _require_memory(num_points: int, width: int) -> None:
    """Raises a UserError where a solve cannot fit into physical memory."""
    if not hasattr(os, "sysconf"):
        return
    needed = _BYTES * num_points * width
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > physical:
        raise UserError(
            f"relative_kliep: expected points of which all rows fit into "
            f"{physical / 2**30:.0f} GiB of memory, found {num_points} with "
            f"{width} columns, about {needed / 2**30:.0f} GiB; kliep and "
            "rulsif take less"
        )


def mixture_means(
    target: np.ndarray, source: np.ndarray, mixture: float
) -> np.ndarray:
    """Returns log b, from the log means of K over each sample."""
    with np.errstate(invalid="ignore"):
        return np.logaddexp(
            np.log(mixture) + target, np.log1p(-mixture) + source
        )


def price_weights(
    ratios: np.ndarray, weights: np.ndarray, mixture: float
) -> tuple[np.ndarray, float, np.ndarray, float]:
    """Returns what prices are of, over one sample.

    The price of a column is the sum of its r times q / r and of its r' times
    q' / r'. Of a target center that is `constant + sum_i c_i K_il / b_l`.

    Args:
        ratios: [2, N], r and r' at the points.
        weights: [2, N], q and q'.
        mixture: a.

    Returns:
        c [N] and the constant for target centers, then for source centers.
    """
    own, reverse = weights / ratios
    a = mixture
    return (
        own - a / (1.0 - a) * reverse,
        float(reverse.sum()) / (1.0 - a),
        reverse - (1.0 - a) / a * own,
        float(own.sum()) / a,
    )


@blocks.one_at_a_time
@tf.function(jit_compile=True, autograph=False)
def _scaled_rows(
    exponents: tf.Tensor,
    log_means: tf.Tensor,
    of_target: tf.Tensor,
    mixture: tf.Tensor,
    rate: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns float32 [b, 2 N] and float64 [2 N].

    The columns' r at all points and then their r', each divided by the largest
    of its point; and what they were divided by.
    """
    dtype = exponents.dtype
    log_means = tf.cast(log_means, dtype)[:, None]
    a = tf.cast(mixture, dtype)
    logs = -exponents * tf.cast(rate, dtype) - log_means
    share = tf.exp(tf.minimum(logs, _LARGEST_LOG))
    of_target = of_target[:, None]
    own = tf.where(of_target, share, (1.0 - (1.0 - a) * share) / a)
    reverse = tf.where(of_target, (1.0 - a * share) / (1.0 - a), share)
    rows = tf.concat([own, reverse], axis=1)
    rows = tf.where(tf.math.is_finite(log_means), rows, tf.zeros_like(rows))
    scales = tf.reduce_max(tf.abs(rows), axis=0)
    return tf.cast(rows / scales, tf.float32), tf.cast(scales, tf.float64)


@tf.function(jit_compile=True, autograph=False)
def _where_counted(
    rows: tf.Tensor, counted: tf.Tensor, present: tf.Tensor
) -> tf.Tensor:
    """Returns the rows; 1 where a point does not count, so it never binds."""
    ones = tf.cast(present, tf.float32)[:, None]
    return tf.where(counted, rows, ones * tf.ones_like(rows))


def _padded(weights: np.ndarray, size: int) -> np.ndarray:
    """Returns [2 size] of the weights [2, N], 0 for padding."""
    padded = np.zeros((2, size))
    padded[:, : weights.shape[1]] = weights
    return padded.reshape(-1)
