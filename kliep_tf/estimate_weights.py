"""Estimates how typical each image is of the other domain.

Reads the records of both domains, computes features that compare what the
images show rather than how they look, and estimates both density ratios:
w = p_target / p_source over the source images and psi, its reverse, over the
target images, by KLIEP or another --estimator. Writes weights by filename, a
report and a figure.
"""

import sys

import numpy as np

from kliep_tf import cli, fingerprints, runs
from kliep_tf.data.index import build_index
from kliep_tf.data.records import resolve_records
from kliep_tf.data.summaries import class_set_of
from kliep_tf.data.tensors import tensor_files
from kliep_tf.data.weights import has_weights, save_weights
from kliep_tf.density_ratio import report
from kliep_tf.density_ratio.doubt import doubts
from kliep_tf.density_ratio.estimators import ESTIMATORS
from kliep_tf.density_ratio.image_features import SEGMENTER_HISTOGRAM
from kliep_tf.density_ratio.options import ESTIMATORS as OPTIONS
from kliep_tf.density_ratio.verdict import (
    describe_doubt,
    describe_movements,
    helps,
    movements,
)
from kliep_tf.density_ratio.weighting import (
    FittedWeights,
    equal_weights,
    fit_both_directions,
)
from kliep_tf.errors import UserError
from kliep_tf.estimate_features import (
    FoundFeatures,
    find_features,
    require_features,
)
from kliep_tf.estimate_flags import (
    AUTO,
    EstimateConfig,
    check_flags,
    fit_settings,
)
from kliep_tf.estimate_segmenters import Shards
from kliep_tf.shard_runners import check_runner
from kliep_tf.training import saved_models

PROGRAM = "kliep_tf.estimate_weights"
REPORT = "report.md"
FIGURE = "weights.png"


def estimate(config: EstimateConfig) -> None:
    """Estimates both directions' weights and writes them."""
    check_flags(config)
    check_runner(config)
    shards = {
        "source": resolve_records(config.source_records, "source_records"),
        "target": resolve_records(config.target_records, "target_records"),
    }
    classes = class_set_of([*shards["source"], *shards["target"]])
    require_features(config, shards)
    _require_centers(config, shards)
    with runs.claim(
        config.weights_dir,
        PROGRAM,
        config,
        inputs=_fingerprints(config, shards),
    ) as claim:
        if claim.finished and has_weights(config.weights_dir):
            print(f"{config.weights_dir}: weights already estimated")
            return
        features = find_features(config, shards, classes)
        head = list(features.how)
        raised = doubts(features.signs)
        if raised:
            head.append(_warn(config, describe_doubt(raised)))
        if raised and config.features == AUTO:
            text, ess = _write_equal_weights(config, features, head), (1.0, 1.0)
        else:
            text, ess = _write_weights(config, features, head)
        runs.write_atomically(claim.directory / REPORT, text)
        claim.finish(source_ess=ess[0], target_ess=ess[1])
    print(text)
    print(f"{config.weights_dir}: weights of both domains")


def _require_centers(config: EstimateConfig, shards: Shards) -> None:
    """Raises a UserError, before any work, for more centers than there may be.

    KLIEP draws those of each direction from the other domain's images.
    """
    if not config.num_centers:
        return
    most = OPTIONS[config.estimator].most_centers
    if config.estimator == "kliep":
        sizes = [len(build_index(paths)) for paths in shards.values()]
        most = min([*sizes, config.max_fit_images or max(sizes)])
    if most is not None and config.num_centers > most:
        raise UserError(
            f"--num_centers={config.num_centers}: expected {most} or fewer for "
            f"--estimator={config.estimator} of these images"
        )


def _write_weights(
    config: EstimateConfig, features: FoundFeatures, head: list[str]
) -> tuple[str, tuple[float, float]]:
    """Fits and writes the weights; returns the report and both ESS."""
    source, target = fit_both_directions(
        features.source,
        features.target,
        features.scaling if config.scaling == "auto" else config.scaling,
        fit_settings(config),
        ESTIMATORS[config.estimator],
        config.max_fit_images or None,
    )
    if features.both_labelled:
        head.insert(0, _judge(config, features, source, target))
    shares = _class_shares(config, features)
    text = report.describe(source, target, shares, head, features.signs)
    report.draw(source, target, shares, f"{config.weights_dir}/{FIGURE}")
    for fitted in (source, target):
        save_weights(config.weights_dir, fitted.weights)
    return text, (source.ess, target.ess)


def _write_equal_weights(
    config: EstimateConfig, features: FoundFeatures, head: list[str]
) -> str:
    """Writes weights of 1 for both domains; returns the report."""
    head.append("So all weights are 1, and training is as without weights.")
    for domain in ("source", "target"):
        found = equal_weights(domain, getattr(features, domain), head[-2])
        save_weights(config.weights_dir, found)
    return report.describe_equal_weights(head, features.signs)


def _judge(
    config: EstimateConfig,
    features: FoundFeatures,
    source: FittedWeights,
    target: FittedWeights,
) -> str:
    """Returns what the labels say of the weights, and warns if it is bad."""
    found = movements(
        features.label_shares["source"].values,
        features.label_shares["target"].values,
        source.weights.weights,
        target.weights.weights,
    )
    text = describe_movements(found)
    if not helps(found):
        _warn(config, text)
    return text


def _warn(config: EstimateConfig, text: str) -> str:
    """Prints a warning in one line, or stops with it where that is asked."""
    if config.strict:
        raise UserError(f"--strict: {text}")
    print(f"warning: {text}", file=sys.stderr)
    return f"Warning: {text}."


def _fingerprints(config: EstimateConfig, shards: Shards) -> dict[str, str]:
    """Returns fingerprints that show whether an input has been replaced."""
    inputs: dict[str, str] = {
        f"{domain} records": fingerprints.of(paths)
        for domain, paths in shards.items()
    }
    if config.embedding_weights:
        inputs["embedding weights"] = fingerprints.of(
            [config.embedding_weights]
        )
    if config.segmenter_backbone:
        files = tensor_files(config.segmenter_backbone)
        inputs["the segmenter's backbone"] = fingerprints.of(files)
    if config.segmenter and saved_models.is_whole(config.segmenter):
        inputs["the segmenter"] = saved_models.fingerprint(config.segmenter)
    return inputs


def _class_shares(
    config: EstimateConfig, features: FoundFeatures
) -> report.ClassShares | None:
    """Returns shares by labels if both domains have them, else predicted."""
    source, target = features.source, features.target
    if features.both_labelled:
        source, target = (
            features.label_shares[name] for name in ("source", "target")
        )
        origin = "labels"
    elif config.features == AUTO:
        origin = "what is compared"
    elif config.features == SEGMENTER_HISTOGRAM.name:
        origin = "the segmenter's predictions"
    else:
        return None
    return report.ClassShares(
        names=np.asarray(source.names),
        source=source.values,
        target=target.values,
        origin=origin,
    )


if __name__ == "__main__":
    cli.run(estimate, EstimateConfig)
