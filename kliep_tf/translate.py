"""Translates a whole dataset of records through an exported generator.

Writes records of the same schema and the same shards, in which only the image
has changed: labels, filenames and importance weights are carried over, so that
DeepLab trains on them as it would on the originals. The same command again
continues with the shards that are missing.
"""

import dataclasses
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from kliep_tf import cli, fingerprints, runs
from kliep_tf.data import records, summaries, weights
from kliep_tf.data.index import RecordIndex, build_index, image_sizes
from kliep_tf.data.reading import summarize_split
from kliep_tf.data.summaries import split_of
from kliep_tf.errors import UserError
from kliep_tf.progress import ProgressBar
from kliep_tf.shard_runners import LOCAL, RunnerFlags, check_runner, run_on_beam
from kliep_tf.training import saved_models
from kliep_tf.translation.remade import PRECISIONS
from kliep_tf.translation.shard_processes import (
    visible_gpus,
    worker_environments,
)
from kliep_tf.translation.shard_work import ShardWork, output_path
from kliep_tf.translation.shards import Manner
from kliep_tf.worker_processes import map_in_workers

PROGRAM = "kliep_tf.translate"
# Of images for which the generator is made anew.
_MAX_SIZES = 4
# Translated at once, of small images.
_MAX_BATCH = 8
_BATCH_PIXELS = _MAX_BATCH * 128 * 128


@dataclasses.dataclass(frozen=True)
class TranslateConfig(RunnerFlags):
    """The flags of this program."""

    saved_model: str = cli.flag(
        "the SavedModel that train or export wrote",
        read_as="the SavedModel",
        from_store=True,
    )
    source_records: str = cli.flag(
        "the records to translate: a directory of shards or a glob",
        read_as="source records",
        from_store=True,
    )
    output_dir: str = cli.flag(
        "where the translated records go", mirrored="output"
    )
    png_dir: str = cli.flag(
        "directory for images/ and labels/ as PNG files too, in GTA5's layout",
        default="",
        mirrored="output",
    )
    image_format: str = cli.flag(
        "how translated images are encoded",
        default="png",
        choices=records.IMAGE_FORMATS,
    )
    weights_dir: str = cli.flag(
        "directory of estimate_weights, whose source weights are attached; "
        "without it, weights that the records carry are kept",
        default="",
        read_as="weights",
        mirrored="input",
    )
    batch_size: int | None = cli.flag(
        "images of equal size translated at once. By default up to eight "
        "where all are of one small size (together no more than eight of "
        "128x128), else 1",
        default=None,
        minimum=1,
        affects_output=False,
    )
    num_workers: int | None = cli.flag(
        "processes that translate a shard each; 0 translates in this one. By "
        "default one for each GPU where there are several, else 0",
        default=None,
        minimum=0,
        affects_output=False,
    )
    precision: str = cli.flag(
        "of the activations. bfloat16 takes half of float32's time on CPUs "
        "that have instructions for it (many times more on others) and "
        "differs by a level of 255 in the mean; of generators of CycleGAN",
        default="float32",
        choices=PRECISIONS,
    )
    tile_height: int = cli.flag(
        "translate in tiles of this many rows, which gives the same image up "
        "to rounding in less memory: two activations at a quarter of the "
        "resolution (128 bytes a pixel of the frame with 64 filters) and one "
        "tile. 0 translates images whole",
        default=0,
        minimum=0,
        affects_output=False,
    )


def translate(config: TranslateConfig) -> None:
    """Translates every shard that is not there yet."""
    cli.check(config)
    check_runner(config)
    paths = records.resolve_records(config.source_records, "source_records")
    _check_names(config, paths)
    index = build_index(paths)
    _check_png_dir(config, index)
    model = config.saved_model
    work = ShardWork(
        saved_model=model,
        # Of what is no SavedModel there is none; `load` says so.
        fingerprint=(
            saved_models.fingerprint(model)
            if saved_models.is_whole(model)
            else ""
        ),
        manner=_manner(config, index),
        image_format=config.image_format,
        output_dir=config.output_dir,
        png_dir=config.png_dir,
        weights=_weights(config, index),
        classes=index.classes,
    )
    workers = (
        worker_environments(config.num_workers)
        if config.runner == LOCAL
        else []
    )
    work.load()  # what is no translator is told before anything is written
    inputs = {
        "source records": fingerprints.of(paths),
        "the SavedModel": work.fingerprint,
    }
    if config.weights_dir:
        path = weights.weights_path(config.weights_dir, "source")
        inputs["weights"] = fingerprints.of([path])
    with runs.claim(config.output_dir, PROGRAM, config, inputs=inputs) as claim:
        if claim.finished and not _missing(config, paths):
            print(f"{config.output_dir}: already translated")
            return
        if config.png_dir:
            with runs.claim(
                config.png_dir, PROGRAM, config, inputs=inputs
            ) as png_claim:
                _translate_shards(config, index, work, workers)
                png_claim.finish()
        else:
            _translate_shards(config, index, work, workers)
        _write_summaries(config, index)
        claim.finish(examples=len(index))
    print(f"{config.output_dir}: {len(index)} images translated")


def _check_names(config: TranslateConfig, paths: list[str]) -> None:
    """Raises a UserError if two shards would go to the same file."""
    seen: dict[str, str] = {}
    for path in paths:
        other = seen.setdefault(os.path.basename(path), path)
        if other != path:
            raise UserError(
                f"--source_records={config.source_records}: expected shards of "
                f"different names, found {other} and {path}"
            )


def _check_png_dir(config: TranslateConfig, index: RecordIndex) -> None:
    """Raises a UserError if PNG files have no folder, or leave it."""
    if not config.png_dir:
        return
    runs.refuse_foreign(config.png_dir, PROGRAM, f"--png_dir={config.png_dir}")
    for name in index.filenames.tolist():
        if os.path.basename(name) != name:
            raise UserError(
                f"--png_dir={config.png_dir}: expected filenames without "
                f"folders, found {name!r}"
            )


def _manner(config: TranslateConfig, index: RecordIndex) -> Manner:
    """Returns how the SavedModel is called, the same in every process."""
    if config.tile_height and config.precision != "float32":
        raise UserError(
            f"--tile_height={config.tile_height}: expected "
            f"--precision=float32, found {config.precision}"
        )
    sizes = set() if config.tile_height else image_sizes(index)
    # To trace each of many sizes would take longer than it saves; and on GPUs
    # a SavedModel is as fast as what is made of it.
    is_remade = not visible_gpus() and len(sizes) <= _MAX_SIZES
    return Manner(
        batch_size=config.batch_size or usual_batch_size(sizes),
        tile_height=config.tile_height,
        precision=config.precision,
        sizes=frozenset(sizes if is_remade else ()),
    )


def usual_batch_size(sizes: Collection[tuple[int, int]]) -> int:
    """Returns how many images are translated at once, unless somebody says.

    Small images leave threads waiting for each other; of several sizes few
    neighbours would be equal.

    Args:
        sizes: (height, width) of all images.
    """
    if len(sizes) != 1:
        return 1
    ((height, width),) = sizes
    return min(max(_BATCH_PIXELS // (height * width), 1), _MAX_BATCH)


def _weights(
    config: TranslateConfig, index: RecordIndex
) -> dict[str, float] | None:
    """Returns the weights to attach, by filename, or None."""
    if not config.weights_dir:
        return None
    found = weights.load_weights(config.weights_dir, "source")
    values = found.lookup(index.filenames.tolist())
    return dict(zip(index.filenames.tolist(), values.tolist(), strict=True))


def _translate_shards(
    config: TranslateConfig,
    index: RecordIndex,
    work: ShardWork,
    workers: Sequence[Mapping[str, str]],
) -> None:
    missing = _missing(config, index.paths)
    if config.runner != LOCAL:
        if missing:
            run_on_beam(work.translate_apart, missing, config)
        return
    rows = [index.paths.index(path) for path in missing]
    done = len(index) - int(np.isin(index.shards, rows).sum())
    with ProgressBar(len(index), "translating", "image", done) as bar:
        if not workers:
            for path in missing:
                work.translate(path, bar.update)
            return
        with map_in_workers(
            work.translate_apart, missing, len(workers), workers
        ) as counts:
            for count in counts:
                bar.update(count)


def _missing(config: TranslateConfig, paths: Sequence[str]) -> list[str]:
    return [path for path in paths if not _output_path(config, path).exists()]


def _write_summaries(config: TranslateConfig, index: RecordIndex) -> None:
    """Describes the output as the source's dataset.json describes the input."""
    by_shard: dict[str, list[str]] = {}
    for shard, name in zip(index.shards, index.filenames, strict=True):
        path = os.path.basename(index.paths[shard])
        by_shard.setdefault(path, []).append(str(name))
    for split in sorted({split_of(path) for path in by_shard}):
        paths = [path for path in index.paths if split_of(path) == split]
        original = summarize_split(paths, split)
        summary = dataclasses.replace(
            original,
            shards={
                path: names
                for path, names in by_shard.items()
                if split_of(path) == split
            },
            arguments=runs.arguments_of(config),
            versions=runs.versions(),
        )
        summaries.write_summary(config.output_dir, summary)


def _output_path(config: TranslateConfig, path: str) -> Path:
    return output_path(config.output_dir, path)


if __name__ == "__main__":
    cli.run(translate, TranslateConfig)
