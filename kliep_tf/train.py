"""Trains an importance-weighted translation and exports its generator.

Reads source (rendered) and target (real) records and their importance weights,
which are estimated on the spot where --weights_dir holds none. Writes a run
directory: config.json, checkpoints, TensorBoard logs, saved_model. The same
command again continues where it stopped. --method says how to translate and
adds flags of its own.
"""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from kliep_tf import (
    cli,
    export,
    fingerprints,
    runs,
    train_task_segmenter,
    train_weights,
)
from kliep_tf.data.augmentation import Augmentation, check_sizes
from kliep_tf.data.index import RecordIndex, build_index, image_sizes
from kliep_tf.data.reading import has_labels, require_labelled_pixels
from kliep_tf.data.records import resolve_records
from kliep_tf.errors import UserError
from kliep_tf.segmentation import consistency
from kliep_tf.train_flags import TrainConfig, check_numbers
from kliep_tf.training.loop import LoopSettings
from kliep_tf.training.saved_models import is_whole
from kliep_tf.training.workers import this_worker
from kliep_tf.translation.method import Method, Setup
from kliep_tf.translation.methods import load_method
from kliep_tf.translation.training_run import (
    Monitoring,
    TrainingData,
    run_training,
)

PROGRAM = "kliep_tf.train"


class Provider(NamedTuple):
    """What makes a thing that a method asks for, from config and source.

    Attributes:
        make: returns it, once the run directory is claimed and weights are
            there.
        check: raises a UserError, before anything is written, where it cannot
            be made.
        fingerprint: returns, by name, fingerprints of the files behind it.
    """

    make: Callable[[TrainConfig, RecordIndex], Any]
    check: Callable[[TrainConfig, RecordIndex], None] = lambda *_: None
    fingerprint: Callable[[TrainConfig], Mapping[str, str]] = lambda _: {}


# What a method may ask for by `Method.asks_for`.
PROVIDERS = {
    "task_segmenter": Provider(
        make=train_task_segmenter.provide,
        check=train_task_segmenter.check,
        fingerprint=train_task_segmenter.fingerprint,
    )
}


def train(config: TrainConfig) -> None:
    """Trains and exports; continues what an earlier run began."""
    method = load_method(config.method)
    settings: Any = cli.part_of(config, method.settings)
    source, target = _indices(config)
    _check_labels(config, method, source)
    augmentation, image_size = _augmentation(config, method, source, target)
    check_numbers(config)
    train_weights.check(config)
    setup = _setup(config, augmentation.crop_size or image_size)
    method.check(settings, setup)
    providers = {name: PROVIDERS[name] for name in method.asks_for}
    for provider in providers.values():
        provider.check(config, source)
    worker = this_worker(config.distribution)
    inputs = {
        "source records": fingerprints.of(source.paths),
        "target records": fingerprints.of(target.paths),
        **train_weights.fingerprint(config),
    }
    files = method.files(settings)
    if files:
        inputs[f"{config.method} files"] = fingerprints.of(files)
    for provider in providers.values():
        inputs.update(provider.fingerprint(config))
    with runs.claim(
        config.run_dir, PROGRAM, config, inputs=inputs, write=worker.is_chief
    ) as claim:
        if claim.finished and is_whole(_saved_model(config)):
            print(f"{config.run_dir}: already trained to step {config.steps}")
            return
        source = train_weights.select_cohort(config, source)
        source_weights, target_weights = train_weights.load(
            config, source, target
        )
        data = TrainingData(
            source,
            target,
            source_weights,
            target_weights,
            augmentation,
            image_size,
            config.seed,
        )
        handed_in = {
            name: provider.make(config, source)
            for name, provider in providers.items()
        }
        setup = dataclasses.replace(setup, handed_in=handed_in)
        run_training(
            data,
            method,
            functools.partial(method.build, settings, setup),
            _loop_settings(config),
            _monitoring(config, method, source, image_size),
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


def _indices(config: TrainConfig) -> tuple[RecordIndex, RecordIndex]:
    paths = resolve_records(config.source_records, "source_records")
    source = build_index(paths)
    paths = resolve_records(config.target_records, "target_records")
    return source, build_index(paths)


def _check_labels(
    config: TrainConfig, method: Method, source: RecordIndex
) -> None:
    if method.needs_source_labels and not has_labels(source.paths):
        raise UserError(
            f"--method={config.method}: expected labels in "
            f"--source_records={config.source_records}, found none"
        )
    # Several workers must make their strategy before any operation runs.
    if method.needs_source_labels and config.distribution != "multi_worker":
        require_labelled_pixels(source.paths, "source_records")


def _augmentation(
    config: TrainConfig,
    method: Method,
    source: RecordIndex,
    target: RecordIndex,
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
    if augmentation.crop_size:
        method.sizes.check("crop", augmentation.crop_size)
    elif image_size:
        method.sizes.check("image", image_size)
    return augmentation, image_size or min(image_sizes(source))


def _setup(config: TrainConfig, image_size: tuple[int, int]) -> Setup:
    return Setup(
        image_size=image_size,
        global_batch_size=config.batch_size,
        num_steps=config.steps,
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
    config: TrainConfig,
    method: Method,
    source: RecordIndex,
    image_size: tuple[int, int],
) -> Monitoring:
    watched = consistency.WatchedConfusion(
        config.watched_label, config.watched_prediction
    )
    check = None
    if config.consistency_segmenter:
        watched.require(source.classes)
        # Of another size a translation would be larger than its label.
        check = functools.partial(
            consistency.make_consistency_check,
            config.consistency_segmenter,
            source,
            method.sizes.fit(image_size),
            watched=watched,
        )
    return Monitoring(
        run_name=os.path.basename(os.path.normpath(config.run_dir)),
        program=PROGRAM,
        config=config,
        image_every=config.image_every,
        consistency_every=config.consistency_every,
        compared_by=("consistency/mean_iou", *watched.tags),
        descriptions={**consistency.DESCRIPTIONS, **watched.descriptions},
        make_consistency_check=check,
        discriminator_unit=method.discriminator_unit(
            cli.part_of(config, method.settings)
        ),
    )


def _shown(sizes: set[tuple[int, int]]) -> str:
    return ", ".join(f"{height}x{width}" for height, width in sorted(sizes))


if __name__ == "__main__":
    cli.run(train, TrainConfig)
