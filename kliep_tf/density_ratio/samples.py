"""Samples after one pass: every entry is finite, and its distance known."""

import dataclasses

import numpy as np

from kliep_tf.density_ratio import inputs
from kliep_tf.density_ratio.coordinates import Coordinates

_ORIGIN_POINTS = 1024  # at most, whose mean may be the origin
# A mean within this share of the largest norm costs no precision to speak of.
_NEAR_ZERO = 1 / 3
_ENTRIES_AT_ONCE = 1 << 19
# Squares within these are far from the ends of float32.
_LEAST_SQUARE, _LARGEST_SQUARE = 1e-20, 1e30


@dataclasses.dataclass(frozen=True)
class Sample:
    """Finite points and their distances from the origin of the coordinates.

    Attributes:
        points: [N, d].
        norms: [N] float64.
    """

    points: np.ndarray
    norms: np.ndarray

    def __len__(self) -> int:
        return len(self.points)

    def take(self, rows: np.ndarray) -> "Sample":
        """Returns the points of these rows."""
        return Sample(np.asarray(self.points[rows]), self.norms[rows])


@dataclasses.dataclass(frozen=True)
class Samples:
    """Two samples and the coordinates of their distances."""

    source: Sample
    target: Sample
    coordinates: Coordinates


def measure(source: np.ndarray, target: np.ndarray) -> Samples:
    """Returns the samples [N_s, d] and [N_t, d] with their coordinates.

    Raises:
        UserError: an entry is NaN, infinite or above 1e36.
    """
    origin = _origin(target[:: -(-len(target) // _ORIGIN_POINTS)])
    measured_source = measure_points(source, origin, "source")
    measured_target = measure_points(target, origin, "target")
    largest = max(measured_source.norms.max(), measured_target.norms.max())
    # The inverse of a subnormal number is infinite.
    least = np.finfo(source.dtype).tiny
    scale = max(float(largest), float(least)) if largest > 0 else 1.0
    coordinates = Coordinates(origin, scale)
    return Samples(measured_source, measured_target, coordinates)


def measure_points(points: np.ndarray, origin: np.ndarray, name: str) -> Sample:
    """Returns the points [N, d] with their distances from the origin [d].

    Raises:
        UserError: an entry is NaN, infinite or above 1e36; the message calls
            the points `name`.
    """
    rows = max(1, _ENTRIES_AT_ONCE // points.shape[1])
    norms = np.empty(len(points))
    # Squares of numbers far from 0 would hide how close these are.
    least = max(float(origin @ origin), _LEAST_SQUARE)
    for first in range(0, len(points), rows):
        block = points[first : first + rows]
        squares = _square_norms(block, origin)
        if least < float(squares.max()) < _LARGEST_SQUARE:
            norms[first : first + rows] = np.sqrt(squares)
        else:
            inputs.require_finite(block, name, first)
            norms[first : first + rows] = _careful_norms(block, origin)
    return Sample(points, norms)


def _origin(points: np.ndarray) -> np.ndarray:
    """Returns float64 [d]: 0 where the points lie around it, or their mean."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        largest = np.sqrt(np.vecdot(points, points).max(), dtype=np.float64)
        mean = np.mean(points, axis=0, dtype=np.float64)
        far = np.linalg.norm(mean) > _NEAR_ZERO * largest
        if not (far and np.isfinite(mean).all()):
            return np.zeros_like(mean)
        # Representable in float32, so that float32 features keep all digits.
        return np.asarray(mean, np.float32).astype(np.float64)


def _square_norms(points: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Returns [N], |x - origin|^2, the difference not taken: half the time.

    NaN or infinite where the points are.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        # As a matrix product this would wake threads for too little work.
        squares = np.vecdot(points, points)
        if not origin.any():
            return squares
        origin = origin.astype(points.dtype)
        squares -= 2.0 * np.vecdot(points, origin)
        return np.maximum(squares + np.vecdot(origin, origin), 0.0)


def _careful_norms(points: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Returns [N], |x - origin| of finite points anywhere and in any unit."""
    moved = points.astype(np.float64) - origin
    extent = np.abs(moved).max()
    if extent > 0:
        moved /= extent
    return extent * np.sqrt(np.vecdot(moved, moved))


def median_distance(samples: Samples, seed: int = 0) -> float:
    """Returns the median distance between target points, in their own unit.

    Taken over at most 1,000 points drawn with `seed` and over distances above
    0. Where all target points coincide, the median distance to the source
    stands in; where everything coincides, 1.
    """
    coordinates, rng = samples.coordinates, np.random.default_rng(seed)
    some_target = coordinates.place(
        _some(samples.target, 1000, rng), np.float64
    )
    for other in (some_target, None):
        if other is None:
            other = coordinates.place(
                _some(samples.source, 1000, rng), np.float64
            )
        squares = np.sum(some_target**2, 1)[:, None] + np.sum(other**2, 1)
        distances = squares - 2.0 * some_target @ other.T
        # What rounding leaves of a distance between equal points is not one.
        positive = distances[distances > 1e-13 * squares]
        if other is some_target:
            positive = distances[
                (distances > 1e-13 * squares)
                & ~np.eye(len(distances), dtype=bool)
            ]
        if positive.size:
            return float(np.sqrt(np.median(positive)) * coordinates.scale)
    return 1.0


def _some(sample: Sample, size: int, rng: np.random.Generator) -> np.ndarray:
    if len(sample) <= size:
        return np.asarray(sample.points)
    rows = np.sort(rng.choice(len(sample), size, replace=False))
    return np.asarray(sample.points[rows])
