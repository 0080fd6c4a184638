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

from kliep_tf.density_ratio.simplex import Solution

MAX_ITERATIONS = 60
_TO_BOUNDARY = 0.995
_START = 0.9  # of the first coefficients; the rest is the uniform mixture
_MARGINS = (0.01, 0.1)  # of z from 0 at first, at least and at most
# Of the float32 products P'DP, relative to their diagonal: what rounding
# leaves, so that nearly equal columns do not make the system indefinite.
_RIDGE = 2e-7
_EXACT_RIDGE = 1e-14  # of float64 products
_BLOCK = 8
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
        exact: whether the systems are formed in float64, which takes twice as
            long and is hardly ever needed.
    """

    compiled: bool = True
    signed: bool = False
    exact: bool = False
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
        return run(
            kernels, present, q, tolerance, start, self.signed, self.exact
        )


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
    exact: bool,
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
        lambda state: [_iterate(kernels, products, q, state, signed, exact)],
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
    exact: bool,
) -> _State:
    """Returns the state after one predictor-corrector step.

    `products` are the kernels that vectors are multiplied with.
    """
    size = kernels.shape[0]
    primal, dual = state.primal, state.dual
    (a, w), (z, v) = _split(primal, size), _split(dual, size)
    inverse = _system_inverse(kernels, v / w, z / a, exact)
    # z - 1 + P'v, and P'((q - v w) / w).
    residual = z - 1.0 + state.dual_products
    gradient = state.prices - state.dual_products + residual

    def direction(
        gradient: tf.Tensor, complement: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns Newton's step to primal * dual = complement + primal * dual.

        With the other equations, P'dv + dz = -residual and dw = P da.
        """
        da = _apply(inverse, gradient + complement[:size] / a)
        step = tf.concat([da, _times(products, da)], 0)
        return step, (complement - dual * step) / primal

    # Predictor: mu = 0.
    target = tf.concat([tf.zeros_like(a), q], 0)
    complement = target - primal * dual
    step, dual_step = direction(gradient, complement)
    mu = tf.reduce_mean(a * z)
    affine = tf.reduce_mean(
        (a + _step_length(primal, step) * step[:size])
        * (z + _step_length(dual, dual_step) * dual_step[:size])
    )

    # Corrector: centred, with the second-order terms.
    bends = step * dual_step
    if signed:
        # Of steps that are cut short, the second-order terms are small.
        lengths = _step_length(primal, step), _step_length(dual, dual_step)
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
    primal += _TO_BOUNDARY * _step_length(primal, step) * step
    dual += _TO_BOUNDARY * _step_length(dual, dual_step) * dual_step

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


def _step_length(x: tf.Tensor, dx: tf.Tensor) -> tf.Tensor:
    """Returns the largest t <= 1 / 0.995 with x + t dx >= 0."""
    # Points of weight 0 have v = dv = 0 and do not bind.
    speed = tf.reduce_max(-dx / tf.where(x > 0.0, x, tf.ones_like(x)))
    return 1.0 / tf.maximum(speed, _TO_BOUNDARY)


def _times(kernels: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Returns P x [n] in float64, x [b]."""
    return tf.linalg.matvec(tf.cast(kernels, tf.float64), x, transpose_a=True)


def _transposed_times(kernels: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Returns P'x [b] in float64, x [n]."""
    return tf.linalg.matvec(tf.cast(kernels, tf.float64), x)


class _Inverse(NamedTuple):
    scale: tf.Tensor  # [b]
    system: tf.Tensor  # [b, b], of unit diagonal
    inverse: tf.Tensor  # [b, b]


def _system_inverse(
    kernels: tf.Tensor,
    curvature: tf.Tensor,
    barrier: tf.Tensor,
    exact: bool,
) -> _Inverse:
    """Returns P' diag(curvature) P + diag(barrier), inverted.

    Unless `exact`, the product is taken in float32, which bends the direction
    a little and never the solution: residuals are float64. Where differences
    of entries count, as they do where some are negative, that is too much.
    """
    dtype = tf.float64 if exact else tf.float32
    root = tf.cast(tf.sqrt(curvature), dtype)
    rows = tf.cast(kernels, dtype) * root
    gram = tf.cast(tf.linalg.matmul(rows, rows, transpose_b=True), tf.float64)
    diagonal = tf.linalg.diag_part(gram)
    ridge = _EXACT_RIDGE if exact else _RIDGE
    system = gram + tf.linalg.diag(ridge * diagonal + barrier)
    scale = tf.math.rsqrt(diagonal + barrier)
    system *= scale[:, None] * scale[None, :]
    return _Inverse(scale, system, inverse_of_positive(system))


def _apply(inverse: _Inverse, x: tf.Tensor) -> tf.Tensor:
    """Returns the system's solution, refined once."""
    x = x * inverse.scale
    solution = tf.linalg.matvec(inverse.inverse, x)
    rest = x - tf.linalg.matvec(inverse.system, solution)
    solution += tf.linalg.matvec(inverse.inverse, rest)
    return solution * inverse.scale


def inverse_of_positive(matrix: tf.Tensor) -> tf.Tensor:
    """Returns the inverse of a positive definite [b, b], b a multiple of 8.

    Gauss-Jordan elimination in blocks. On CPU, XLA's own Cholesky factor of
    128 columns takes twenty times as long as this inverse.
    """
    size = matrix.shape[0]
    blocks = tf.reshape(tf.range(size), [-1, _BLOCK])
    identity = tf.eye(size, dtype=matrix.dtype)

    def eliminate(
        i: tf.Tensor, matrix: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        place = tf.gather(identity, blocks[i])  # [block, size]
        rows = tf.gather(matrix, blocks[i])
        columns = tf.gather(matrix, blocks[i], axis=1)
        pivot = _small_inverse(tf.gather(rows, blocks[i], axis=1))
        outside = 1.0 - tf.reduce_sum(place, axis=0)
        rows = pivot @ (rows * outside + place)
        columns = tf.transpose(place) - columns * outside[:, None]
        matrix *= outside[:, None] * outside[None, :]
        return i + 1, matrix + columns @ rows

    num_blocks = size // _BLOCK
    return tf.while_loop(lambda i, _: i < num_blocks, eliminate, (0, matrix))[1]


def _small_inverse(block: tf.Tensor) -> tf.Tensor:
    """Returns the inverse of a positive definite [8, 8], row by row."""
    identity = tf.eye(_BLOCK, dtype=block.dtype)

    def eliminate(
        i: tf.Tensor, block: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        place = tf.gather(identity, i)
        outside = 1.0 - place
        row = tf.gather(block, i)
        column = place - tf.gather(block, i, axis=1) * outside
        row = (row * outside + place) / tf.gather(row, i)
        block *= outside[:, None] * outside[None, :]
        return i + 1, block + column[:, None] * row[None, :]

    return tf.while_loop(lambda i, _: i < _BLOCK, eliminate, (0, block))[1]
