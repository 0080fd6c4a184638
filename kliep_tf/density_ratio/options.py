"""How a ratio is fitted, as values; importing them loads no solver."""

import dataclasses
import numbers
from typing import TYPE_CHECKING, NamedTuple

from kliep_tf.density_ratio.inputs import require_whole
from kliep_tf.errors import UserError

if TYPE_CHECKING:
    from kliep_tf.density_ratio.kernels import Kernel
    from kliep_tf.density_ratio.simplex import Solver

SOLVERS = ("interior_point", "gradient_ascent")
# How a bandwidth is scored on held-out data; see `cross_validation`.
SELECTIONS = ("nwj", "lcv")
# What a basis function may be; see `kernels`.
KERNELS = ("gaussian", "rational_quadratic", "matern")


class EstimatorOption(NamedTuple):
    """An estimator for people.

    Attributes:
        what: it estimates.
        takes: the fields of FitSettings that it has a use for.
        most_centers: of kernels; None where the number of images is the limit.
    """

    what: str
    takes: tuple[str, ...]
    most_centers: int | None = None


# More make theta no better and H too large.
MOST_LEAST_SQUARES_CENTERS = 500
_OF_KERNELS = ("num_centers", "bandwidth", "kernel")
# By which the ratio is estimated; see `estimators`.
ESTIMATORS = {
    "kliep": EstimatorOption(
        "the density ratio, certified",
        (*_OF_KERNELS, "selection", "min_ess", "solver", "seed"),
    ),
    "relative_kliep": EstimatorOption(
        "the ratio to the mixture of both domains, at most 2, by one certified "
        "fit; it needs no --min_ess",
        (*_OF_KERNELS, "seed"),
    ),
    "ulsif": EstimatorOption(
        "the ratio by least squares",
        (*_OF_KERNELS, "seed"),
        MOST_LEAST_SQUARES_CENTERS,
    ),
    "rulsif": EstimatorOption(
        "the relative ratio by least squares",
        (*_OF_KERNELS, "seed"),
        MOST_LEAST_SQUARES_CENTERS,
    ),
    "classifier": EstimatorOption(
        "the odds of a calibrated logistic regression", ("seed",)
    ),
    "class_shares": EstimatorOption("the ratio of mean class shares", ()),
}


@dataclasses.dataclass(frozen=True)
class FitSettings:
    """What the caller of any estimator may choose; each takes its own.

    Attributes:
        num_centers: of kernels, from each domain; None for all.
        bandwidth: of the kernel; None selects it.
        kernel: one of KERNELS.
        selection: of KLIEP's bandwidth, one of SELECTIONS.
        min_ess: floor of KLIEP's effective sample size.
        solver: of KLIEP, one of SOLVERS.
        seed: of centers and folds.
    """

    num_centers: int | None = None
    bandwidth: float | None = None
    kernel: str = "gaussian"
    selection: str = "nwj"
    min_ess: float = 0.05
    solver: str = "interior_point"
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Options:
    """What the caller of `fit_kliep` has chosen beside samples and centers.

    Attributes:
        solver: finds the coefficients.
        selection: one of SELECTIONS.
        num_folds: of the cross-validation.
        min_ess: least effective sample size of a selected bandwidth, as a
            fraction of the source.
        constant_basis: whether a constant stands beside the kernels.
        seed: of the draws of centers and folds.
        kernel: of the basis functions.
    """

    solver: "Solver"
    kernel: "Kernel"
    selection: str = "nwj"
    num_folds: int = 5
    min_ess: float = 0.05
    constant_basis: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises a UserError for a value out of range."""
        if self.selection not in SELECTIONS:
            raise UserError(
                f"selection: expected one of {', '.join(SELECTIONS)}, found "
                f"{self.selection!r}"
            )
        require_whole(self.num_folds, "num_folds", 2)
        fraction = isinstance(self.min_ess, numbers.Real)
        if not (fraction and 0 <= self.min_ess < 1):
            raise UserError(
                f"min_ess: expected a fraction from 0 to below 1, found "
                f"{self.min_ess!r}"
            )
