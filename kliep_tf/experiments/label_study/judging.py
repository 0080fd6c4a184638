"""How good weights are, by labels that no estimate saw."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from kliep_tf.data.features import Features
from kliep_tf.data.weights import ImportanceWeights
from kliep_tf.density_ratio.diagnostics import (
    effective_sample_size,
    matched_shares,
    rank_correlation,
)
from kliep_tf.density_ratio.verdict import total_variation

# Exponents of (w, psi): eq. 12, halves, and each direction alone.
EXPONENTS = {
    "both": (1.0, 1.0),
    "half": (0.5, 0.5),
    "source": (1.0, 0.0),
    "target": (0.0, 1.0),
}


@dataclasses.dataclass(frozen=True)
class Judge:
    """Class shares of all images and, where known, the true ratios.

    Attributes:
        shares: by domain, of the labels.
        true_ratios: by domain, [N] in the order of the shares; may be empty.
    """

    shares: Mapping[str, Features]
    true_ratios: Mapping[str, np.ndarray]

    @property
    def filenames(self) -> dict[str, list[str]]:
        """The filenames by domain."""
        return {
            name: list(map(str, found.filenames))
            for name, found in self.shares.items()
        }

    @property
    def sizes(self) -> list[int]:
        """The number of source images and of target images."""
        return [len(found.filenames) for found in self.shares.values()]

    def equal_weights(self) -> dict[str, Any]:
        """Returns how good weights of 1 are."""
        return self._judge(*(np.ones(size) for size in self.sizes))

    def judge(
        self, source: ImportanceWeights, target: ImportanceWeights
    ) -> dict[str, Any]:
        """Returns total variation by EXPONENTS, ESS and rank correlation."""
        return self._judge(
            self._in_order("source", source), self._in_order("target", target)
        )

    def _in_order(self, domain: str, weights: ImportanceWeights) -> np.ndarray:
        by_name = dict(
            zip(map(str, weights.filenames), weights.weights, strict=True)
        )
        return np.array(
            [by_name[name] for name in self.filenames[domain]], np.float64
        )

    def _judge(self, source: np.ndarray, target: np.ndarray) -> dict[str, Any]:
        distances = {
            name: total_variation(
                matched_shares(self.shares["source"].values, source**a),
                matched_shares(self.shares["target"].values, target**b),
            )
            for name, (a, b) in EXPONENTS.items()
        }
        found: dict[str, Any] = {
            "distance": distances,
            "ess": [effective_sample_size(w) for w in (source, target)],
        }
        if self.true_ratios:
            found["rank_correlation"] = [
                rank_correlation(weights, self.true_ratios[domain])
                for domain, weights in (("source", source), ("target", target))
            ]
        return found
