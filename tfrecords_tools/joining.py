"""Finds the images and labels of a raw dataset and joins them by name."""

import csv
import glob
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from kliep_tf.errors import UserError
from tfrecords_tools import raw_files
from tfrecords_tools.encoding import RawFrame, RawLabel
from tfrecords_tools.raw_files import RawListing, skip


def join_frames(
    images: Mapping[str, Path],
    labels: Mapping[str, RawLabel],
    root: Path,
    *,
    keep_unlabelled: bool = False,
) -> RawListing:
    """Returns the frames whose image and label are there, and the others.

    Args:
        images: by key, which becomes the frames' filename.
        labels: by key; none at all for images without labels.
        root: the folder to which the names of what is left out are relative.
        keep_unlabelled: whether images without a label are frames too.
    """
    if not labels:
        return RawListing(root, [RawFrame(*image) for image in images.items()])
    frames, skipped = [], []
    for key, path in images.items():
        if key in labels or keep_unlabelled:
            frames.append(RawFrame(key, path, labels.get(key)))
        else:
            skipped.append(skip(path, root, "has no label"))
    for key, label in labels.items():
        if key not in images:
            skipped.append(skip(label.path, root, "has no image"))
    return RawListing(root, frames, skipped)


def find_files(pattern: str, flag: str) -> list[Path]:
    """Returns the files that a glob matches, sorted.

    A glob that ends in .jpg finds .JPG too.

    Raises:
        UserError: there is none.
    """
    anywhere = _any_case_ending(os.path.expanduser(pattern))
    found = sorted(glob.glob(anywhere, recursive=True))
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


def by_key(paths: Iterable[Path], join: str) -> dict[str, Path]:
    """Returns the paths by what an image and its label have in common.

    Args:
        paths: of images, or of labels.
        join: regular expression whose group `key` is the key; "" for the file
            name without its ending.

    Raises:
        UserError: two paths have the same key, or one has none.
    """
    found: dict[str, Path] = {}
    for path in paths:
        key = key_of(path, join)
        if key in found:
            raise UserError(
                f"{path}: expected a key of its own, found {key!r} at "
                f"{found[key]} too; --join says which part of a path is the key"
            )
        found[key] = path
    return found


def key_of(path: Path, join: str) -> str:
    """Returns the key of one path."""
    if not join:
        return path.stem
    match = re.search(join, path.as_posix())
    if match is None or not match["key"]:
        raise UserError(
            f"--join={join}: expected a match in {path}, found none"
        )
    # Filenames of records are names, not paths.
    return match["key"].replace("/", "_")


def read_pairs(
    path: Path, join: str
) -> tuple[dict[str, Path], dict[str, Path]]:
    """Returns the images and the labels of a CSV file by key.

    Raises:
        UserError: it is no such file, or names a file that is not there.
    """
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
        (key,) = by_key([image], join)
        if key in images:
            by_key([images[key], image], join)
        images[key] = image
        if row.get("label"):
            labels[key] = path.parent / row["label"]
    for named in (*images.values(), *labels.values()):
        if not named.is_file():
            raise UserError(f"{path}: expected the file {named}, found none")
    return images, labels


def _any_case_ending(pattern: str) -> str:
    """Returns the glob with an ending that matches both cases."""
    stem, dot, ending = pattern.rpartition(".")
    if not dot or not ending.isalnum():
        return pattern
    return f"{stem}." + "".join(
        f"[{letter.lower()}{letter.upper()}]" if letter.isalpha() else letter
        for letter in ending
    )


def _fixed_part(pattern: str) -> str:
    """Returns the folders of a glob that stand before its first wildcard."""
    parts = Path(os.path.expanduser(pattern)).parts
    fixed = []
    for part in parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return os.path.join(*fixed) if fixed else "."
