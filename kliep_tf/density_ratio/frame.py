"""The origin and unit in which distances are taken, and a typical distance."""

import dataclasses

import numpy as np

_ORIGIN_POINTS = 4096  # at most, whose mean is the origin
_CACHED_ENTRIES = 1 << 17  # of blocks that are gone over more than once
# Largest rounding error allowed in a log kernel before float64 is used.
_LOG_ERROR = 1e-5
_FLOAT32_ROUNDING = 2.0**-24


@dataclasses.dataclass(frozen=True)
class Frame:
    """Where features are moved before distances are taken.

    Distances do not change with the origin; rounding errors do.

    Attributes:
        origin: [d] float64, near the target's mean.
        scale: the largest distance from there; distances are in this unit.
    """

    origin: np.ndarray
    scale: float

    def place(
        self,
        points: np.ndarray,
        dtype: type,
        rows: int | None = None,
    ) -> np.ndarray:
        """Returns (points - origin) / scale as [N, d] of `dtype`.

        With `rows`, rows of zeros are added up to that number.
        """
        size, dim = points.shape
        placed = np.empty((size if rows is None else rows, dim), points.dtype)
        # The origin is representable in float32, so float32 features stay
        # float32 and lose nothing that they had.
        np.subtract(points, self.origin.astype(points.dtype), placed[:size])
        placed[:size] *= points.dtype.type(1.0 / self.scale)
        placed[size:] = 0.0
        return placed.astype(dtype, copy=False)

    def inverse_width(self, bandwidth: float) -> float:
        """Returns 1 / (2 bandwidth^2) in units of this frame."""
        return 0.5 * (self.scale / bandwidth) ** 2

    def dtype_for(
        self, bandwidth: float, log_error: float = _LOG_ERROR
    ) -> type:
        """Returns the precision that log kernels of this width need."""
        # No squared distance is above 4 (both points within one scale).
        error = 4.0 * self.inverse_width(bandwidth) * _FLOAT32_ROUNDING
        return np.float32 if error <= log_error else np.float64


def make_frame(source: np.ndarray, target: np.ndarray) -> Frame:
    """Returns the frame of two samples, [N_s, d] and [N_t, d]."""
    some = target[:: -(-len(target) // _ORIGIN_POINTS)]
    origin = np.mean(some, axis=0, dtype=np.float64)
    origin = origin.astype(np.float32).astype(np.float64)
    largest = max(_largest_norm(points, origin) for points in (source, target))
    return Frame(origin, largest if largest > 0 else 1.0)


def _largest_norm(points: np.ndarray, origin: np.ndarray) -> float:
    # Squares of numbers far from 0 would hide how close these are.
    least_square = max(float(origin @ origin), 1e-20)
    origin = origin.astype(points.dtype)
    rows = max(1, _CACHED_ENTRIES // points.shape[1])
    largest = 0.0
    for first in range(0, len(points), rows):
        part = points[first : first + rows]
        square = _largest_square(part, origin)
        if least_square < square < 1e30:
            largest = max(largest, float(np.sqrt(square)))
        else:
            largest = max(largest, _largest_row(part - origin))
    return largest


def _largest_square(points: np.ndarray, origin: np.ndarray) -> float:
    """Returns max |x - origin|^2, the difference not taken: half the time."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        squares = np.einsum("nd,nd->n", points, points)
        squares -= 2.0 * (points @ origin)
        return float(squares.max() + origin @ origin)


def _largest_row(moved: np.ndarray) -> float:
    """Returns the largest norm of a row, in any unit."""
    with np.errstate(over="ignore", under="ignore"):
        square = float(np.einsum("nd,nd->n", moved, moved).max())
    if 1e-20 < square < 1e30:
        return float(np.sqrt(square))
    extent = float(np.abs(moved).max())
    if not extent:
        return 0.0
    # Squares that would leave the range of float32 are taken of shares.
    moved = moved / moved.dtype.type(extent)
    square = float(np.einsum("nd,nd->n", moved, moved).max())
    return extent * float(np.sqrt(square))


def median_distance(
    source: np.ndarray, target: np.ndarray, frame: Frame, seed: int = 0
) -> float:
    """Returns the median distance between target points, in their own unit.

    Taken over at most 1,000 points drawn with `seed` and over distances above
    0. Where all target points coincide, the median distance to the source
    stands in; where everything coincides, 1.
    """
    rng = np.random.default_rng(seed)
    some_target = frame.place(_sample(target, 1000, rng), np.float64)
    for other in (some_target, None):
        if other is None:
            other = frame.place(_sample(source, 1000, rng), np.float64)
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
            return float(np.sqrt(np.median(positive)) * frame.scale)
    return 1.0


def _sample(points: np.ndarray, size: int, rng) -> np.ndarray:
    if len(points) <= size:
        return np.asarray(points)
    rows = np.sort(rng.choice(len(points), size, replace=False))
    return np.asarray(points[rows])
