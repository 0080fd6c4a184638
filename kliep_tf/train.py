"""Trains the importance-weighted CycleGAN and exports its generator.

Reads source (rendered) and target (real) records and their importance weights,
which are estimated on the spot where --weights_dir holds none. Writes a run
directory: config.json, checkpoints, TensorBoard logs, saved_model. The same
command again continues where it stopped.
"""

import functools
import os

import numpy as np

from kliep_tf import cli, estimate_weights, export, runs
from kliep_tf.data import weights
from kliep_tf.data.augmentation import Augmentation, check_sizes
from kliep_tf.data.index import RecordIndex, build_index, image_sizes
from kliep_tf.data.records import resolve_records
from kliep_tf.errors import UserError
from kliep_tf.segmentation.consistency_check import make_consistency_check
from kliep_tf.train_flags import TrainConfig, check_numbers
from kliep_tf.training.loop import LoopSettings
from kliep_tf.training.saved_models import is_whole
from kliep_tf.training.workers import this_worker
from kliep_tf.translation.methods.cyclegan.settings import CycleGANSettings
from kliep_tf.translation.networks import MIN_SIZE, SIZE_MULTIPLE
from kliep_tf.translation.training_run import (
    CycleGANData,
    Monitoring,
    run_training,
)

PROGRAM = "kliep_tf.train"


def train(config: TrainConfig) -> None:
    """Trains and exports; continues what an earlier run began."""
    source, target = _indices(config)
    augmentation, image_size = _augmentation(config, source, target)
    check_numbers(config)
    worker = this_worker(config.distribution)
    inputs = {
        "source records": runs.fingerprint(source.paths),
        "target records": runs.fingerprint(target.paths),
        **_weights_fingerprint(config),
    }
    with runs.claim(
        config.run_dir, PROGRAM, config, inputs=inputs, write=worker.is_chief
    ) as claim:
        if claim.finished and is_whole(_saved_model(config)):
            print(f"{config.run_dir}: already trained to step {config.steps}")
            return
        source = _cohort(config, source)
        source_weights, target_weights = _weights(config, source, target)
        data = CycleGANData(
            source,
            target,
            source_weights,
            target_weights,
            augmentation,
            image_size,
            config.seed,
        )
        run_training(
            data,
            _model_settings(config, augmentation.crop_size or image_size),
            _loop_settings(config),
            _monitoring(config, source, image_size),
            learning_rate=config.learning_rate,
            distribution=config.distribution,
            worker=worker,
            run_dir=config.run_dir,
        )
        if not worker.is_chief:
            return
        # An export that somebody made halfway gives way to the final one.
        export.export(
            export.ExportConfig(run_dir=config.run_dir, overwrite=True)
        )
        claim.finish()


def _saved_model(config: TrainConfig) -> str:
    return os.path.join(config.run_dir, runs.SAVED_MODEL)


def _weights_fingerprint(config: TrainConfig) -> dict[str, str]:
    """Returns what tells the weights in use from later ones, if there are any.

    A run that estimates them itself has none when it begins.
    """
    directory = _weights_dir(config)
    if not (_uses_weights(config) and weights.has_weights(directory)):
        return {}
    paths = [weights.weights_path(directory, name) for name in weights.DOMAINS]
    return {"weights": runs.fingerprint(paths)}


def _uses_weights(config: TrainConfig) -> bool:
    return config.source_cohort != "all" or any(_exponents(config).values())


def _exponents(config: TrainConfig) -> dict[str, float]:
    return {
        "source": config.source_weight_exponent,
        "target": config.target_weight_exponent,
    }


def _weights_dir(config: TrainConfig) -> str:
    return config.weights_dir or os.path.join(config.run_dir, runs.WEIGHTS)


def _indices(config: TrainConfig) -> tuple[RecordIndex, RecordIndex]:
    paths = resolve_records(config.source_records, "source_records")
    source = build_index(paths)
    paths = resolve_records(config.target_records, "target_records")
    return source, build_index(paths)


def _augmentation(
    config: TrainConfig, source: RecordIndex, target: RecordIndex
) -> tuple[Augmentation, tuple[int, int]]:
    """Returns the augmentation and the images' (height, width) before it."""
    image_size = cli.size_flags(config, "image")
    if image_size is None and not config.crop_height:
        # Whole images of one size: stated, so that shapes are static.
        source_sizes, target_sizes = image_sizes(source), image_sizes(target)
        image_size = min(source_sizes)
        if target_sizes != source_sizes:
            raise UserError(
                "--image_height is 0: expected source and target images of one "
                f"size, found {_shown(source_sizes)} and "
                f"{_shown(target_sizes)}; set --image_height and --image_width"
            )
    augmentation = Augmentation(
        image_size=image_size,
        crop_size=cli.size_flags(config, "crop"),
        flip=config.flip,
        min_scale=config.min_scale,
        max_scale=config.max_scale,
    )
    check_sizes(source, augmentation, "source_records")
    check_sizes(target, augmentation, "target_records")
    kind = "crop" if augmentation.crop_size else "image"
    _check_fits_networks(kind, augmentation.crop_size or image_size)
    return augmentation, image_size or min(image_sizes(source))


def _check_fits_networks(kind: str, size: tuple[int, int]) -> None:
    for name, length in zip(("height", "width"), size, strict=True):
        if length % SIZE_MULTIPLE or length < MIN_SIZE:
            raise UserError(
                f"--{kind}_{name}: expected a multiple of {SIZE_MULTIPLE}, at "
                f"least {MIN_SIZE}, for the networks; found {length}"
            )


def _cohort(config: TrainConfig, source: RecordIndex) -> RecordIndex:
    """Returns the part of the source that is trained on."""
    if config.source_cohort == "all":
        return source
    directory = _estimated_weights(config)
    values = weights.load_weights(directory, "source").lookup(source.filenames)
    rows = weights.cohort_rows(values, config.source_cohort)
    print(
        f"--source_cohort={config.source_cohort}: {len(rows)} of {len(source)} "
        f"source images, weights {values[rows].min():.3g} to "
        f"{values[rows].max():.3g}"
    )
    return source.select(rows)


def _weights(
    config: TrainConfig, source: RecordIndex, target: RecordIndex
) -> tuple[np.ndarray, np.ndarray]:
    """Returns each domain's weights to its power, in the order of its index."""
    exponents = _exponents(config)
    if not any(exponents.values()):
        return np.ones(len(source)), np.ones(len(target))
    directory = _estimated_weights(config)
    found = []
    for domain, index in (("source", source), ("target", target)):
        values = weights.load_weights(directory, domain).lookup(index.filenames)
        values = weights.temper(values, exponents[domain])
        found.append(_clipped(values, config.max_weight, domain))
    return found[0], found[1]


def _clipped(values: np.ndarray, limit: float, domain: str) -> np.ndarray:
    if not limit or values.max() <= limit:
        return values
    clipped = weights.clip(values, limit)
    shares = map(weights.effective_sample_size, (values, clipped))
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
    directory = _weights_dir(config)
    if not weights.has_weights(directory):
        if config.distribution == "multi_worker":
            raise UserError(
                f"{directory}: expected weights, found none; with "
                "--distribution=multi_worker run kliep_tf.estimate_weights "
                "first and name its --weights_dir"
            )
        estimate_weights.estimate(
            estimate_weights.EstimateConfig(
                source_records=config.source_records,
                target_records=config.target_records,
                weights_dir=directory,
                features=config.features,
                segmenter=config.segmenter,
                min_ess=config.min_ess,
            )
        )
    return directory


def _model_settings(
    config: TrainConfig, image_size: tuple[int, int]
) -> CycleGANSettings:
    return CycleGANSettings(
        image_size=image_size,
        global_batch_size=config.batch_size,
        generator_filters=config.generator_filters,
        discriminator_filters=config.discriminator_filters,
        num_residual_blocks=config.num_residual_blocks,
        upsampling=config.upsampling,
        spectral_norm=config.spectral_norm,
        adversarial_loss=config.adversarial_loss,
        cycle_weight=config.cycle_weight,
        identity_weight=config.identity_weight,
        pool_size=config.pool_size,
        generator_ema=config.generator_ema,
        rematerialize=config.rematerialize,
        convolution=config.convolution,
        dtype="mixed_bfloat16" if config.mixed_precision else "float32",
        jit_compile=config.jit_compile,
        seed=config.seed,
    )


def _loop_settings(config: TrainConfig) -> LoopSettings:
    return LoopSettings(
        num_steps=config.steps,
        batch_size=config.batch_size,
        checkpoint_every=config.checkpoint_every,
        log_every=config.log_every,
        keep_checkpoints=config.keep_checkpoints,
    )


def _monitoring(
    config: TrainConfig, source: RecordIndex, image_size: tuple[int, int]
) -> Monitoring:
    check = None
    if config.consistency_segmenter:
        # Of another size a translation would be larger than its label.
        fitting = tuple(
            side // SIZE_MULTIPLE * SIZE_MULTIPLE for side in image_size
        )
        check = functools.partial(
            make_consistency_check,
            config.consistency_segmenter,
            source,
            fitting,
        )
    return Monitoring(
        run_name=os.path.basename(os.path.normpath(config.run_dir)),
        program=PROGRAM,
        config=config,
        image_every=config.image_every,
        consistency_every=config.consistency_every,
        make_consistency_check=check,
    )


def _shown(sizes: set[tuple[int, int]]) -> str:
    return ", ".join(f"{height}x{width}" for height, width in sorted(sizes))


if __name__ == "__main__":
    cli.run(train, TrainConfig)
