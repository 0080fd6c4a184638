"""What all estimators of a density ratio share: their result and face."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from kliep_tf.density_ratio.options import FitSettings
from kliep_tf.density_ratio.result import SelectionTable

Ratio = Callable[[np.ndarray], np.ndarray]  # features [N, d] to float64 [N]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """One direction's ratio: other / ((1 - mixture) own + mixture other).

    Attributes:
        ratio: at any features.
        summary: figures for people, by name.
        arrays: all that `Estimator.load` needs, as np.savez keeps it.
        selection: the bandwidths that were compared, if any were.
        mixture: 0 for the plain ratio.
        normalised: whether its mean over the domain is 1 as it is.
        notes: warnings, a sentence each.
    """

    ratio: Ratio
    summary: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    selection: SelectionTable | None = None
    mixture: float = 0.0
    normalised: bool = False
    notes: tuple[str, ...] = ()


class Estimator(Protocol):
    """One way to estimate both directions."""

    @property
    def name(self) -> str:
        """One of `options.ESTIMATORS`."""
        ...

    def fit(
        self, source: np.ndarray, target: np.ndarray, settings: FitSettings
    ) -> tuple[Estimate, Estimate]:
        """Returns w for the source and psi for the target.

        Args:
            source: features [N_s, d].
            target: features [N_t, d].
            settings: what the caller chose.
        """
        ...

    def load(self, arrays: Mapping[str, np.ndarray]) -> Ratio:
        """Returns the ratio whose `Estimate.arrays` are given."""
        ...
