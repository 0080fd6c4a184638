"""uLSIF and RuLSIF: density ratios by least squares, in closed form.

The ratio r = p_n / (a p_n + (1 - a) p_d), n the numerator's domain and d the
denominator's, is sum_l theta_l K(x, c_l) with centers from the numerator, and

    H = a / N_n sum K K' + (1 - a) / N_d sum K K',    h = mean over n of K,
    theta = max(0, (H + lambda I)^-1 h).

a = 0 is uLSIF: Kanamori, Hido and Sugiyama, "A least-squares approach to direct
importance estimation", JMLR 10 (2009), section 3.2. a > 0 is RuLSIF: Yamada et
al., "Relative density-ratio estimation for robust distribution comparison",
NIPS 2011, section 2.2. The bandwidth and lambda minimise the leave-one-out
score, in closed form too (section 4 of the former, here for any a): the i-th
point of both samples is left out at once, which is a change of rank two.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from kliep_tf.density_ratio.coordinates import LOG_ERROR, Coordinates
from kliep_tf.density_ratio.exponents import Exponents
from kliep_tf.density_ratio.inputs import (
    as_matrix,
    draw_rows,
    require_positive,
    require_same_columns,
    require_whole,
)
from kliep_tf.density_ratio.kernel_moments import (
    KernelSums,
    LeftOut,
    Moments,
    kernel_blocks,
)
from kliep_tf.density_ratio.kernels import (
    GAUSSIAN,
    Kernel,
    as_kernel,
    only_bandwidth,
)
from kliep_tf.density_ratio.options import MOST_LEAST_SQUARES_CENTERS
from kliep_tf.density_ratio.result import SelectionTable
from kliep_tf.density_ratio.samples import (
    Sample,
    Samples,
    measure,
    measure_points,
)
from kliep_tf.density_ratio.selection import candidate_bandwidths
from kliep_tf.errors import UserError

LAMBDAS = tuple(10.0**power for power in np.arange(-3.0, 1.5, 0.5))
_MOST_LEFT_OUT = 2048  # pairs of points that the score is the mean of


@dataclasses.dataclass(frozen=True)
class LeastSquaresResult:
    """A ratio estimated by least squares: sum_l theta_l K(x, c_l).

    Attributes:
        mixture: a.
        theta: [b] float64, not negative.
        centers: [b, d].
        bandwidth: of the kernel, in the features' unit.
        ridge: lambda.
        selection: the bandwidths, each with the best lambda's score, which is
            the negative leave-one-out squared error.
        origin: [d] float64, of the coordinates in which distances are taken.
        scale: their unit.
        kernel: K; in a file, its name.
    """

    mixture: float
    theta: np.ndarray
    centers: np.ndarray
    bandwidth: float
    ridge: float
    selection: SelectionTable
    origin: np.ndarray
    scale: float
    kernel: Kernel = GAUSSIAN


def fit_least_squares(
    source: Any,
    target: Any,
    num_centers: int | None = None,
    bandwidth: float | None = None,
    seed: int = 0,
    *,
    mixture: float = 0.0,
    ridge: float | None = None,
    bandwidths: Sequence[float] | None = None,
    kernel: Any = "gaussian",
) -> LeastSquaresResult:
    """Returns p_target / (a p_target + (1 - a) p_source) by least squares.

    Args:
        source: features [N_s, d], two at least.
        target: features [N_t, d], two at least.
        num_centers: how many target points, drawn with `seed`, are kernel
            centers, 500 at most; None takes as many as there are, up to that.
        bandwidth: None selects it.
        seed: of the draws of centers and of the points left out.
        mixture: a, from 0 (uLSIF) to below 1.
        ridge: lambda; None selects it from LAMBDAS.
        bandwidths: candidates; None means those of `fit_kliep`.
        kernel: as in `fit_kliep`.

    Raises:
        UserError: an argument is not as described above.
    """
    source, target = as_matrix(source, "source"), as_matrix(target, "target")
    require_same_columns(source, "source", target, "target")
    seed = require_whole(seed, "seed", 0)
    if not 0 <= mixture < 1:
        raise UserError(
            f"mixture: expected a share from 0 to below 1, found {mixture!r}"
        )
    if min(len(source), len(target)) < 2:
        raise UserError(
            "source, target: expected two points of each at least, found "
            f"{len(source)} and {len(target)}"
        )
    basis = as_kernel(kernel)
    samples = measure(source, target)
    number = MOST_LEAST_SQUARES_CENTERS if num_centers is None else num_centers
    if require_whole(number, "num_centers", 1) > MOST_LEAST_SQUARES_CENTERS:
        raise UserError(
            f"num_centers: expected at most {MOST_LEAST_SQUARES_CENTERS} by "
            f"least squares, found {number}"
        )
    centers = np.asarray(target[draw_rows(len(target), number, seed)])
    bandwidth = only_bandwidth(basis, bandwidth)
    if bandwidth is None:
        widths = candidate_bandwidths(samples, bandwidths)
    else:
        widths = np.array([require_positive(bandwidth, "bandwidth")])
    ridges = LAMBDAS if ridge is None else (require_positive(ridge, "ridge"),)
    rng = np.random.default_rng(seed)
    pairs = min(len(source), len(target), _MOST_LEFT_OUT)
    left_out = tuple(
        rng.permutation(len(sample))[:pairs] for sample in (target, source)
    )
    errors = np.empty((len(widths), len(ridges)))
    best = 0
    for i, width in enumerate(widths):
        own, other = _sums(samples, centers, basis, width, left_out)
        found = Moments.of(own, other, mixture)
        score = LeftOut(found, own.some, other.some)
        errors[i] = [score.error(value) for value in ridges]
        if i == 0 or errors[i].min() < errors[best].min():
            best, moments = i, found
    lambda_ = ridges[int(np.argmin(errors[best]))]
    unknown = np.full(len(widths), np.nan)
    table = SelectionTable(widths, -errors.min(axis=1), unknown, unknown.copy())
    return LeastSquaresResult(
        mixture=mixture,
        theta=moments.theta(lambda_),
        centers=centers,
        bandwidth=float(widths[best]),
        ridge=float(lambda_),
        selection=table,
        origin=samples.coordinates.origin,
        scale=samples.coordinates.scale,
        kernel=basis,
    )


def least_squares_ratio(x: Any, result: LeastSquaresResult) -> np.ndarray:
    """Returns float64 [N], the ratio at `x` [N, d], not negative.

    Raises:
        UserError: x is not [N, d] with the fit's d, or not finite.
    """
    points = as_matrix(x, "x")
    require_same_columns(result.centers, "the fit", points, "x")
    coordinates = Coordinates(result.origin, result.scale)
    exponents = _exponents(
        measure_points(points, result.origin, "x"),
        result.centers,
        coordinates,
        result.kernel,
        result.bandwidth,
    )
    weights = np.zeros(exponents.width)
    weights[: len(result.theta)] = result.theta
    rate = result.kernel.rate(coordinates, result.bandwidth)
    return exponents.sums_over_centers(weights, rate)


def _sums(
    samples: Samples,
    centers: np.ndarray,
    kernel: Kernel,
    bandwidth: float,
    left_out: tuple[np.ndarray, ...],
) -> tuple[KernelSums, KernelSums]:
    """Returns the sums over target and source, with the kernels of some."""
    rate = kernel.rate(samples.coordinates, bandwidth)
    target, source = (
        KernelSums.of(
            kernel_blocks(
                _exponents(
                    sample, centers, samples.coordinates, kernel, bandwidth
                ),
                len(centers),
                rate,
            ),
            rows,
        )
        for sample, rows in zip(
            (samples.target, samples.source), left_out, strict=True
        )
    )
    return target, source


def _exponents(
    sample: Sample,
    centers: np.ndarray,
    coordinates: Coordinates,
    kernel: Kernel,
    bandwidth: float,
) -> Exponents:
    """Returns the exponents of one bandwidth; nothing of them is kept."""
    dtype = kernel.dtype_for(coordinates, bandwidth, LOG_ERROR)
    return kernel.exponents(
        sample, centers, coordinates, dtype, bandwidth, keep=False
    )
