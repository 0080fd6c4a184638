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

from typing import NamedTuple

import tensorflow as tf

MAX_ITERATIONS = 60
_TO_BOUNDARY = 0.995
# Of the float32 products P'DP, relative to their diagonal: what rounding
# leaves, so that nearly equal columns do not make the system indefinite.
_RIDGE = 2e-7
_BLOCK = 32


class Solution(NamedTuple):
    """How the solver ended.

    Attributes:
        a: [b] float64, the coefficients, on the simplex.
        gap: [] float64, bound on the shortfall in nats (its own arithmetic).
        num_iterations: [] int32.
    """

    a: tf.Tensor
    gap: tf.Tensor
    num_iterations: tf.Tensor


class _State(NamedTuple):
    a: tf.Tensor  # [b]
    w: tf.Tensor  # [n] = P a
    v: tf.Tensor  # [n]
    z: tf.Tensor  # [b]
    residual: tf.Tensor  # [b] = z - 1 + P'v
    prices: tf.Tensor  # [b] = P'(q / w)
    best_a: tf.Tensor  # [b], on the simplex
    best_gap: tf.Tensor  # []
    num_iterations: tf.Tensor  # []


def solve(
    squared_distances: tf.Tensor,
    inverse_width: tf.Tensor,
    log_means: tf.Tensor,
    log_q: tf.Tensor,
    tolerance: tf.Tensor,
) -> Solution:
    """Returns the optimal coefficients.

    Args:
        squared_distances: [n, b] of the target points to the centers. A
            column of zeros with log mean 0 is the constant function. b is a
            multiple of 32.
        inverse_width: [] float64, 1 / (2 bandwidth^2).
        log_means: [b] float64; +inf takes a column out of the problem.
        log_q: [n] float64, log weights of the points; -inf takes one out.
        tolerance: [] float64, the gap to reach, in nats.
    """
    kernels = scaled_kernels(squared_distances, inverse_width, log_means)
    q = tf.exp(log_q)
    start = _start(kernels, q, tf.math.is_finite(log_means))

    def unfinished(state: _State) -> tf.Tensor:
        return (state.best_gap > tolerance) & tf.reduce_all(
            tf.math.is_finite(state.prices)
        )

    end = tf.while_loop(
        unfinished,
        lambda state: [_iterate(kernels, q, state)],
        [start],
        maximum_iterations=MAX_ITERATIONS,
    )[0]
    return Solution(end.best_a, end.best_gap, end.num_iterations)


compiled_solve = tf.function(solve, jit_compile=True, autograph=False)


def scaled_kernels(
    squared_distances: tf.Tensor,
    inverse_width: tf.Tensor,
    log_means: tf.Tensor,
) -> tf.Tensor:
    """Returns P [n, b] float32, each row divided by its maximum.

    The problem does not change when a row is scaled, and in this form no
    width underflows.
    """
    dtype = squared_distances.dtype
    logs = -squared_distances * tf.cast(inverse_width, dtype) - tf.cast(
        log_means, dtype
    )
    logs -= tf.reduce_max(logs, axis=1, keepdims=True)
    return tf.cast(tf.exp(logs), tf.float32)


def _start(kernels: tf.Tensor, q: tf.Tensor, present: tf.Tensor) -> _State:
    """Returns the uniform mixture, v scaled so that z is positive."""
    share = tf.cast(present, tf.float64)
    num_present = tf.reduce_sum(share)
    a = tf.maximum(share, 1e-3) / num_present
    w = _times(kernels, a)
    prices = _transposed_times(kernels, q / w)
    scale = 1.1 * tf.reduce_max(prices)
    z = 1.0 - prices / scale
    return _State(
        a=a,
        w=w,
        v=q / (w * scale),
        z=z,
        residual=tf.zeros_like(z),
        prices=prices,
        best_a=a / tf.reduce_sum(a),
        best_gap=_gap(prices, a),
        num_iterations=tf.constant(0),
    )


def _iterate(kernels: tf.Tensor, q: tf.Tensor, state: _State) -> _State:
    """Returns the state after one predictor-corrector step."""
    a, w, v, z, residual, prices, best_a, best_gap, num_iterations = state
    curvature = v / w
    inverse = _system_inverse(kernels, curvature, z / a)
    count = tf.cast(tf.size(a), tf.float64)
    mu = tf.tensordot(a, z, 1) / count

    # P'((q - v w) / w), from what is known already: P'v = 1 - z + residual.
    gradient = prices - (1.0 - z + residual)

    # Predictor: mu = 0.
    da = _apply(inverse, gradient + residual - z)
    dw = _times(kernels, da)
    dv = (q - v * w - v * dw) / w
    dz = -z - z * da / a
    step = _step_length(a, da)
    dual_step = tf.minimum(_step_length(z, dz), _step_length(v, dv))
    affine = tf.tensordot(a + step * da, z + dual_step * dz, 1) / count
    target_mu = mu * (affine / mu) ** 3

    # Corrector: centred, with the second-order terms.
    products = q - v * w - dv * dw
    complement = target_mu - a * z - da * dz
    correction = _transposed_times(kernels, dv * dw / w)
    da = _apply(inverse, gradient - correction + residual + complement / a)
    dw = _times(kernels, da)
    dv = (products - v * dw) / w
    dz = -residual - _transposed_times(kernels, dv)
    step = _TO_BOUNDARY * tf.minimum(_step_length(a, da), _step_length(w, dw))
    dual_step = _TO_BOUNDARY * tf.minimum(
        _step_length(z, dz), _step_length(v, dv)
    )
    a = a + step * da
    w = w + step * dw
    prices = _transposed_times(kernels, q / w)
    gap = _gap(prices, a)
    better = gap < best_gap
    return _State(
        a=a,
        w=w,
        v=v + dual_step * dv,
        z=z + dual_step * dz,
        residual=(1.0 - dual_step) * residual,
        prices=prices,
        best_a=tf.where(better, a / tf.reduce_sum(a), best_a),
        best_gap=tf.where(better, gap, best_gap),
        num_iterations=num_iterations + 1,
    )


def _gap(prices: tf.Tensor, a: tf.Tensor) -> tf.Tensor:
    """Returns the certificate of a / sum(a)."""
    return tf.math.log(tf.reduce_max(prices) * tf.reduce_sum(a))


def _step_length(x: tf.Tensor, dx: tf.Tensor) -> tf.Tensor:
    """Returns the largest t <= 1/0.995 with x + t dx >= 0."""
    # Points of weight 0 have v = dv = 0 and do not bind.
    speed = tf.reduce_max(-dx / tf.where(x > 0.0, x, tf.ones_like(x)))
    return 1.0 / tf.maximum(speed, _TO_BOUNDARY)


def _times(kernels: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Returns P x in float64."""
    return tf.linalg.matvec(tf.cast(kernels, tf.float64), x)


def _transposed_times(kernels: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Returns P'x in float64."""
    return tf.linalg.matvec(tf.cast(kernels, tf.float64), x, transpose_a=True)


class _Inverse(NamedTuple):
    scale: tf.Tensor  # [b]
    system: tf.Tensor  # [b, b], of unit diagonal
    inverse: tf.Tensor  # [b, b]


def _system_inverse(
    kernels: tf.Tensor, curvature: tf.Tensor, barrier: tf.Tensor
) -> _Inverse:
    """Returns P' diag(curvature) P + diag(barrier), inverted.

    The product is taken in float32, which bends the direction a little and
    never the solution: residuals are float64.
    """
    root = tf.cast(tf.sqrt(curvature), tf.float32)
    rows = kernels * root[:, None]
    gram = tf.cast(tf.linalg.matmul(rows, rows, transpose_a=True), tf.float64)
    diagonal = tf.linalg.diag_part(gram)
    system = gram + tf.linalg.diag(_RIDGE * diagonal + barrier)
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
    """Returns the inverse of a positive definite [b, b], b a multiple of 32.

    Gauss-Jordan elimination in blocks. On CPU, XLA's own Cholesky factor of
    128 columns takes twenty times as long as this inverse.
    """
    size = matrix.shape[0]
    blocks = tf.reshape(tf.range(size), [-1, _BLOCK])
    identity = tf.eye(size, dtype=matrix.dtype)

    def eliminate(i: tf.Tensor, matrix: tf.Tensor):
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
    """Returns the inverse of a positive definite [32, 32], row by row."""
    identity = tf.eye(_BLOCK, dtype=block.dtype)

    def eliminate(i: tf.Tensor, block: tf.Tensor):
        place = tf.gather(identity, i)
        outside = 1.0 - place
        row = tf.gather(block, i)
        column = place - tf.gather(block, i, axis=1) * outside
        row = (row * outside + place) / tf.gather(row, i)
        block *= outside[:, None] * outside[None, :]
        return i + 1, block + column[:, None] * row[None, :]

    return tf.while_loop(lambda i, _: i < _BLOCK, eliminate, (0, block))[1]
