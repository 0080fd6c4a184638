"""Sums of kernels in the log domain: the compiled functions.

K(x, c) = exp(-rate * exponent), of the Gaussian kernel exp(-|x - c|^2 / (2
bandwidth^2)): squared distances come from one matrix product and serve every
bandwidth, whose rate `inverse_width` is 1 / (2 bandwidth^2). Centers are rows
and points are columns: sums over points then run along memory, which is what
there is most of. `Exponents` calls these block by block.

TensorFlow Probability's psd_kernels take the same product and about as long
(10,000 points, 100 centers, d = 300, under XLA on a busy machine: 15 CPU ms;
an exponential of distances whose norms XLA took: 24), but give the kernel
itself: it underflows at small widths, and each would take the product anew.
"""

import tensorflow as tf

from kliep_tf.density_ratio import blocks


@tf.function(jit_compile=True, autograph=False)
def squared_distances(
    centers: tf.Tensor,
    center_squares: tf.Tensor,
    present: tf.Tensor,
    points: tf.Tensor,
    point_squares: tf.Tensor,
) -> tf.Tensor:
    """Returns [b, N] squared distances; 0 to a center that is padding.

    Args:
        centers: [b, d], zeros for padding.
        center_squares: [b], their squared norms.
        present: [b] bool, False for padding.
        points: [N, d].
        point_squares: [N], their squared norms.
    """
    products = tf.linalg.matmul(centers, points, transpose_b=True)
    squares = center_squares[:, None] + point_squares
    distances = tf.maximum(squares - 2.0 * products, 0.0)
    return tf.where(present[:, None], distances, tf.zeros_like(distances))


@blocks.one_at_a_time
@tf.function(jit_compile=True, autograph=False)
def scaled_kernels(
    distances: tf.Tensor, log_means: tf.Tensor, inverse_width: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns K / exp(log_means), each point's largest made 1, and its log.

    Scaled so, no width underflows. A center whose log mean is +inf has 0.

    Returns:
        float32 [b, N] and float64 [N], log of what each point was divided by.
    """
    logs = _log_kernels(distances, -log_means[:, None], inverse_width)
    largest = tf.reduce_max(logs, axis=0)
    kernels = tf.cast(tf.exp(logs - largest), tf.float32)
    return kernels, tf.cast(largest, tf.float64)


@blocks.one_at_a_time
@tf.function(jit_compile=True, autograph=False)
def log_sums_over_points(
    distances: tf.Tensor, log_weights: tf.Tensor, inverse_width: tf.Tensor
) -> tf.Tensor:
    """Returns float64 [b], log sum_j exp(log_weights_j) K_lj."""
    logs = _log_kernels(distances, log_weights, inverse_width)
    largest = tf.reduce_max(logs, axis=1)
    largest = tf.maximum(largest, logs.dtype.min)  # where all are -inf
    terms = _sum_over_points(tf.exp(logs - largest[:, None]))
    return tf.cast(largest, tf.float64) + tf.math.log(terms)


@blocks.one_at_a_time
@tf.function(jit_compile=True, autograph=False)
def log_sums_of_parts(
    distances: tf.Tensor, weights: tf.Tensor, inverse_width: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns float64 [k, b] twice: log sum_j weights_jk K_lj, and the sums.

    The latter are in units of a center's largest kernel: none is exact that
    is near the least float32.
    """
    logs = _log_kernels(distances, 0.0, inverse_width)
    largest = tf.reduce_max(logs, axis=1)
    terms = tf.exp(logs - largest[:, None])
    weights = tf.cast(weights, terms.dtype)
    sums = tf.linalg.matmul(weights, terms, transpose_a=True, transpose_b=True)
    sums = tf.cast(sums, tf.float64)
    return tf.cast(largest, tf.float64) + tf.math.log(sums), sums


@tf.function(jit_compile=True, autograph=False)
def prices(
    distances: tf.Tensor,
    log_weights: tf.Tensor,
    log_means: tf.Tensor,
    inverse_width: tf.Tensor,
) -> tf.Tensor:
    """Returns float64 [b], sum_j exp(log_weights_j - log_means_l) K_lj."""
    logs = _log_kernels(distances, log_weights, inverse_width)
    logs -= tf.cast(log_means, logs.dtype)[:, None]
    return _sum_over_points(tf.exp(tf.minimum(logs, 80.0)))


@tf.function(jit_compile=True, autograph=False)
def sums_over_points(
    distances: tf.Tensor,
    weights: tf.Tensor,
    log_means: tf.Tensor,
    inverse_width: tf.Tensor,
) -> tf.Tensor:
    """Returns float64 [b], sum_j weights_j K_lj / exp(log_means_l).

    `weights` [N] may be negative; no quotient may leave float32.
    """
    logs = _log_kernels(distances, 0.0, inverse_width)
    logs -= tf.cast(log_means, logs.dtype)[:, None]
    terms = tf.cast(tf.exp(tf.minimum(logs, 80.0)), tf.float64)
    return tf.linalg.matvec(terms, weights)


@tf.function(jit_compile=True, autograph=False)
def sums_over_centers(
    distances: tf.Tensor, weights: tf.Tensor, inverse_width: tf.Tensor
) -> tf.Tensor:
    """Returns float64 [N], sum_l weights_l K_lj; weights [b] of any sign."""
    kernels = tf.exp(_log_kernels(distances, 0.0, inverse_width))
    kernels = tf.cast(kernels, tf.float64)
    return tf.linalg.matvec(kernels, weights, transpose_a=True)


@blocks.one_at_a_time
@tf.function(jit_compile=True, autograph=False)
def log_sums_over_centers(
    distances: tf.Tensor,
    rows: tf.Tensor,
    log_weights: tf.Tensor,
    inverse_width: tf.Tensor,
) -> tf.Tensor:
    """Returns float64 [N], log sum_l exp(log_weights_l) K_lj over `rows`."""
    distances = tf.gather(distances, rows)
    logs = _log_kernels(distances, log_weights[:, None], inverse_width)
    largest = tf.maximum(tf.reduce_max(logs, axis=0), logs.dtype.min)
    terms = tf.cast(tf.exp(logs - largest), tf.float64)
    total = tf.math.log(tf.reduce_sum(terms, axis=0))
    return tf.cast(largest, tf.float64) + total


def _log_kernels(
    distances: tf.Tensor,
    log_weights: tf.Tensor | float,
    inverse_width: tf.Tensor,
) -> tf.Tensor:
    """Returns log_weights + log K, in the precision of the distances."""
    dtype = distances.dtype
    inverse_width = tf.cast(inverse_width, dtype)
    return tf.cast(log_weights, dtype) - distances * inverse_width


def _sum_over_points(terms: tf.Tensor) -> tf.Tensor:
    """Returns float64 [b]; as a product, it takes XLA half the time."""
    ones = tf.ones([terms.shape[1]], tf.float64)
    return tf.linalg.matvec(tf.cast(terms, tf.float64), ones)
