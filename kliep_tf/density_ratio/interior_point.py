"""The KLIEP optimum by a primal-dual interior point method.

KLIEP (Sugiyama et al., NIPS 2007, eq. 10) in simplex form. With
`log_means[l] = log mean_i K(x_i^source, c_l)` and
`P[j, l] = K(x_j^target, c_l) / exp(log_means[l])` the problem is

    maximise  sum_j q_j log (P a)_j   over  a >= 0, sum_l a_l = 1,

q being the weights of the target points (1/n each). Its optimality conditions
are, with w = P a and z = 1 - P'v as variables of their own,

    v_j w_j = q_j,    a_l z_l = 0,    a, z >= 0

(sum a = 1 then follows). The second pair is relaxed to a_l z_l = mu and mu is
driven to 0 by Mehrotra's predictor-corrector (SIAM J. Optim. 2, 1992). For any
feasible a, `log max_l sum_j q_j P[j, l] / (P a)_j` bounds what the objective
still lacks: this is the certificate.
"""

import dataclasses
from typing import NamedTuple

import tensorflow as tf

from kliep_tf.density_ratio.newton_system import NewtonSystem
from kliep_tf.density_ratio.simplex import Solution

MAX_ITERATIONS = 80
_TO_BOUNDARY = 0.995
# Where few products v_j w_j bound P a, a longer step makes one of them so small
# that no later step can move.
_TO_SIGNED_BOUNDARY = 0.9
# Steps of unequal length are longer. With tens of thousands of points that
# count little they may go to and fro for ever; equal ones lead out of that.
_UNEQUAL_STEPS = 20
_START = 0.9  # of the first coefficients; the rest is the uniform mixture
_MARGINS = (0.01, 0.1)  # of z from 0 at first, at least and at most
# Of kernels that are kept in float64 too: casting them costs each product.
_FEW_ENTRIES = 1 << 20
_FEW_SIGNED_ENTRIES = 1 << 22


@dataclasses.dataclass(frozen=True)
class InteriorPoint:
    """The primal-dual interior point method.

    Attributes:
        compiled: whether XLA compiles it; the answer is the same without.
        signed: whether entries of P may be negative. The start is then taken
            as it is: inside the simplex, and P a above 0 there. Points of very
            little weight then bound P a, so their products v_j w_j come down
            to q_j with mu, as those of a_l z_l come down to 0.
    """

    compiled: bool = True
    signed: bool = False
    screens = True

    def solve(
        self,
        kernels: tf.Tensor,
        present: tf.Tensor,
        q: tf.Tensor,
        tolerance: tf.Tensor,
        start: tf.Tensor | None = None,
    ) -> Solution:
        """Returns the optimal coefficients; see `simplex.Solver`."""
        run = _compiled_solve if self.compiled else _solve
        return run(kernels, present, q, tolerance, start, self.signed)


class _State(NamedTuple):
    primal: tf.Tensor  # [b + n], a and w = P a
    dual: tf.Tensor  # [b + n], z and v
    prices: tf.Tensor  # [b] = P'(q / w)
    dual_products: tf.Tensor  # [b] = P'v
    best_a: tf.Tensor  # [b], on the simplex
    best_gap: tf.Tensor  # []
    num_iterations: tf.Tensor  # []


def _solve(
    kernels: tf.Tensor,
    present: tf.Tensor,
    q: tf.Tensor,
    tolerance: tf.Tensor,
    start: tf.Tensor | None,
    signed: bool,
) -> Solution:
    products = kernels
    few = _FEW_SIGNED_ENTRIES if signed else _FEW_ENTRIES
    if kernels.shape.num_elements() <= few:
        products = tf.cast(kernels, tf.float64)
    begin = _begin(products, q, present, start, signed)

    def unfinished(state: _State) -> tf.Tensor:
        return (state.best_gap > tolerance) & tf.reduce_all(
            tf.math.is_finite(state.prices)
        )

    end = tf.while_loop(
        unfinished,
        lambda state: [_iterate(kernels, products, q, state, signed)],
        [begin],
        maximum_iterations=MAX_ITERATIONS,
    )[0]
    return Solution(end.best_a, end.best_gap, end.num_iterations)


_compiled_solve = tf.function(_solve, jit_compile=True, autograph=False)


def _begin(
    kernels: tf.Tensor,
    q: tf.Tensor,
    present: tf.Tensor,
    start: tf.Tensor | None,
    signed: bool,
) -> _State:
    """Returns where to begin: well inside the simplex, with z positive.

    The farther the start is from the optimum, the farther it is from 0.
    """
    share = tf.cast(present, tf.float64)
    a = tf.maximum(share, 1e-3) / tf.reduce_sum(share)
    if start is not None and signed:
        a = tf.where(present, start, a)
    elif start is not None:
        a += _START * (start - a)
    w = _times(kernels, a)
    prices = _transposed_times(kernels, q / w)
    gap = _gap(prices, a)
    relaxed, products = q, prices
    if signed:
        counted = tf.cast(q > 0.0, q.dtype)
        relaxed = tf.maximum(q, counted / tf.reduce_sum(counted))
        products = _transposed_times(kernels, relaxed / w)
    scale = (1.0 + tf.clip_by_value(gap, *_MARGINS)) * tf.reduce_max(products)
    return _State(
        primal=tf.concat([a, w], 0),
        dual=tf.concat([1.0 - products / scale, relaxed / (w * scale)], 0),
        prices=prices,
        dual_products=products / scale,
        best_a=a / tf.reduce_sum(a),
        best_gap=gap,
        num_iterations=tf.constant(0),
    )


def _iterate(
    kernels: tf.Tensor,
    products: tf.Tensor,
    q: tf.Tensor,
    state: _State,
    signed: bool,
) -> _State:
    """Returns the state after one predictor-corrector step.

    `products` are the kernels that vectors are multiplied with.
    """
    size = kernels.shape[0]
    part = _TO_SIGNED_BOUNDARY if signed else _TO_BOUNDARY
    equal = tf.logical_and(signed, state.num_iterations >= _UNEQUAL_STEPS)
    primal, dual = state.primal, state.dual
    (a, w), (z, v) = _split(primal, size), _split(dual, size)
    dtype = tf.float64 if signed else tf.float32
    system = NewtonSystem.of(kernels, v / w, z / a, dtype)
    # z - 1 + P'v, and P'((q - v w) / w).
    residual = z - 1.0 + state.dual_products
    gradient = state.prices - state.dual_products + residual

    def direction(
        gradient: tf.Tensor, complement: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns Newton's step to primal * dual = complement + primal * dual.

        With the other equations, P'dv + dz = -residual and dw = P da.
        """
        da = system.solve(gradient + complement[:size] / a)
        step = tf.concat([da, _times(products, da)], 0)
        return step, (complement - dual * step) / primal

    # Predictor: mu = 0.
    target = tf.concat([tf.zeros_like(a), q], 0)
    complement = target - primal * dual
    step, dual_step = direction(gradient, complement)
    mu = tf.reduce_mean(a * z)
    lengths = _step_lengths(primal, step, dual, dual_step, equal, part)
    affine = tf.reduce_mean(
        (a + lengths[0] * step[:size]) * (z + lengths[1] * dual_step[:size])
    )

    # Corrector: centred, with the second-order terms.
    bends = step * dual_step
    if signed:
        # Of steps that are cut short, the second-order terms are small.
        bends *= tf.minimum(lengths[0], 1.0) * tf.minimum(lengths[1], 1.0)
    centre = mu * (affine / mu) ** 3
    relaxed = q
    if signed:
        relaxed = tf.where(q > 0.0, tf.maximum(q, centre), q)
    target = tf.concat([tf.fill([size], centre), relaxed], 0)
    complement = target - primal * dual - bends
    bent = bends[size:]
    if signed:
        bent += q - relaxed
    bend = _transposed_times(products, bent / w)
    step, dual_step = direction(gradient - bend, complement)
    lengths = _step_lengths(primal, step, dual, dual_step, equal, part)
    primal += part * lengths[0] * step
    dual += part * lengths[1] * dual_step

    (a, w), (_, v) = _split(primal, size), _split(dual, size)
    prices = _transposed_times(products, q / w)
    gap = _gap(prices, a)
    better = gap < state.best_gap
    return _State(
        primal=primal,
        dual=dual,
        prices=prices,
        dual_products=_transposed_times(products, v),
        best_a=tf.where(better, a / tf.reduce_sum(a), state.best_a),
        best_gap=tf.minimum(gap, state.best_gap),
        num_iterations=state.num_iterations + 1,
    )


def _split(pair: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    return pair[:size], pair[size:]


def _gap(prices: tf.Tensor, a: tf.Tensor) -> tf.Tensor:
    """Returns the certificate of a / sum(a)."""
    return tf.math.log(tf.reduce_max(prices) * tf.reduce_sum(a))


def _step_lengths(
    primal: tf.Tensor,
    step: tf.Tensor,
    dual: tf.Tensor,
    dual_step: tf.Tensor,
    equal: tf.Tensor,
    part: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns how far each may go, or both where they are to be equal."""
    one = _step_length(primal, step, part)
    other = _step_length(dual, dual_step, part)
    both = tf.minimum(one, other)
    return tf.where(equal, both, one), tf.where(equal, both, other)


def _step_length(x: tf.Tensor, dx: tf.Tensor, part: float) -> tf.Tensor:
    """Returns the largest t <= 1 / part with x + t dx >= 0."""
    # Points of weight 0 have v = dv = 0 and do not bind.
    speed = tf.reduce_max(-dx / tf.where(x > 0.0, x, tf.ones_like(x)))
    return 1.0 / tf.maximum(speed, part)


def _times(kernels: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Returns P x [n] in float64, x [b]."""
    return tf.linalg.matvec(tf.cast(kernels, tf.float64), x, transpose_a=True)


def _transposed_times(kernels: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Returns P'x [b] in float64, x [n]."""
    return tf.linalg.matvec(tf.cast(kernels, tf.float64), x)
