"""Converts any folder tree of images, with or without labels, to TFRecords.

`--images` and `--labels` are globs; `**` stands for any number of folders:

    --images='drive/**/rgb/*.jpg' --labels='drive/**/seg/*.png'

Images and labels belong together that have the same file name but for the
ending. Where names differ, `--join` is a regular expression whose group `key`
is what both names share, or `--pairs` a CSV file with the columns image and
label. The key becomes image/filename. `--split_by` divides the frames into
splits, none of them into two.

`--label_map` says which values of the label files mean which class: the name of
a map that ships with the package (gta5, cityscapes, ...) or a CSV or JSON file
with the columns id (or red, or color) and class; see
tfrecords_tools/label_maps.py. The records' classes are those of the map.

Frames without a label, labels without a frame, and frames whose image and
label differ in size are skipped and named. Images may be PNG, JPEG, WebP, TIFF
or BMP; labels are stored without loss. The same command again continues
interrupted work.
"""

import dataclasses
import itertools
import os
import re
from collections.abc import Iterable
from pathlib import Path

from kliep_tf import cli
from kliep_tf.data import summaries
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.errors import UserError
from tfrecords_tools import conversion, joining, raw_files, splitting
from tfrecords_tools.conversion_flags import LABEL_MAP, ConversionConfig
from tfrecords_tools.encoding import RawLabel
from tfrecords_tools.label_maps import LabelMap, load_label_map

# Worker processes import this module again: nothing here may import
# TensorFlow at the top.

_ONLY_SPLIT = "train"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertFolderConfig(ConversionConfig):
    """The flags of convert_folder."""

    images: str = cli.flag(
        "glob of the image files, in quotes. ** stands for any folders.",
        default="",
        affects_output=False,
    )
    labels: str = cli.flag(
        "glob of the label files; without it records have no labels",
        default="",
        affects_output=False,
    )
    pairs: str = cli.flag(
        "CSV file with the columns image and label, in place of --images and "
        "--labels. Paths in it are relative to its folder.",
        default="",
        affects_output=False,
    )
    join: str = cli.flag(
        "regular expression, searched in the paths of images and labels, whose "
        "group key they share, such as '(?P<key>[^/]+)_(rgb|seg)[.]png$'. By "
        "default the file name without its ending.",
        default="",
    )
    label_map: str = cli.flag(
        "what the values in the label files mean: a label map that ships, such "
        "as gta5, or a CSV or JSON file",
        default="",
        read_as=LABEL_MAP,
        mirrored="input",
    )
    dataset: str = cli.flag(
        "the dataset's name in dataset.json. By default that of the folder.",
        default="",
    )
    split: str = cli.flag(
        "name of the split, with which the names of the shards begin; by "
        "default train. With --split_by the one to convert; by default all.",
        default="",
    )
    split_by: str = cli.flag(
        "what makes a frame one of a split: 'folder', the first folder in "
        "which paths of images differ; a regular expression with a group "
        "split; shares such as train:0.9,val:0.1, drawn by --seed and name; "
        "or files of names, such as train.txt,val.txt",
        default="",
    )


def convert_folder(config: ConvertFolderConfig) -> None:
    """Converts the files that the flags name."""
    _check_flags(config)
    label_map = None
    if config.label_map:
        label_map = load_label_map(config.label_map)
    listings = list_frames(config, label_map)
    if config.shard_prefix and len(listings) > 1:
        raise UserError(
            f"--shard_prefix={config.shard_prefix}: expected one split, found "
            f"{', '.join(listings)}; --split names one"
        )
    # Every split is checked before the first is written.
    checked = {
        split: conversion.check(
            dataclasses.replace(config, split=split), listing
        )
        for split, listing in listings.items()
    }
    for split, frames in checked.items():
        conversion.write(
            "tfrecords_tools.convert_folder",
            dataclasses.replace(config, split=split),
            frames,
            dataset=config.dataset or frames.root.resolve().name,
            classes=label_map.classes if label_map else CITYSCAPES_CLASSES,
        )


def list_frames(
    config: ConvertFolderConfig, label_map: LabelMap | None
) -> dict[str, raw_files.RawListing]:
    """Returns, by split, the frames whose image and label are there.

    Args:
        config: the program's flags.
        label_map: of the labels; None for images alone.

    Raises:
        UserError: nothing is found, or two files have the same key.
    """
    if config.pairs:
        images, labels = joining.read_pairs(Path(config.pairs), config.join)
    else:
        images = joining.by_key(
            joining.find_files(config.images, "images"), config.join
        )
        labels = {}
        if config.labels:
            labels = joining.by_key(
                joining.find_files(config.labels, "labels"), config.join
            )
    root = _root([*images.values(), *labels.values()])
    raw_labels = {}
    if label_map is not None:
        raw_labels = {
            key: RawLabel(path, label_map) for key, path in labels.items()
        }
        if not images.keys() & labels.keys():
            raise UserError(
                f"--labels={config.labels}: expected labels with the keys of "
                f"images, found {_shown(labels)} and, of images, "
                f"{_shown(images)}; --join says which part of a path is the key"
            )
    listings: dict[str, raw_files.RawListing] = {}
    without_image = raw_labels.keys() - images.keys()
    for split, keys in _splits(config, images).items():
        # Labels without an image are of no split; the first one names them.
        named = {*keys, *(() if listings else without_image)}
        listings[split] = joining.join_frames(
            {key: images[key] for key in keys},
            {key: one for key, one in raw_labels.items() if key in named},
            root,
            keep_unlabelled=config.keep_unlabelled,
        )
    return listings


def _splits(
    config: ConvertFolderConfig, images: dict[str, Path]
) -> dict[str, list[str]]:
    """Returns the keys of each split that is to be converted."""
    if not config.split_by:
        return {config.split or _ONLY_SPLIT: list(images)}
    splits = splitting.assign_splits(
        images, config.split_by, join=config.join, seed=config.seed
    )
    if config.split:
        if config.split not in splits:
            raise UserError(
                f"--split={config.split}: expected a split of "
                f"--split_by={config.split_by}, found {', '.join(splits)}"
            )
        splits = {config.split: splits[config.split]}
    _refuse_overlap(config, splits)
    return splits


def _refuse_overlap(
    config: ConvertFolderConfig, splits: dict[str, list[str]]
) -> None:
    """Raises a UserError if another split in the folder has these frames."""
    known = summaries.read_summaries(config.output_dir)
    for split, keys in splits.items():
        for other, summary in known.items():
            names = itertools.chain.from_iterable(summary.shards.values())
            shared = set(keys).intersection(names)
            if other != (config.shard_prefix or split) and shared:
                raise UserError(
                    f"{config.output_dir}: expected no frame in two splits, "
                    f"found {min(shared)!r} in {other} and {split}"
                )


def _check_flags(config: ConvertFolderConfig) -> None:
    if bool(config.images) == bool(config.pairs):
        raise UserError("expected one of --images and --pairs, found "
                        + ("both" if config.images else "neither"))  # fmt: skip
    if config.pairs and config.labels:
        raise UserError("--labels: expected none beside --pairs")
    if config.labels and not config.label_map:
        raise UserError(
            "--label_map is missing: expected what the values in the label "
            "files mean, such as gta5 or a CSV file"
        )
    if config.label_map and not (config.labels or config.pairs):
        raise UserError("--label_map: expected --labels or --pairs too")
    if config.split:
        splitting.check_name(config.split, "--split")
    try:
        pattern = re.compile(config.join)
    except re.error as error:
        raise UserError(
            f"--join={config.join}: expected a regular expression ({error})"
        ) from None
    if config.join and "key" not in pattern.groupindex:
        raise UserError(
            f"--join={config.join}: expected a group (?P<key>...), found none"
        )


def _root(paths: Iterable[Path]) -> Path:
    return Path(os.path.commonpath([path.parent.absolute() for path in paths]))


def _shown(files: dict[str, Path]) -> str:
    names = sorted(files)[:3]
    return ", ".join(map(repr, names)) or "none"


if __name__ == "__main__":
    cli.run(convert_folder, ConvertFolderConfig)
