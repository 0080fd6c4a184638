"""A fitted density ratio: its numbers, its arrays for a file, its values."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from kliep_tf.density_ratio import inputs
from kliep_tf.density_ratio.coordinates import LOG_ERROR, Coordinates
from kliep_tf.density_ratio.kernels import GAUSSIAN, Kernel, as_kernel
from kliep_tf.density_ratio.samples import measure_points
from kliep_tf.errors import UserError

# Beyond e^600 a coefficient is near the end of float64.
_LARGEST_LOG = 600.0


@dataclasses.dataclass(frozen=True)
class SelectionTable:
    """What the selection knew of each candidate bandwidth, narrowest first.

    Attributes:
        bandwidths: [k] float64, in the features' unit.
        scores: [k] float64, the cross-validated score in nats; NaN where none
            was computed (a given bandwidth).
        ess: [k] float64, effective sample size over the source as a fraction.
        log_likelihoods: [k] float64, J on all data, in nats.
    """

    bandwidths: np.ndarray
    scores: np.ndarray
    ess: np.ndarray
    log_likelihoods: np.ndarray


@dataclasses.dataclass(frozen=True)
class KliepResult:
    """A density ratio estimated by KLIEP, with how the solver ended.

    The ratio at x is `exp(offset) * (constant + sum_l alpha_l K(x, c_l))`, K
    being the Gaussian kernel exp(-|x - c|^2 / (2 bandwidth^2)) unless another
    was asked for. `offset` is 0 unless
    the coefficients would leave the range of float64 (source and target very
    many bandwidths apart).

    Attributes:
        alpha: [b] float64, not negative.
        centers: [b, d], in the features' own unit and float dtype.
        bandwidth: of the kernel, in the features' unit.
        constant: coefficient of the constant basis function.
        offset: see above, in nats.
        log_alpha: [b] float64, log(alpha) + offset (-inf where alpha is 0);
            what the ratio is evaluated from.
        log_constant: the same of `constant`.
        log_likelihood: J = mean log w over the target it was fitted on, nats.
        duality_gap: bound on what J lacks from its optimum, nats.
        num_iterations: of the solver, over all its rounds at this bandwidth.
        converged: whether `duality_gap` reached the tolerance.
        ess: effective sample size (sum w)^2 / sum w^2 of the weights over the
            source, as a fraction of N_s.
        decided_by: how the bandwidth was found: "given", "score" or
            "ess_floor".
        selection: the candidates (one row when given).
        origin: [d] float64, of the coordinates in which distances are taken.
        scale: their unit; see `Coordinates`.
        kernel: K; in a file, its name.
    """

    alpha: np.ndarray
    centers: np.ndarray
    bandwidth: float
    constant: float
    offset: float
    log_alpha: np.ndarray
    log_constant: float
    log_likelihood: float
    duality_gap: float
    num_iterations: int
    converged: bool
    ess: float
    decided_by: str
    selection: SelectionTable
    origin: np.ndarray
    scale: float
    kernel: Kernel = GAUSSIAN


def coefficients(log_alpha: np.ndarray, log_constant: float) -> dict[str, Any]:
    """Returns the coefficient fields of a KliepResult from logarithms."""
    largest = max(float(np.max(log_alpha)), log_constant)
    offset = largest if largest > _LARGEST_LOG else 0.0
    return {
        "alpha": np.exp(log_alpha - offset),
        "constant": float(np.exp(log_constant - offset)),
        "offset": offset,
        "log_alpha": log_alpha,
        "log_constant": log_constant,
    }


def log_density_ratio(x: Any, result: KliepResult) -> np.ndarray:
    """Returns float64 [N], log w at features `x` [N, d]; see density_ratio."""
    points = inputs.as_matrix(x, "x")
    inputs.require_same_columns(result.centers, "the fit", points, "x")
    sample = measure_points(points, result.origin, "x")
    used = np.flatnonzero(np.isfinite(result.log_alpha))
    if used.size == 0:
        return np.full(len(points), result.log_constant)
    coordinates = Coordinates(result.origin, result.scale)
    kernel, bandwidth = result.kernel, result.bandwidth
    exponents = kernel.exponents(
        sample,
        result.centers[used],
        coordinates,
        kernel.dtype_for(coordinates, bandwidth, LOG_ERROR),
        bandwidth,
        keep=False,
    )
    log_weights = np.full(exponents.width, -np.inf)
    log_weights[: len(used)] = result.log_alpha[used]
    log_weights[len(used)] = result.log_constant
    return exponents.log_sums_over_centers(
        log_weights, kernel.rate(coordinates, bandwidth)
    )


def density_ratio(x: Any, result: KliepResult) -> np.ndarray:
    """Returns float64 [N], the estimated p_target / p_source at `x`.

    Over the source that `result` was fitted on the mean is 1. Any other
    features may be given; they are taken by blocks.

    Args:
        x: features [N, d], numeric; in the unit of those fitted.
        result: what `fit_kliep` returned.

    Raises:
        UserError: x is not [N, d] with the fit's d, or not finite.
    """
    log_ratio = log_density_ratio(x, result)
    # Only outside the source can a ratio leave float64; it stays finite.
    return np.exp(np.minimum(log_ratio, 709.0))


def to_arrays(result: Any) -> dict[str, np.ndarray]:
    """Returns a result as arrays that np.savez keeps without pickling.

    Keys are the field names of its class, and `selection_` + those of
    SelectionTable; numbers and text are arrays of shape [].

    Args:
        result: a KliepResult, or another with a kernel and a selection.

    Raises:
        UserError: the kernel was given as an object, which no array holds.
    """
    fields = _fields(result)
    fields["kernel"] = kernel_name(result.kernel)
    table = fields.pop("selection")
    arrays = {f"selection_{key}": v for key, v in _fields(table).items()}
    return {key: np.asarray(v) for key, v in (fields | arrays).items()}


def from_arrays(arrays: Mapping[str, np.ndarray]) -> KliepResult:
    """Returns the result whose `to_arrays` are given (as from np.load).

    Raises:
        KeyError: an array is missing.
    """
    return KliepResult(**values_from(arrays, KliepResult))


def values_from(
    arrays: Mapping[str, np.ndarray], result_class: type
) -> dict[str, Any]:
    """Returns the fields of a result class from its `to_arrays`.

    Raises:
        KeyError: an array is missing.
    """
    values: dict[str, Any] = {}
    for field in dataclasses.fields(result_class):
        if field.name == "kernel":
            # Files of earlier versions say nothing of it.
            values["kernel"] = as_kernel(str(arrays.get("kernel", "gaussian")))
        elif field.name == "selection":
            values["selection"] = SelectionTable(
                **{
                    column.name: np.asarray(arrays[f"selection_{column.name}"])
                    for column in dataclasses.fields(SelectionTable)
                }
            )
        else:
            value = np.asarray(arrays[field.name])
            values[field.name] = value if value.ndim else value.item()
    return values


def kernel_name(kernel: Kernel) -> str:
    """Returns the name under which a kernel is saved.

    Raises:
        UserError: it has none.
    """
    if not kernel.name:
        raise UserError(
            "kernel: expected one with a name, such as rational_quadratic, in "
            "a result that is saved, found one given as an object"
        )
    return kernel.name


def _fields(value: Any) -> dict[str, Any]:
    return {
        field.name: getattr(value, field.name)
        for field in dataclasses.fields(value)
    }
