"""Converts any folder tree of images, with or without labels, to TFRecords.

`--images` and `--labels` are globs; `**` stands for any number of folders:

    --images='drive/**/rgb/*.jpg' --labels='drive/**/seg/*.png'

Images and labels belong together that have the same file name but for the
ending. Where names differ, `--join` is a regular expression whose group `key`
is what both names share, or `--pairs` a CSV file with the columns image and
label. The key becomes image/filename.

`--label_map` says which values of the label files mean which class: the name of
a map that ships with the package (gta5, cityscapes, ...) or a CSV or JSON file
with the columns id (or red, or color) and class; see
tfrecords_tools/label_maps.py. The records' classes are those of the map.

Frames without a label, labels without a frame, and frames whose image and
label differ in size are skipped and named. Images may be PNG, JPEG, WebP, TIFF
or BMP; labels are stored without loss. The same command again continues
interrupted work.
"""

import csv
import dataclasses
import glob
import os
import re
from collections.abc import Iterable
from pathlib import Path

from kliep_tf import cli
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.errors import UserError
from tfrecords_tools import conversion, raw_files
from tfrecords_tools.encoding import RawFrame, RawLabel
from tfrecords_tools.label_maps import LabelMap, load_label_map

# Worker processes import this module again: nothing here may import
# TensorFlow at the top.

_SPLIT_NAME = re.compile(r"[A-Za-z0-9_.-]+")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertFolderConfig(conversion.ConversionConfig):
    """The flags of convert_folder."""

    images: str = cli.flag(
        "Glob of the image files, in quotes. ** stands for any folders.",
        default="",
        affects_output=False,
    )
    labels: str = cli.flag(
        "Glob of the label files; without it records have no labels.",
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
        "Regular expression, searched in the paths of images and labels, whose "
        "group key they share, such as '(?P<key>[^/]+)_(rgb|seg)[.]png$'. By "
        "default the file name without its ending.",
        default="",
    )
    label_map: str = cli.flag(
        "What the values in the label files mean: a label map that ships, such "
        "as gta5, or a CSV or JSON file.",
        default="",
    )
    dataset: str = cli.flag(
        "The dataset's name in dataset.json. By default that of the folder.",
        default="",
    )
    split: str = cli.flag(
        "Name of the split, with which the names of the shards begin.",
        default="train",
    )


def convert_folder(config: ConvertFolderConfig) -> None:
    """Converts the files that the flags name."""
    _check_flags(config)
    label_map = None
    if config.label_map:
        label_map = load_label_map(config.label_map)
    listing = list_frames(config, label_map)
    conversion.convert(
        "tfrecords_tools.convert_folder",
        config,
        listing,
        dataset=config.dataset or listing.root.resolve().name,
        classes=label_map.classes if label_map else CITYSCAPES_CLASSES,
    )


def list_frames(
    config: ConvertFolderConfig, label_map: LabelMap | None
) -> raw_files.RawListing:
    """Returns the frames whose image and, if asked for, label are there.

    Args:
        config: the program's flags.
        label_map: of the labels; None for images alone.

    Raises:
        UserError: nothing is found, or two files have the same key.
    """
    if config.pairs:
        images, labels = _read_pairs(Path(config.pairs), config.join)
    else:
        images = _by_key(_matches(config.images, "images"), config.join)
        labels = {}
        if config.labels:
            labels = _by_key(_matches(config.labels, "labels"), config.join)
    root = _root([*images.values(), *labels.values()])
    if label_map is None:
        frames = [RawFrame(key, path) for key, path in images.items()]
        return raw_files.RawListing(root, frames)
    frames, skipped = [], []
    for key, path in images.items():
        if key in labels:
            label = RawLabel(labels[key], label_map)
            frames.append(RawFrame(key, path, label))
        elif config.keep_unlabelled:
            frames.append(RawFrame(key, path))
        else:
            skipped.append(raw_files.skip(path, root, "has no label"))
    if not any(frame.label for frame in frames):
        raise UserError(
            f"--labels={config.labels}: expected labels with the keys of "
            f"images, found {_shown(labels)} and, of images, {_shown(images)}; "
            "--join says which part of a path is the key"
        )
    for key, path in labels.items():
        if key not in images:
            skipped.append(raw_files.skip(path, root, "has no image"))
    return raw_files.RawListing(root, frames, skipped)


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
    if not _SPLIT_NAME.fullmatch(config.split):
        raise UserError(
            f"--split={config.split}: expected letters, digits, '_', '.' and "
            "'-', since names of files begin with it"
        )
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


def _matches(pattern: str, flag: str) -> list[Path]:
    """Returns the files that a glob matches, sorted."""
    found = sorted(glob.glob(os.path.expanduser(pattern), recursive=True))
    paths = [Path(path) for path in found if os.path.isfile(path)]
    if not paths:
        folder = Path(_fixed_part(pattern))
        raise UserError(
            f"--{flag}={pattern}: expected files, found none"
            + (
                f" (in {folder}: {raw_files.shown_names(folder)})"
                if folder.is_dir()
                else f"; {folder} is no folder"
            )
        )
    return paths


def _fixed_part(pattern: str) -> str:
    """Returns the folders of a glob that stand before its first wildcard."""
    parts = Path(os.path.expanduser(pattern)).parts
    fixed = []
    for part in parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return os.path.join(*fixed) if fixed else "."


def _by_key(paths: Iterable[Path], join: str) -> dict[str, Path]:
    """Returns the paths by what an image and its label have in common."""
    found: dict[str, Path] = {}
    for path in paths:
        key = _key(path, join)
        if key in found:
            raise UserError(
                f"{path}: expected a key of its own, found {key!r} at "
                f"{found[key]} too; --join says which part of a path is the key"
            )
        found[key] = path
    return found


def _key(path: Path, join: str) -> str:
    if not join:
        return path.stem
    match = re.search(join, path.as_posix())
    if match is None or not match["key"]:
        raise UserError(
            f"--join={join}: expected a match in {path}, found none"
        )
    # Filenames of records are names, not paths.
    return match["key"].replace("/", "_")


def _read_pairs(
    path: Path, join: str
) -> tuple[dict[str, Path], dict[str, Path]]:
    """Returns the images and the labels of a CSV file by key."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(
            f"--pairs={path}: expected a CSV file ({error})"
        ) from None
    if not rows or "image" not in rows[0]:
        raise UserError(
            f"--pairs={path}: expected rows under the columns image and label, "
            f"found {', '.join(map(str, rows[0])) if rows else 'none'}"
        )
    images: dict[str, Path] = {}
    labels: dict[str, Path] = {}
    for number, row in enumerate(rows, 1):
        if not row["image"]:
            raise UserError(f"{path}, row {number}: expected an image")
        image = path.parent / row["image"]
        (key,) = _by_key([image], join)
        if key in images:
            _by_key([images[key], image], join)
        images[key] = image
        if row.get("label"):
            labels[key] = path.parent / row["label"]
    for named in (*images.values(), *labels.values()):
        if not named.is_file():
            raise UserError(f"{path}: expected the file {named}, found none")
    return images, labels


def _root(paths: Iterable[Path]) -> Path:
    return Path(os.path.commonpath([path.parent.absolute() for path in paths]))


def _shown(files: dict[str, Path]) -> str:
    names = sorted(files)[:3]
    return ", ".join(map(repr, names)) or "none"


if __name__ == "__main__":
    cli.run(convert_folder, ConvertFolderConfig)
