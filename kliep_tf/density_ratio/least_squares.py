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
from kliep_tf.density_ratio.inputs import (
    as_matrix,
    draw_rows,
    require_positive,
    require_same_columns,
    require_whole,
)
from kliep_tf.density_ratio.kernels import (
    GAUSSIAN,
    Kernel,
    as_kernel,
    only_bandwidth,
)
from kliep_tf.density_ratio.result import SelectionTable
from kliep_tf.density_ratio.samples import Sample, measure, measure_points
from kliep_tf.density_ratio.selection import candidate_bandwidths

LAMBDAS = tuple(10.0**power for power in np.arange(-3.0, 1.5, 0.5))
# More make theta no better and H too large.
_MOST_CENTERS = 500
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
            centers; 500 at most, also where None asks for all.
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
    basis = as_kernel(kernel)
    samples = measure(source, target)
    number = min(num_centers or _MOST_CENTERS, _MOST_CENTERS)
    centers = np.asarray(target[draw_rows(len(target), number, seed)])
    bandwidth = only_bandwidth(basis, bandwidth)
    if bandwidth is None:
        widths = candidate_bandwidths(samples, bandwidths)
    else:
        widths = np.array([require_positive(bandwidth, "bandwidth")])
    ridges = LAMBDAS if ridge is None else (require_positive(ridge, "ridge"),)

    def kernels(sample: Sample, width: float) -> np.ndarray:
        coordinates = samples.coordinates
        return kernel_matrix(sample, centers, coordinates, basis, width)

    rng = np.random.default_rng(seed)
    pairs = min(len(source), len(target), _MOST_LEFT_OUT)
    own_rows = rng.permutation(len(target))[:pairs]
    other_rows = rng.permutation(len(source))[:pairs]
    errors = np.empty((len(widths), len(ridges)))
    for i, width in enumerate(widths):
        own = kernels(samples.target, width)
        other = kernels(samples.source, width)
        left_out = LeftOut(
            Moments.of(own, other, mixture), own[own_rows], other[other_rows]
        )
        errors[i] = [left_out.error(value) for value in ridges]
    best_i, best_j = np.unravel_index(np.argmin(errors), errors.shape)
    best = widths[best_i]
    moments = Moments.of(
        kernels(samples.target, best), kernels(samples.source, best), mixture
    )
    unknown = np.full(len(widths), np.nan)
    table = SelectionTable(widths, -errors.min(axis=1), unknown, unknown.copy())
    return LeastSquaresResult(
        mixture=mixture,
        theta=moments.theta(ridges[best_j]),
        centers=centers,
        bandwidth=float(best),
        ridge=float(ridges[best_j]),
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
    kernels = kernel_matrix(
        measure_points(points, result.origin, "x"),
        result.centers,
        coordinates,
        result.kernel,
        result.bandwidth,
    )
    return kernels @ result.theta


def kernel_matrix(
    sample: Sample,
    centers: np.ndarray,
    coordinates: Coordinates,
    kernel: Kernel,
    bandwidth: float,
) -> np.ndarray:
    """Returns float64 [N, b], K(x_i, c_l)."""
    exponents = kernel.exponents(
        sample,
        centers,
        coordinates,
        kernel.dtype_for(coordinates, bandwidth, LOG_ERROR),
        bandwidth,
        keep=False,
    )
    rate = kernel.rate(coordinates, bandwidth)
    found = np.empty((len(sample), len(centers)))
    for first, last, block in exponents.blocks():
        values = block.numpy()[: len(centers), : last - first]
        found[first:last] = np.exp(-rate * values.T.astype(np.float64))
    return found


@dataclasses.dataclass(frozen=True)
class Moments:
    """H by sample, and h.

    Attributes:
        own: [b, b], mean K K' over the numerator's points.
        other: [b, b], over the denominator's.
        mean: [b], h.
        sizes: how many points of each.
        mixture: a.
    """

    own: np.ndarray
    other: np.ndarray
    mean: np.ndarray
    sizes: tuple[int, int]
    mixture: float

    @classmethod
    def of(
        cls, own: np.ndarray, other: np.ndarray, mixture: float
    ) -> "Moments":
        """Returns the moments of kernels [N_n, b] and [N_d, b]."""
        sizes = len(own), len(other)
        return cls(
            own.T @ own / sizes[0],
            other.T @ other / sizes[1],
            own.mean(axis=0),
            sizes,
            mixture,
        )

    def theta(self, ridge: float) -> np.ndarray:
        """Returns [b], the coefficients."""
        a = self.mixture
        system = a * self.own + (1.0 - a) * self.other
        system[np.diag_indices_from(system)] += ridge
        return np.maximum(np.linalg.solve(system, self.mean), 0.0)


class LeftOut:
    """The squared errors at pairs of points that were left out of the fit.

    That is the mean of a/2 r(own)^2 + (1 - a)/2 r(other)^2 - r(own), where r is
    fitted without the pair (Kanamori et al., section 4). One decomposition
    serves every lambda.
    """

    def __init__(self, moments: Moments, own: np.ndarray, other: np.ndarray):
        """Keeps what does not depend on lambda.

        Args:
            moments: of all points.
            own: [n, b], kernels at the numerator points of the pairs.
            other: [n, b], at the denominator points.
        """
        a, (size, other_size) = moments.mixture, moments.sizes
        self._mixture, self._own, self._other = a, own.T, other.T
        # H without pair i = system - u u' - v v'.
        system = a * size / (size - 1) * moments.own
        system += (1.0 - a) * other_size / (other_size - 1) * moments.other
        self._values, self._vectors = np.linalg.eigh(system)
        self._u = np.sqrt(a / (size - 1)) * own.T
        self._v = np.sqrt((1.0 - a) / (other_size - 1)) * other.T
        means = (size * moments.mean[:, None] - own.T) / (size - 1)  # [b, n]
        columns = np.concatenate([self._u, self._v, means], axis=1)
        self._rotated = self._vectors.T @ columns

    def error(self, ridge: float) -> float:
        """Returns the mean error with this lambda."""
        values = np.maximum(self._values, 0.0) + ridge
        inverse_u, inverse_v, plain = np.split(
            self._vectors @ (self._rotated / values[:, None]), 3, axis=1
        )
        u, v = self._u, self._v
        # Woodbury's identity: (I - U' S^-1 U) of U = [u, v], of each pair.
        uu = 1.0 - np.sum(u * inverse_u, axis=0)
        vv = 1.0 - np.sum(v * inverse_v, axis=0)
        uv = -np.sum(u * inverse_v, axis=0)
        right_u = np.sum(u * plain, axis=0)
        right_v = np.sum(v * plain, axis=0)
        determinant = uu * vv - uv**2
        by_u = (vv * right_u - uv * right_v) / determinant
        by_v = (uu * right_v - uv * right_u) / determinant
        theta = np.maximum(plain + inverse_u * by_u + inverse_v * by_v, 0.0)
        at_own = np.sum(self._own * theta, axis=0)
        at_other = np.sum(self._other * theta, axis=0)
        a = self._mixture
        squares = a * at_own**2 + (1.0 - a) * at_other**2
        return float(np.mean(0.5 * squares - at_own))
