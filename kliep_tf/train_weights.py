"""The weights that a training reads: found or estimated, tempered, clipped."""

import os

import numpy as np

from kliep_tf import cli, fingerprints, runs
from kliep_tf.data import weightings, weights
from kliep_tf.data.index import RecordIndex
from kliep_tf.errors import UserError
from kliep_tf.estimate_flags import EstimateConfig, WeightFlags, require_used
from kliep_tf.train_flags import TrainConfig


def fingerprint(config: TrainConfig) -> dict[str, str]:
    """Returns the fingerprint of the weights in use, if there are any.

    A run that estimates them itself has none when it begins.
    """
    directory = weights_dir(config)
    if not (_uses_weights(config) and weights.has_weights(directory)):
        return {}
    paths = [weights.weights_path(directory, name) for name in weights.DOMAINS]
    return {"weights": fingerprints.of(paths)}


def check(config: TrainConfig) -> None:
    """Raises a UserError for flags of an estimate that it would ignore."""
    if _uses_weights(config) and not weights.has_weights(weights_dir(config)):
        require_used(cli.part_of(config, WeightFlags))


def select_cohort(config: TrainConfig, source: RecordIndex) -> RecordIndex:
    """Returns the part of the source that is trained on."""
    if config.source_cohort == "all":
        return source
    directory = _estimated_weights(config)
    values = weights.load_weights(directory, "source").lookup(
        source.filenames.tolist()
    )
    rows = weightings.cohort_rows(values, config.source_cohort)
    print(
        f"--source_cohort={config.source_cohort}: {len(rows)} of {len(source)} "
        f"source images, weights {values[rows].min():.3g} to "
        f"{values[rows].max():.3g}"
    )
    return source.select(rows)


def load(
    config: TrainConfig, source: RecordIndex, target: RecordIndex
) -> tuple[np.ndarray, np.ndarray]:
    """Returns each domain's weights as `--weighting` says, by its index."""
    exponents = _exponents(config)
    if not any(exponents.values()):
        return np.ones(len(source)), np.ones(len(target))
    directory = _estimated_weights(config)
    found = []
    for domain, index in (("source", source), ("target", target)):
        loaded = weights.load_weights(directory, domain)
        loaded = weightings.as_weighting(loaded, config.weighting)
        values = loaded.lookup(index.filenames.tolist())
        values = weightings.temper(values, exponents[domain])
        found.append(_clipped(values, config.max_weight, domain))
    return found[0], found[1]


def weights_dir(config: TrainConfig) -> str:
    """Returns the directory of the weights, which may not exist yet."""
    return config.weights_dir or os.path.join(config.run_dir, runs.WEIGHTS)


def estimate_config(config: TrainConfig) -> EstimateConfig:
    """Returns what estimates the weights of a training that has none."""
    return EstimateConfig(
        source_records=config.source_records,
        target_records=config.target_records,
        weights_dir=weights_dir(config),
        **vars(cli.part_of(config, WeightFlags)),
    )


def _uses_weights(config: TrainConfig) -> bool:
    return config.source_cohort != "all" or any(_exponents(config).values())


def _exponents(config: TrainConfig) -> dict[str, float]:
    return weightings.exponents_of(
        config.weighting,
        config.source_weight_exponent,
        config.target_weight_exponent,
    )


def _clipped(values: np.ndarray, limit: float, domain: str) -> np.ndarray:
    if not limit or values.max() <= limit:
        return values
    clipped = weightings.clip(values, limit)
    shares = map(weightings.effective_sample_size, (values, clipped))
    before, after = (f"{share:.1%}" for share in shares)
    print(
        f"{domain} weights: {np.count_nonzero(clipped == clipped.max())} of "
        f"{len(values)} are clipped to --max_weight={limit:g}, the largest "
        f"from {values.max():.4g}; effective sample size {before} before, "
        f"{after} after"
    )
    return clipped


def _estimated_weights(config: TrainConfig) -> str:
    """Returns the directory of the weights, which are estimated if missing."""
    directory = weights_dir(config)
    if not weights.has_weights(directory):
        if config.distribution == "multi_worker":
            raise UserError(
                f"{directory}: expected weights, found none; with "
                "--distribution=multi_worker run kliep_tf.estimate_weights "
                "first and name its --weights_dir"
            )
        print(f"{directory}: no weights are there yet; estimating them")
        _estimate(config)
    return directory


def _estimate(config: TrainConfig) -> None:
    # Here and not above: a training without weights needs no KLIEP.
    from kliep_tf import estimate_weights

    estimate_weights.estimate(estimate_config(config))
