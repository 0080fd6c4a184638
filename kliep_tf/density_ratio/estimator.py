"""KLIEP as an object with `fit`, `weights_` and `predict`, as in scikit-learn.

`fit_kliep` does the same as a function.
"""

from typing import Any

import numpy as np

from kliep_tf.density_ratio.kliep import (
    KliepResult,
    density_ratio,
    fit_kliep,
)
from kliep_tf.errors import UserError


class KliepEstimator:
    """Estimates p_target / p_source.

    Attributes:
        weights_: float64 [N_s], the ratio over the source given to `fit`.
        result_: the KliepResult.
    """

    weights_: np.ndarray
    result_: KliepResult

    def __init__(
        self,
        num_centers: int | None = None,
        bandwidth: float | None = None,
        seed: int = 0,
        **options: Any,
    ):
        """Keeps the arguments of `fit_kliep`."""
        self._arguments = {
            "num_centers": num_centers,
            "bandwidth": bandwidth,
            "seed": seed,
            **options,
        }

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Returns the arguments by name."""
        del deep  # No argument is an estimator.
        return dict(self._arguments)

    def set_params(self, **arguments: Any) -> "KliepEstimator":
        """Replaces arguments by name; returns self."""
        self._arguments |= arguments
        return self

    def fit(self, source: Any, target: Any) -> "KliepEstimator":
        """Fits to features [N_s, d] and [N_t, d]; returns self.

        Raises:
            UserError: see `fit_kliep`.
        """
        self.result_ = fit_kliep(source, target, **self._arguments)
        self.weights_ = density_ratio(source, self.result_)
        return self

    def predict(self, x: Any) -> np.ndarray:
        """Returns float64 [N], the ratio at features [N, d].

        Raises:
            UserError: not fitted yet; or see `density_ratio`.
        """
        if not hasattr(self, "result_"):
            raise UserError("predict: expected a call of fit before it")
        return density_ratio(x, self.result_)
