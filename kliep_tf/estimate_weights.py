"""Estimates how typical each image is of the other domain, by KLIEP.

Reads the records of both domains, computes features that compare what the
images show rather than how they look, and estimates both density ratios:
w = p_target / p_source over the source images and psi, its reverse, over the
target images. Writes weights by filename, a report and a figure.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kliep_tf import cli, runs
from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.features import Features, load_features, save_features
from kliep_tf.data.index import RecordIndex, build_index, image_sizes
from kliep_tf.data.reading import has_labels, make_example_dataset
from kliep_tf.data.records import resolve_records
from kliep_tf.data.summaries import class_set_of
from kliep_tf.data.weights import has_weights, save_weights
from kliep_tf.density_ratio import report
from kliep_tf.density_ratio.extraction import (
    ExtractionSettings,
    Inputs,
    Network,
)
from kliep_tf.density_ratio.extractors import EXTRACTORS, require_inputs
from kliep_tf.density_ratio.label_features import class_histogram
from kliep_tf.density_ratio.weighting import fit_both_directions
from kliep_tf.estimate_flags import (
    MAX_WORKING_WIDTH,
    EstimateConfig,
    check_flags,
    parse_bandwidth,
)
from kliep_tf.segmentation.inference import load_segmenter
from kliep_tf.segmenter_flags import TrainSegmenterConfig
from kliep_tf.train_segmenter import train_segmenter
from kliep_tf.training import saved_models

PROGRAM = "kliep_tf.estimate_weights"
REPORT = "report.md"
FIGURE = "weights.png"

_SEGMENTER_DIR = "segmenter"
_WORKING_MULTIPLE = 8


Shards = Mapping[str, Sequence[str]]  # by domain


def estimate(config: EstimateConfig) -> None:
    """Estimates both directions' weights and writes them."""
    check_flags(config)
    bandwidth = parse_bandwidth(config.bandwidth)
    shards = {
        "source": resolve_records(config.source_records, "source_records"),
        "target": resolve_records(config.target_records, "target_records"),
    }
    classes = class_set_of([*shards["source"], *shards["target"]])
    inputs = _inputs(config, shards)
    require_inputs(EXTRACTORS[config.features], inputs)
    with runs.claim(
        config.weights_dir,
        PROGRAM,
        config,
        inputs=_fingerprints(config, shards),
    ) as claim:
        if claim.finished and has_weights(config.weights_dir):
            print(f"{config.weights_dir}: weights already estimated")
            return
        features = _features(config, shards, inputs, classes)
        source, target = fit_both_directions(
            features["source"],
            features["target"],
            _scaling(config),
            num_centers=config.num_centers or None,
            bandwidth=bandwidth,
            selection=config.selection,
            min_ess=config.min_ess,
            solver=config.solver,
            seed=config.seed,
        )
        shares = _class_shares(config, shards, features, classes)
        text = report.describe(source, target, shares)
        runs.write_atomically(claim.directory / REPORT, text)
        report.draw(source, target, shares, claim.directory / FIGURE)
        for fitted in (source, target):
            save_weights(config.weights_dir, fitted.weights)
        claim.finish(source_ess=source.result.ess, target_ess=target.result.ess)
    print(text)
    print(f"{config.weights_dir}: weights of both domains")


def _inputs(config: EstimateConfig, shards: Shards) -> Inputs:
    """Returns what the flags offer to an extractor; nothing is loaded yet."""

    def segmenter(size: tuple[int, int]) -> Network:
        if config.segmenter:
            return load_segmenter(config.segmenter)
        return load_segmenter(_train_segmenter(config, size))

    possible = config.segmenter or has_labels(shards["source"])
    return Inputs(
        shards={f"{domain}_records": shards[domain] for domain in shards},
        segmenter=segmenter if possible else None,
        embedding_weights=config.embedding_weights,
        embedding_backbone=config.embedding_backbone,
    )


def _fingerprints(config: EstimateConfig, shards: Shards) -> dict[str, str]:
    """Returns fingerprints that show whether an input has been replaced."""
    inputs = {
        f"{domain} records": runs.fingerprint(paths)
        for domain, paths in shards.items()
    }
    if config.embedding_weights:
        inputs["embedding weights"] = runs.fingerprint(
            [config.embedding_weights]
        )
    if config.segmenter and saved_models.is_whole(config.segmenter):
        inputs["the segmenter"] = saved_models.fingerprint(config.segmenter)
    return inputs


def _scaling(config: EstimateConfig) -> str:
    if config.scaling == "auto":
        return EXTRACTORS[config.features].scaling
    return config.scaling


def _features(
    config: EstimateConfig, shards: Shards, inputs: Inputs, classes: ClassSet
) -> dict[str, Features]:
    """Returns both domains' features; those saved earlier are not redone."""
    extractor = EXTRACTORS[config.features]
    indices = {domain: build_index(paths) for domain, paths in shards.items()}
    files = {
        domain: Path(config.weights_dir, f"{domain}_features.npz")
        for domain in shards
    }
    settings = ExtractionSettings(classes=classes)
    if not all(file.exists() for file in files.values()):
        size = _working_size(config, indices["source"])
        settings = dataclasses.replace(
            settings,
            image_size=size,
            network=extractor.prepare(inputs, size),
        )
    found = {}
    for domain, paths in shards.items():
        if not files[domain].exists():
            print(f"{extractor.name} of {len(indices[domain])} {domain} images")
            features = extractor.extract(
                make_example_dataset(paths),
                len(indices[domain]),
                dataclasses.replace(settings, flag=f"{domain}_records"),
            )
            save_features(files[domain], features)
        found[domain] = load_features(files[domain])
    return found


def working_size(source: RecordIndex) -> tuple[int, int]:
    """Returns the (height, width) at which a network sees images by default."""
    height, width = max(image_sizes(source))
    scale = min(1.0, MAX_WORKING_WIDTH / width)
    height, width = (
        max(1, round(length * scale / _WORKING_MULTIPLE)) * _WORKING_MULTIPLE
        for length in (height, width)
    )
    return height, width


def _working_size(
    config: EstimateConfig, source: RecordIndex
) -> tuple[int, int]:
    if config.image_height:
        return config.image_height, config.image_width
    return working_size(source)


def _train_segmenter(config: EstimateConfig, size: tuple[int, int]) -> str:
    """Trains a segmenter on the source's labels; returns its SavedModel."""
    run_dir = os.path.join(config.weights_dir, _SEGMENTER_DIR)
    train_segmenter(
        TrainSegmenterConfig(
            train_records=config.source_records,
            run_dir=run_dir,
            steps=config.segmenter_steps,
            image_height=size[0],
            image_width=size[1],
            seed=config.seed,
        )
    )
    return os.path.join(run_dir, runs.SAVED_MODEL)


def _class_shares(
    config: EstimateConfig,
    shards: Shards,
    features: dict[str, Features],
    classes: ClassSet,
) -> report.ClassShares | None:
    """Returns shares by labels if both domains have them, else predicted."""
    if all(has_labels(paths) for paths in shards.values()):
        found = {}
        for domain, paths in shards.items():
            settings = ExtractionSettings(
                flag=f"{domain}_records", classes=classes
            )
            number = len(features[domain].filenames)
            found[domain] = class_histogram(
                make_example_dataset(paths), number, settings
            )
        origin = "labels"
    elif config.features == "segmenter_histogram":
        found, origin = features, "the segmenter's predictions"
    else:
        return None
    return report.ClassShares(
        names=np.asarray(found["source"].names),
        source=found["source"].values,
        target=found["target"].values,
        origin=origin,
    )


if __name__ == "__main__":
    cli.run(estimate, EstimateConfig)
