"""KLIEP by projected gradient ascent, for comparison.

The algorithm of Sugiyama et al. (NIPS 2007, figure 1): a gradient step on
sum_j log w(x_j^target), a projection onto the plane where w has
mean 1 over the source, negative coefficients set to 0, and a scaling to mean 1.
Steps shrink tenfold when the objective no longer grows. It stops short of the
optimum; the certificate says how far.
"""

import dataclasses

import tensorflow as tf

from kliep_tf.density_ratio.simplex import Solution

_STEPS = tuple(10.0**power for power in range(3, -4, -1))
_ITERATIONS_A_STEP = 100


@dataclasses.dataclass(frozen=True)
class GradientAscent:
    """Projected gradient ascent.

    In the simplex form the plane is sum_l a_l = 1. The gradient is taken with
    respect to a, which is the paper's up to the scale of each column.

    Attributes:
        compiled: whether XLA compiles it.
    """

    compiled: bool = True
    screens = False

    def solve(
        self,
        kernels: tf.Tensor,
        present: tf.Tensor,
        q: tf.Tensor,
        tolerance: tf.Tensor,
        start: tf.Tensor | None = None,
    ) -> Solution:
        """Returns where gradient ascent ends; see `simplex.Solver`."""
        # It starts in the middle, and stops when it no longer gains.
        del start, tolerance
        run = _compiled_solve if self.compiled else _solve
        return run(kernels, present, q)


def _solve(kernels: tf.Tensor, present: tf.Tensor, q: tf.Tensor) -> Solution:
    kernels = tf.cast(kernels, tf.float64)
    present = tf.cast(present, tf.float64)
    a = present / tf.reduce_sum(present)
    num_iterations = tf.constant(0)
    for step in _STEPS:
        a, taken = _ascend(kernels, q, present, a, step)
        num_iterations += taken
    gap = tf.math.log(tf.reduce_max(_gradient(kernels, q, a)))
    return Solution(a, gap, num_iterations)


_compiled_solve = tf.function(_solve, jit_compile=True, autograph=False)


def _ascend(
    kernels: tf.Tensor,
    q: tf.Tensor,
    present: tf.Tensor,
    a: tf.Tensor,
    step: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns a after steps of one length, and how many were taken."""

    def body(
        i: tf.Tensor, a: tf.Tensor, value: tf.Tensor, _: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        moved = a + step * present * _gradient(kernels, q, a)
        excess = (tf.reduce_sum(moved) - 1.0) / tf.reduce_sum(present)
        moved = tf.maximum(moved - excess * present, 0.0)
        moved /= tf.reduce_sum(moved)
        found = _objective(kernels, q, moved)
        better = found > value
        a = tf.where(better, moved, a)
        return i + 1, a, tf.maximum(found, value), better

    i, a, _, _ = tf.while_loop(
        lambda i, a, value, better: better & (i < _ITERATIONS_A_STEP),
        body,
        (0, a, _objective(kernels, q, a), True),
    )
    return a, i


def _gradient(kernels: tf.Tensor, q: tf.Tensor, a: tf.Tensor) -> tf.Tensor:
    # Points of weight 0 may be reached by no coefficient that is left.
    shares = tf.math.divide_no_nan(q, _times(kernels, a))
    return tf.linalg.matvec(kernels, shares)


def _objective(kernels: tf.Tensor, q: tf.Tensor, a: tf.Tensor) -> tf.Tensor:
    w = _times(kernels, a)
    return tf.reduce_sum(tf.where(q > 0.0, q * tf.math.log(w), 0.0 * q))


def _times(kernels: tf.Tensor, a: tf.Tensor) -> tf.Tensor:
    """Returns P a [n], of the kernels [b, n] and a [b]."""
    return tf.linalg.matvec(kernels, a, transpose_a=True)
