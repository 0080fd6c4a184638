"""How good weights are, by labels that no estimate saw."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kliep_tf.data.features import Features
from kliep_tf.data.index import build_index
from kliep_tf.data.reading import make_example_dataset
from kliep_tf.data.weightings import overlap
from kliep_tf.data.weights import DOMAINS, ImportanceWeights
from kliep_tf.density_ratio.diagnostics import (
    effective_sample_size,
    matched_shares,
    normalised_error,
    rank_correlation,
)
from kliep_tf.density_ratio.extraction import ExtractionSettings
from kliep_tf.density_ratio.label_features import class_histogram
from kliep_tf.density_ratio.verdict import total_variation
from kliep_tf.experiments.reporting.true_ratios import (
    in_order,
    read_true_ratios,
)

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

    @classmethod
    def of(
        cls, shards: Mapping[str, Sequence[str]], scenes: Mapping[str, str]
    ) -> "Judge":
        """Returns the judge by the labels of all records.

        Args:
            shards: by domain.
            scenes: the scenes.csv with true ratios by domain, or "".
        """
        shares = {name: _label_shares(name, shards[name]) for name in DOMAINS}
        ratios = {
            domain: in_order(
                read_true_ratios(scenes[domain], domain),
                found.filenames,
                scenes[domain],
                "image of the records",
            )
            for domain, found in shares.items()
            if scenes[domain]
        }
        return cls(shares, ratios)

    def equal_weights(self) -> dict[str, Any]:
        """Returns how good weights of 1 are."""
        ones = [np.ones(size) for size in self.sizes]
        return self._judge(ones, ones)

    def true_weights(self) -> dict[str, Any]:
        """Returns how good the true ratios are, the best possible."""
        ratios = [self.true_ratios[domain] for domain in DOMAINS]
        return self._judge(ratios, [2.0 * w / (1.0 + w) for w in ratios])

    def judge(
        self, source: ImportanceWeights, target: ImportanceWeights
    ) -> dict[str, Any]:
        """Returns total variation, ESS and rank correlation.

        The distance is by EXPONENTS, and "overlap" where both domains have
        overlap weights.
        """
        found = (source, target)
        overlaps = [
            dataclasses.replace(one, weights=overlap(one)) for one in found
        ]
        return self._judge(self._in_order(found), self._in_order(overlaps))

    def _in_order(
        self, weights: Sequence[ImportanceWeights]
    ) -> list[np.ndarray]:
        """Returns the weights of both domains in the order of the shares."""
        return [
            one.lookup(self.filenames[domain]).astype(np.float64)
            for domain, one in zip(DOMAINS, weights, strict=True)
        ]

    def _judge(
        self, weights: Sequence[np.ndarray], overlaps: Sequence[np.ndarray]
    ) -> dict[str, Any]:
        """Returns all figures of w and psi, and of the overlap weights."""
        source, target = weights
        distances = {
            name: self._distance(source**a, target**b)
            for name, (a, b) in EXPONENTS.items()
        }
        distances["overlap"] = self._distance(*overlaps)
        found: dict[str, Any] = {
            "distance": distances,
            "ess": list(map(effective_sample_size, weights)),
        }
        if self.true_ratios:
            ratios = [self.true_ratios[domain] for domain in DOMAINS]
            for name, measure in (
                ("rank_correlation", rank_correlation),
                ("error", normalised_error),
            ):
                found[name] = list(map(measure, weights, ratios))
        return found

    def _distance(self, source: np.ndarray, target: np.ndarray) -> float:
        return total_variation(
            matched_shares(self.shares["source"].values, source),
            matched_shares(self.shares["target"].values, target),
        )


def _label_shares(domain: str, paths: Sequence[str]) -> Features:
    index = build_index(paths)
    settings = ExtractionSettings(
        flag=f"{domain}_records", classes=index.classes
    )
    return class_histogram(make_example_dataset(paths), len(index), settings)
