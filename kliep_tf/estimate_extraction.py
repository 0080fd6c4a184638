"""Features of both domains in the weights directory: made once, then read.

What is compared, and by whose segmenter, estimate_features decides.
"""

import dataclasses
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.features import Features, load_features, save_features
from kliep_tf.data.index import build_index
from kliep_tf.data.reading import make_example_dataset
from kliep_tf.density_ratio.doubt import (
    Sign,
    compare,
    observe,
    read_signs,
    save_signs,
)
from kliep_tf.density_ratio.extraction import (
    ExtractionSettings,
    Extractor,
    Network,
)
from kliep_tf.estimate_flags import EstimateConfig
from kliep_tf.estimate_segmenters import Shards, may_have_labels, working_size
from kliep_tf.estimate_shards import (
    LABEL_SHARES,
    FeatureWork,
    network_files,
    shards_of,
)

# Each domain, and the other one.
OTHER = {"source": "target", "target": "source"}

_SIGNS = "signs.json"


class FeatureFiles:
    """Extracts features into the weights directory, or finds them there.

    Attributes:
        classes: of both domains.
        image_size: height and width in pixels at which networks look.
    """

    def __init__(
        self, config: EstimateConfig, shards: Shards, classes: ClassSet
    ):
        self._config = config
        self._shards = shards
        self._parts = {
            name: shards_of(build_index(paths))
            for name, paths in shards.items()
        }
        self._numbers = {
            name: sum(part.num_examples for part in parts)
            for name, parts in self._parts.items()
        }
        self.classes = classes
        self.image_size = config.image_height, config.image_width
        if not config.image_height:
            self.image_size = working_size(build_index(shards["source"]))
        self._settings = ExtractionSettings(
            classes=classes, image_size=self.image_size
        )

    def features(
        self,
        domain: str,
        extractor: Extractor,
        network: Callable[[], Network],
        segmenter: str,
    ) -> Features:
        """Returns what an extractor makes of a domain.

        Args:
            domain: "source" or "target".
            extractor: of the features.
            network: makes its network; called only if there is work to do.
            segmenter: where that network is, for runners' workers.
        """

        def extract() -> Features:
            number = self._numbers[domain]
            print(f"{extractor.name} of {number} {domain} images")
            settings = self._settings_of(domain, network())
            return self._extract(
                domain, name, extractor.name, settings, segmenter
            )

        name = f"{domain}_features"
        return self.kept(name, extract)

    def label_shares(self, domain: str) -> Features:
        """Returns class shares by labels, NaN for images without."""

        paths = self._shards[domain]

        def extract() -> Features:
            if not may_have_labels(paths):
                return self._without_labels(paths)
            settings = self._settings_of(domain)
            return self._extract(domain, name, LABEL_SHARES, settings)

        name = f"{domain}_label_shares"
        return self.kept(name, extract)

    def _extract(
        self,
        domain: str,
        name: str,
        features: str,
        settings: ExtractionSettings,
        segmenter: str = "",
    ) -> Features:
        """Extracts, by the runner that is asked for, what `name` will keep."""
        config = self._config
        work = FeatureWork(
            features=features,
            settings=settings,
            files=network_files(config, segmenter),
            parts=self._parts_of(name),
        )
        return work.extract_all(self._parts[domain], config)

    def _without_labels(self, paths: Sequence[str]) -> Features:
        """Returns NaN for every image and class; no record is read."""
        filenames = build_index(paths).filenames
        names = np.asarray(self._settings.classes.names)
        unknown = np.full((len(filenames), len(names)), np.nan, np.float32)
        return Features(filenames, unknown, names)

    def signs(
        self, network: Callable[[], Network], domain: str
    ) -> tuple[Sign, ...]:
        """Returns the signs of doubt in what is predicted for a domain."""
        path = Path(self._config.weights_dir, _SIGNS)
        if not path.exists():
            seen = [
                observe(
                    network(),
                    make_example_dataset(self._shards[name]),
                    self._numbers[name],
                    self._settings_of(name),
                )
                for name in (OTHER[domain], domain)
            ]
            save_signs(path, compare(*seen))
        return read_signs(path)

    def _settings_of(
        self, domain: str, network: Network | None = None
    ) -> ExtractionSettings:
        return dataclasses.replace(
            self._settings,
            flag=f"{domain}_records",
            network=network,
            paths=tuple(self._shards[domain]),
        )

    def kept(self, name: str, make: Callable[[], Features]) -> Features:
        """Returns the features of a file, which is written if missing."""
        path = Path(self._config.weights_dir, f"{name}.npz")
        if not path.exists():
            save_features(path, make())
        # Those of shards, which a runner leaves, are in it now.
        shutil.rmtree(self._parts_of(name), ignore_errors=True)
        return load_features(path)

    def _parts_of(self, name: str) -> str:
        return os.path.join(self._config.weights_dir, f"{name}.parts")
