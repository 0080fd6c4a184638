"""The kernels that a basis function may be.

The Gaussian kernel has the fast form: one matrix of squared distances serves
every bandwidth. Others come from TensorFlow Probability through `tfp_kernels`,
which is imported when one of them is asked for.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from kliep_tf.density_ratio.coordinates import Coordinates
from kliep_tf.density_ratio.distances import SquaredDistances
from kliep_tf.density_ratio.exponents import Exponents
from kliep_tf.density_ratio.options import KERNELS
from kliep_tf.density_ratio.samples import Sample
from kliep_tf.errors import UserError


class Kernel(Protocol):
    """K(x, c) = exp(-rate * exponent(x, c)), the rate being of a bandwidth."""

    @property
    def name(self) -> str:
        """One of KERNELS; "" for a kernel given as an object."""
        ...

    @property
    def bandwidth(self) -> float | None:
        """The only bandwidth that the kernel has; None if any may be chosen."""

    @property
    def serves_all_bandwidths(self) -> bool:
        """Whether the exponents are the same at every bandwidth."""

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
        """Returns the exponents of centers [b, d] at the sample's points."""

    def rate(self, coordinates: Coordinates, bandwidth: float) -> float:
        """Returns what exponents are multiplied with."""

    def dtype_for(
        self, coordinates: Coordinates, bandwidth: float, log_error: float
    ) -> type:
        """Returns the precision that exponents at this bandwidth need."""


class Gaussian:
    """K(x, c) = exp(-|x - c|^2 / (2 bandwidth^2))."""

    name = "gaussian"
    bandwidth = None
    serves_all_bandwidths = True

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
        """Returns squared distances, whatever the bandwidth."""
        return SquaredDistances(
            sample, centers, coordinates, dtype, width=width, keep=keep
        )

    def rate(self, coordinates: Coordinates, bandwidth: float) -> float:
        """Returns 1 / (2 bandwidth^2) in the unit of the coordinates."""
        return coordinates.inverse_width(bandwidth)

    def dtype_for(
        self, coordinates: Coordinates, bandwidth: float, log_error: float
    ) -> type:
        """Returns float64 where float32 would bend a log kernel too much."""
        return coordinates.dtype_for(bandwidth, log_error)


GAUSSIAN = Gaussian()


def as_kernel(kernel: str | Callable[[float], Any] | Any) -> Kernel:
    """Returns the kernel of a name, or one that is given as an object.

    Args:
        kernel: one of KERNELS; a kernel of `tfp.math.psd_kernels`, which has
            its own length scale; or a function that returns such a kernel of a
            bandwidth.

    Raises:
        UserError: it is none of these.
    """
    if isinstance(kernel, Gaussian) or kernel == GAUSSIAN.name:
        return GAUSSIAN
    if isinstance(kernel, str) and kernel not in KERNELS:
        raise UserError(
            f"kernel: expected one of {', '.join(KERNELS)} or a kernel of "
            f"tfp.math.psd_kernels, found {kernel!r}"
        )
    # TensorFlow Probability takes seconds to import.
    from kliep_tf.density_ratio import tfp_kernels

    if isinstance(kernel, tfp_kernels.TfpKernel):
        return kernel
    return tfp_kernels.as_tfp_kernel(kernel)


def only_bandwidth(kernel: Kernel, bandwidth: float | None) -> float | None:
    """Returns the bandwidth asked for, or the only one that the kernel has.

    Raises:
        UserError: both are given.
    """
    if kernel.bandwidth is None:
        return bandwidth
    if bandwidth is not None:
        raise UserError(
            f"bandwidth: expected None beside a kernel that has its own length "
            f"scale, found {bandwidth!r}"
        )
    return kernel.bandwidth
