"""The features of a domain's shards: in this process, or by workers of Beam's.

These write each shard's features to a file of its own, so that nothing needs to
come back and what was interrupted continues.
"""

import dataclasses
import functools
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.features import Features, load_features, save_features
from kliep_tf.data.index import RecordIndex
from kliep_tf.data.reading import make_example_dataset
from kliep_tf.density_ratio.extraction import (
    ExtractionSettings,
    ImageSize,
    Inputs,
    Network,
)
from kliep_tf.density_ratio.extractors import EXTRACTORS
from kliep_tf.density_ratio.label_features import known_class_shares
from kliep_tf.estimate_flags import EstimateConfig
from kliep_tf.segmentation.inference import load_segmenter
from kliep_tf.shard_runners import LOCAL, run_on_beam
from kliep_tf.training import saved_models

# Class shares of the labels, NaN where there are none: no extractor's name.
LABEL_SHARES = "label shares"


class NetworkFiles(NamedTuple):
    """Where workers find what `Extractor.prepare` loads."""

    segmenter: str  # a SavedModel, or ""
    fingerprint: str  # of the segmenter
    embedding_weights: str
    embedding_backbone: str


class Shard(NamedTuple):
    """One shard to extract."""

    number: int
    path: str
    num_examples: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureWork:
    """How shards' features are made; it travels to workers whole.

    Attributes:
        features: the extractor's name, or LABEL_SHARES.
        settings: of the extraction; their network stays in this process.
        files: of which every other process loads it.
        parts: directory of the shards' files.
    """

    features: str
    settings: ExtractionSettings
    files: NetworkFiles
    parts: str

    def extract(self, shard: Shard) -> None:
        """Writes the features of one shard."""
        # A runner may call this for one shard twice, even at once.
        attempt = f".{uuid.uuid4().hex}"
        save_features(self._part(shard), self._features([shard]), attempt)

    def extract_all(self, shards: Sequence[Shard], flags: Any) -> Features:
        """Returns the features of all shards, in their order.

        The caller removes `parts` once these are kept.

        Args:
            shards: of one domain.
            flags: a config that has the fields of RunnerFlags.
        """
        if flags.runner == LOCAL:
            return self._features(shards)
        Path(self.parts).mkdir(exist_ok=True)
        missing = [one for one in shards if not self._part(one).exists()]
        if missing:
            settings = dataclasses.replace(self.settings, network=None)
            work = dataclasses.replace(self, settings=settings)
            run_on_beam(work.extract, missing, flags)
        parts = [load_features(self._part(one)) for one in shards]
        return Features(
            np.concatenate([part.filenames for part in parts]),
            np.concatenate([part.values for part in parts]),
            parts[0].names,
        )

    def _features(self, shards: Sequence[Shard]) -> Features:
        """Extracts in this process."""
        paths = tuple(shard.path for shard in shards)
        settings = dataclasses.replace(self.settings, paths=paths)
        extract: Callable = known_class_shares
        if self.features != LABEL_SHARES:
            extract = EXTRACTORS[self.features].extract
            if settings.network is None:
                network = _load(
                    self.features,
                    self.files,
                    settings.image_size,
                    settings.classes,
                )
                settings = dataclasses.replace(settings, network=network)
        number = sum(shard.num_examples for shard in shards)
        return extract(make_example_dataset(paths), number, settings)

    def _part(self, shard: Shard) -> Path:
        return Path(self.parts, f"{shard.number:05d}.npz")


def network_files(config: EstimateConfig, segmenter: str) -> NetworkFiles:
    """Returns where networks are.

    Args:
        config: of the estimate.
        segmenter: where its SavedModel is, if there is one.
    """
    there = bool(segmenter) and saved_models.is_whole(segmenter)
    return NetworkFiles(
        segmenter=segmenter if there else "",
        fingerprint=saved_models.fingerprint(segmenter) if there else "",
        embedding_weights=config.embedding_weights,
        embedding_backbone=config.embedding_backbone,
    )


def shards_of(index: RecordIndex) -> list[Shard]:
    """Returns the shards of an index that hold examples."""
    counts = np.bincount(index.shards, minlength=len(index.paths)).tolist()
    return [
        Shard(number, path, count)
        for number, (path, count) in enumerate(
            zip(index.paths, counts, strict=True)
        )
        if count
    ]


@functools.lru_cache(maxsize=1)
def _load(
    features: str, files: NetworkFiles, image_size: ImageSize, classes: ClassSet
) -> Network:
    """Returns the network, which is loaded once in a process."""

    def segmenter(_: ImageSize) -> Network:
        return load_segmenter(files.segmenter, classes)

    inputs = Inputs(
        segmenter=segmenter if files.segmenter else None,
        embedding_weights=files.embedding_weights,
        embedding_backbone=files.embedding_backbone,
    )
    return EXTRACTORS[features].prepare(inputs, image_size)
