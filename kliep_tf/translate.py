"""Translates a whole dataset of records through an exported generator.

Writes records of the same schema and the same shards, in which only the image
has changed: labels, filenames and importance weights are carried over, so that
DeepLab trains on them as it would on the originals. The same command again
continues with the shards that are missing.
"""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from kliep_tf import cli, runs
from kliep_tf.data import records, summaries, weights
from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.index import RecordIndex, build_index
from kliep_tf.data.png import encode_png
from kliep_tf.data.reading import summarize_split
from kliep_tf.data.summaries import split_of
from kliep_tf.errors import UserError
from kliep_tf.progress import ProgressBar
from kliep_tf.training import saved_models
from kliep_tf.translation.shards import (
    TranslatedImage,
    Translator,
    load_translator,
)

PROGRAM = "kliep_tf.translate"


@dataclasses.dataclass(frozen=True)
class TranslateConfig:
    """The flags of this program."""

    saved_model: str = cli.flag("the SavedModel that train or export wrote")
    source_records: str = cli.flag(
        "the records to translate: a directory of shards or a glob"
    )
    output_dir: str = cli.flag("where the translated records go")
    png_dir: str = cli.flag(
        "directory for images/ and labels/ as PNG files too, in GTA5's layout",
        default="",
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
    )
    batch_size: int = cli.flag(
        "images of equal size translated at once",
        default=1,
        minimum=1,
        affects_output=False,
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
    paths = records.resolve_records(config.source_records, "source_records")
    _check_names(config, paths)
    index = build_index(paths)
    _check_filenames(config, index)
    translator = load_translator(
        config.saved_model, config.batch_size, config.tile_height
    )
    found_weights = _weights(config, index)
    inputs = {
        "source records": runs.fingerprint(paths),
        "the SavedModel": saved_models.fingerprint(config.saved_model),
    }
    with runs.claim(config.output_dir, PROGRAM, config, inputs=inputs) as claim:
        if claim.finished and not _missing(config, paths):
            print(f"{config.output_dir}: already translated")
            return
        if config.png_dir:
            with runs.claim(config.png_dir, PROGRAM, config) as png_claim:
                _translate_shards(config, index, translator, found_weights)
                png_claim.finish()
        else:
            _translate_shards(config, index, translator, found_weights)
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


def _check_filenames(config: TranslateConfig, index: RecordIndex) -> None:
    """Raises a UserError if a PNG file would lie outside of its folder."""
    if not config.png_dir:
        return
    for name in index.filenames.tolist():
        if os.path.basename(name) != name:
            raise UserError(
                f"--png_dir={config.png_dir}: expected filenames without "
                f"folders, found {name!r}"
            )


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
    translator: Translator,
    found_weights: dict[str, float] | None,
) -> None:
    missing = _missing(config, index.paths)
    rows = [index.paths.index(path) for path in missing]
    done = len(index) - int(np.isin(index.shards, rows).sum())
    with ProgressBar(len(index), "translating", "image", done) as bar:
        for path in missing:
            examples = _translated_examples(
                config, translator, path, found_weights, index.classes, bar
            )
            records.write_shard(_output_path(config, path), examples)


def _missing(config: TranslateConfig, paths: Sequence[str]) -> list[str]:
    return [path for path in paths if not _output_path(config, path).exists()]


def _translated_examples(
    config: TranslateConfig,
    translator: Translator,
    path: str,
    found_weights: dict[str, float] | None,
    classes: ClassSet,
    bar: ProgressBar,
) -> Iterator[bytes]:
    for translated in translator.translate_shard(path, config.image_format):
        example = records.replace_image(
            translated.serialized, translated.encoded, config.image_format
        )
        if found_weights is not None:
            weight = found_weights[translated.filename]
            example = records.append_weight(example, weight)
        if config.png_dir:
            _write_pngs(config, translated, classes, path)
        yield example
        bar.update(1)


def _write_pngs(
    config: TranslateConfig,
    translated: TranslatedImage,
    classes: ClassSet,
    shard: str,
) -> None:
    """Writes images/NAME.png and, if there is a label, labels/NAME.png."""
    directory = Path(config.png_dir)
    name = f"{translated.filename}.png"
    image_path = directory / "images" / name
    image_path.parent.mkdir(exist_ok=True)
    encoded = translated.as_png(config.image_format)
    runs.write_atomically(image_path, encoded)
    label = translated.decode_label(classes, shard)
    if label is not None:
        label_path = directory / "labels" / name
        label_path.parent.mkdir(exist_ok=True)
        encoded = encode_png(classes.raw_ids()[label], classes.palette())
        runs.write_atomically(label_path, encoded)


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
            arguments=dataclasses.asdict(config),
            versions=runs.versions(),
        )
        summaries.write_summary(config.output_dir, summary)


def _output_path(config: TranslateConfig, path: str) -> Path:
    return Path(config.output_dir) / os.path.basename(path)


if __name__ == "__main__":
    cli.run(translate, TranslateConfig)
