"""The origin and the unit that distances are measured in."""

import dataclasses

import numpy as np

# Largest rounding error allowed in a log kernel before float64 is used.
LOG_ERROR = 1e-5
_FLOAT32_ROUNDING = 2.0**-24
_UNITS = (1e-9, 1e9)  # whose squares and inverses are far from float32's ends


@dataclasses.dataclass(frozen=True)
class Coordinates:
    """Where features are moved before distances are taken.

    Distances do not change with the origin; rounding errors do.

    Attributes:
        origin: [d] float64: 0, or the target's mean where that is far from 0.
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

    def keeps_in_place(self, points: np.ndarray, dtype: type) -> bool:
        """Returns whether distances can be taken without moving the points.

        That saves a copy: centers and norms alone are put into the unit.
        """
        return (
            points.dtype == dtype
            and _UNITS[0] < self.scale < _UNITS[1]
            and not self.origin.any()
        )

    def inverse_width(self, bandwidth: float) -> float:
        """Returns 1 / (2 bandwidth^2) in this unit."""
        return 0.5 * (self.scale / bandwidth) ** 2

    def dtype_for(self, bandwidth: float, log_error: float = LOG_ERROR) -> type:
        """Returns the precision that log kernels of this width need."""
        # No squared distance is above 4 (both points within one scale).
        error = 4.0 * self.inverse_width(bandwidth) * _FLOAT32_ROUNDING
        return np.float32 if error <= log_error else np.float64
