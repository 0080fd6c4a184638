"""The study's segmenters and features, made once and kept in its directory."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kliep_tf import runs, segmenter_flags, train_segmenter
from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.features import Features, load_features, save_features
from kliep_tf.data.index import build_index
from kliep_tf.data.reading import make_example_dataset
from kliep_tf.data.summaries import class_set_of
from kliep_tf.density_ratio.extraction import (
    ExtractionSettings,
    ImageSize,
    Inputs,
    Network,
)
from kliep_tf.density_ratio.extractors import EXTRACTORS
from kliep_tf.estimate_segmenters import working_size
from kliep_tf.experiments.feature_study import plan
from kliep_tf.experiments.feature_study.plan import FeatureStudyConfig, Variant
from kliep_tf.segmentation.inference import load_segmenter

Shards = Mapping[str, Sequence[str]]


def train_segmenters(
    config: FeatureStudyConfig, shards: Shards, directory: Path
) -> dict[str, Path]:
    """Trains what is not trained yet; returns the SavedModels by name."""
    height, width = working_size(build_index(shards["source"]))
    needed = {
        variant.segmenter
        for target in plan.targets(config)
        for variant in plan.variants(config, target)
    }
    found = {}
    for name in sorted(needed - {""}):
        records, color_jitter = plan.SEGMENTERS[name]
        run_dir = directory / "segmenters" / name
        train_segmenter.train_segmenter(
            segmenter_flags.TrainSegmenterConfig(
                train_records=getattr(config, f"{records}_records"),
                run_dir=str(run_dir),
                steps=config.segmenter_steps,
                image_height=height,
                image_width=width,
                color_jitter=color_jitter,
                seed=config.seed,
            )
        )
        found[name] = run_dir / runs.SAVED_MODEL
    return found


def extract_all(
    config: FeatureStudyConfig,
    shards: Shards,
    segmenters: Mapping[str, Path],
    directory: Path,
) -> dict[tuple[str, str], Features]:
    """Returns the features by (variant, "source" or a target), kept in files.

    Under "judge" stand the class shares of the labels. The segmenter that sees
    the source translated reads the translated records, whose filenames are the
    source's.
    """
    size = working_size(build_index(shards["source"]))
    classes = class_set_of([p for paths in shards.values() for p in paths])
    found = {}
    for target in plan.targets(config):
        judge = dataclasses.replace(plan.LABELS, name="judge")
        for variant in [judge, *plan.variants(config, target)]:
            for domain in ("source", target):
                path = directory / "features" / f"{variant.name}-{domain}.npz"
                if not path.exists():
                    records = plan.records_of(variant, domain)
                    settings = _settings(
                        config, variant, segmenters, size, records, classes
                    )
                    print(f"{variant.title}: {domain}")
                    path.parent.mkdir(exist_ok=True)
                    save_features(
                        path, _extract(variant, shards[records], settings)
                    )
                found[variant.name, domain] = load_features(path)
    return found


def _settings(
    config: FeatureStudyConfig,
    variant: Variant,
    segmenters: Mapping[str, Path],
    size: ImageSize,
    records: str,
    classes: ClassSet,
) -> ExtractionSettings:
    def segmenter(size: ImageSize) -> Network:
        return load_segmenter(segmenters[variant.segmenter])

    inputs = Inputs(
        segmenter=segmenter,
        embedding_weights=config.embedding_weights,
        embedding_backbone=config.embedding_backbone,
    )
    return ExtractionSettings(
        flag=f"{records}_records",
        network=EXTRACTORS[variant.extractor].prepare(inputs, size),
        image_size=size,
        classes=classes,
    )


def _extract(
    variant: Variant, shards: Sequence[str], settings: ExtractionSettings
) -> Features:
    """Returns the features, in the order of filenames.

    Translated records may have other shards than their source.
    """
    found = EXTRACTORS[variant.extractor].extract(
        make_example_dataset(shards), len(build_index(shards)), settings
    )
    order = np.argsort(found.filenames)
    return Features(found.filenames[order], found.values[order], found.names)
