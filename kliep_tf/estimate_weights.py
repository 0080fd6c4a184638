"""Estimates how typical each image is of the other domain, by KLIEP.

Reads the records of both domains, computes features that compare what the
images show rather than how they look, and estimates both density ratios:
w = p_target / p_source over the source images and psi, its reverse, over the
target images. Writes weights by filename, a report and a figure.
"""

import dataclasses
import os
from pathlib import Path

import numpy as np

from kliep_tf import cli, runs, train_segmenter
from kliep_tf.data.features import Features, load_features, save_features
from kliep_tf.data.index import RecordIndex, build_index, image_sizes
from kliep_tf.data.reading import has_labels, make_example_dataset
from kliep_tf.data.records import resolve_records
from kliep_tf.data.weights import has_weights, save_weights
from kliep_tf.density_ratio import report
from kliep_tf.density_ratio.embedding import Embedder, require_weights
from kliep_tf.density_ratio.extraction import ExtractionSettings
from kliep_tf.density_ratio.extractors import (
    FEATURE_EXTRACTORS,
    require_labels_for,
)
from kliep_tf.density_ratio.label_features import class_histogram
from kliep_tf.density_ratio.scaling import DEFAULT_SCALING
from kliep_tf.density_ratio.weighting import fit_both_directions
from kliep_tf.errors import UserError
from kliep_tf.estimate_flags import (
    MAX_WORKING_WIDTH,
    EstimateConfig,
    check_flags,
    parse_bandwidth,
)
from kliep_tf.segmentation.inference import load_segmenter
from kliep_tf.training import saved_models

PROGRAM = "kliep_tf.estimate_weights"
REPORT = "report.md"
FIGURE = "weights.png"

_SEGMENTER_DIR = "segmenter"
_WORKING_MULTIPLE = 8


def estimate(config: EstimateConfig) -> None:
    """Estimates both directions' weights and writes them."""
    check_flags(config)
    bandwidth = parse_bandwidth(config.bandwidth)
    paths = {
        "source": resolve_records(config.source_records, "source_records"),
        "target": resolve_records(config.target_records, "target_records"),
    }
    _check_needs(config, paths)
    inputs = _fingerprints(config, paths)
    with runs.claim(
        config.weights_dir, PROGRAM, config, inputs=inputs
    ) as claim:
        if claim.finished and has_weights(config.weights_dir):
            print(f"{config.weights_dir}: weights already estimated")
            return
        features = _features(config, paths)
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
        shares = _class_shares(config, paths, features)
        text = report.describe(source, target, shares)
        runs.write_atomically(claim.directory / REPORT, text)
        report.draw(source, target, shares, claim.directory / FIGURE)
        for fitted in (source, target):
            save_weights(config.weights_dir, fitted.weights)
        claim.finish(source_ess=source.result.ess, target_ess=target.result.ess)
    print(text)
    print(f"{config.weights_dir}: weights of both domains")


def _fingerprints(
    config: EstimateConfig, paths: dict[str, list[str]]
) -> dict[str, str]:
    """Returns what would show that something was replaced between two runs."""
    inputs = {
        f"{domain} records": runs.fingerprint(shards)
        for domain, shards in paths.items()
    }
    if config.embedding_weights:
        inputs["embedding weights"] = runs.fingerprint(
            [config.embedding_weights]
        )
    if saved_models.is_whole(config.segmenter):
        inputs["the segmenter"] = saved_models.fingerprint(config.segmenter)
    return inputs


def _scaling(config: EstimateConfig) -> str:
    if config.scaling == "auto":
        return DEFAULT_SCALING[config.features]
    return config.scaling


def _check_needs(config: EstimateConfig, paths: dict[str, list[str]]) -> None:
    """Raises a UserError where the features lack what they need."""
    shards_of = {
        f"{domain}_records": shards for domain, shards in paths.items()
    }
    require_labels_for(config.features, shards_of)
    if config.features == "embedding":
        require_weights(config.embedding_weights, config.embedding_backbone)


def _features(
    config: EstimateConfig, paths: dict[str, list[str]]
) -> dict[str, Features]:
    """Returns both domains' features; those saved earlier are not redone."""
    indices = {domain: build_index(shards) for domain, shards in paths.items()}
    files = {
        domain: Path(config.weights_dir, f"{domain}_features.npz")
        for domain in paths
    }
    settings = ExtractionSettings()
    if not all(file.exists() for file in files.values()):
        settings = _settings(config, paths, indices["source"])
    found = {}
    for domain, shards in paths.items():
        if not files[domain].exists():
            print(
                f"{config.features} of {len(indices[domain])} {domain} images"
            )
            features = FEATURE_EXTRACTORS[config.features](
                make_example_dataset(shards),
                len(indices[domain]),
                dataclasses.replace(settings, flag=f"{domain}_records"),
            )
            save_features(files[domain], features)
        found[domain] = load_features(files[domain])
    return found


def _settings(
    config: EstimateConfig, paths: dict[str, list[str]], source: RecordIndex
) -> ExtractionSettings:
    """Returns the extractor's settings, its network loaded or trained."""
    if config.features == "segmenter_histogram":
        size = _working_size(config, source)
        segmenter = load_segmenter(_segmenter_path(config, paths, size))
        return ExtractionSettings(segmenter=segmenter, image_size=size)
    if config.features == "embedding":
        embedder = Embedder(config.embedding_weights, config.embedding_backbone)
        size = _working_size(config, source)
        return ExtractionSettings(embedder=embedder, image_size=size)
    return ExtractionSettings()


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


def _segmenter_path(
    config: EstimateConfig, paths: dict[str, list[str]], size: tuple[int, int]
) -> str:
    """Returns the segmenter given, or trains one on the source's labels."""
    if config.segmenter:
        return config.segmenter
    if not has_labels(paths["source"]):
        raise UserError(
            "--features=segmenter_histogram: expected labels in "
            f"--source_records={config.source_records} or a --segmenter, found "
            "neither; thumbnail and embedding need no label"
        )
    run_dir = os.path.join(config.weights_dir, _SEGMENTER_DIR)
    train_segmenter.train_segmenter(
        train_segmenter.TrainSegmenterConfig(
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
    paths: dict[str, list[str]],
    features: dict[str, Features],
) -> report.ClassShares | None:
    """Returns shares by labels if both domains have them, else predicted."""
    if all(has_labels(shards) for shards in paths.values()):
        found = {}
        for domain, shards in paths.items():
            settings = ExtractionSettings(flag=f"{domain}_records")
            number = len(features[domain].filenames)
            found[domain] = class_histogram(
                make_example_dataset(shards), number, settings
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
