"""How a ratio is fitted, as one value; importing it loads no solver."""

import dataclasses
import numbers
from typing import TYPE_CHECKING

from kliep_tf.density_ratio.inputs import require_whole
from kliep_tf.errors import UserError

if TYPE_CHECKING:
    from kliep_tf.density_ratio.simplex import Solver

SOLVERS = ("interior_point", "gradient_ascent")
# How a bandwidth is scored on held-out data; see `cross_validation`.
SELECTIONS = ("nwj", "lcv")


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
    """

    solver: "Solver"
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
