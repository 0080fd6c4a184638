"""Kernels of TensorFlow Probability: the only module that imports it.

Any positive definite kernel K >= 0 of `tfp.math.psd_kernels` can be a basis
function. Its exponents are -log K at one bandwidth, so each bandwidth takes
them anew, where the Gaussian kernel's squared distances serve all.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from kliep_tf.density_ratio import exponents
from kliep_tf.density_ratio.coordinates import Coordinates
from kliep_tf.density_ratio.exponents import Exponents
from kliep_tf.density_ratio.samples import Sample
from kliep_tf.errors import UserError

_psd_kernels = tfp.math.psd_kernels
_KERNELS: dict[str, Callable[[float], Any]] = {
    # Of scale mixture rate 1: K = 1 / (1 + |x - c|^2 / (2 bandwidth^2)).
    "rational_quadratic": lambda width: _psd_kernels.RationalQuadratic(
        length_scale=np.float64(width), scale_mixture_rate=np.float64(1.0)
    ),
    # K = (1 + z) exp(-z), z = sqrt(3) |x - c| / bandwidth.
    "matern": lambda width: _psd_kernels.MaternThreeHalves(
        length_scale=np.float64(width)
    ),
}
# Smaller kernels count as this: their logarithm stays finite.
_LEAST = {tf.float32: 1e-37, tf.float64: 1e-300}
# Of a block, times the features: some kernels take all differences at once.
_BLOCK_ENTRIES = 1 << 23


@dataclasses.dataclass(frozen=True)
class TfpKernel:
    """A kernel of TensorFlow Probability as a basis function.

    Attributes:
        at: returns the `tfp.math.psd_kernels` kernel of a bandwidth.
        name: under which a fit is saved, or "".
        bandwidth: None, or the only one where the kernel was given as it is.
    """

    at: Callable[[float], Any]
    name: str = ""
    bandwidth: float | None = None

    serves_all_bandwidths = False

    def exponents(
        self,
        sample: Sample,
        centers: np.ndarray,
        coordinates: Coordinates,
        dtype: type,
        bandwidth: float,
        *,
        width: int | None = None,
        keep: bool = True,
    ) -> Exponents:
        """Returns -log K; the coordinates play no part."""
        kernel = self.at(bandwidth)
        return _LogKernels(sample, centers, kernel, dtype, width, keep)

    def rate(self, coordinates: Coordinates, bandwidth: float) -> float:
        """Returns 1: the exponents are of one bandwidth."""
        return 1.0

    def dtype_for(
        self, coordinates: Coordinates, bandwidth: float, log_error: float
    ) -> type:
        """Returns float32: K is computed in float64, its logarithm kept."""
        return np.float32


def as_tfp_kernel(kernel: str | Callable[[float], Any] | Any) -> TfpKernel:
    """Returns the kernel of a name, of a function, or the object itself.

    Raises:
        UserError: it is no kernel.
    """
    if isinstance(kernel, str):
        return TfpKernel(_KERNELS[kernel], kernel)
    if isinstance(kernel, _psd_kernels.PositiveSemidefiniteKernel):
        return TfpKernel(lambda _: kernel, "", 1.0)
    if callable(kernel):
        return TfpKernel(kernel)
    raise UserError(
        "kernel: expected a name, a kernel of tfp.math.psd_kernels, or a "
        f"function that returns one of a bandwidth, found {kernel!r}"
    )


class _LogKernels(Exponents):
    """-log K of one kernel, in blocks of points."""

    def __init__(
        self,
        sample: Sample,
        centers: np.ndarray,
        kernel: Any,
        dtype: type,
        width: int | None,
        keep: bool,
    ):
        width = width or exponents.padded_width(len(centers))
        limit = _BLOCK_ENTRIES // (width * centers.shape[1])
        super().__init__(len(sample), width, dtype, limit, keep)
        self._kernel = kernel
        self._float = tf.as_dtype(kernel.dtype or tf.float64)
        self._points = sample.points
        self._centers = tf.constant(centers, self._float)

    def _compute(self, first: int) -> tf.Tensor:
        points = self._points[first : first + self._rows]
        matrix = self._kernel.matrix(
            self._centers, tf.constant(points, self._float)
        )
        least = float(tf.reduce_min(matrix))
        if not least >= 0.0:
            raise UserError(
                f"kernel: expected {self._kernel.name} to be 0 or more "
                f"everywhere, found {least:.4g}; negative basis functions do "
                "not make a ratio"
            )
        logs = -tf.math.log(tf.maximum(matrix, _LEAST[self._float]))
        padding = [
            [0, self.width - logs.shape[0]],
            [0, self._rows - logs.shape[1]],
        ]
        return tf.pad(tf.cast(logs, self._dtype), padding)
