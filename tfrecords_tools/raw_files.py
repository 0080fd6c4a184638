"""What lies in a raw folder: files by name, their headers, a seeded order."""

import contextlib
import dataclasses
import hashlib
import itertools
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from kliep_tf.data import png
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.errors import DataError, UserError
from kliep_tf.progress import ProgressBar
from tfrecords_tools.encoding import (
    DAMAGE,
    TURNED,
    RawFrame,
    decode_image,
)
from tfrecords_tools.label_map_rows import ID
from tfrecords_tools.labels import palette_train_ids
from tfrecords_tools.polygons import is_polygons, polygons_size

_SCAN_THREADS = 16
# Number of frames from which on checking their headers is worth a bar.
_LONG_CHECK = 2000
# A JPEG's last bytes; some writers append to them, as to those of PNG.
_END_OF_JPEG = b"\xff\xd9"
_TAIL_BYTES = 4096
# Values of Cityscapes' label ids that hardly any label file holds (parking,
# rail track, guard rail, bridge, tunnel, polegroup, no id at all) and nearly
# every one of train ids does (terrain, sky, truck, bus, bicycle, ignored).
_LIKE_TRAIN_IDS = (9, 10, 14, 15, 16, 18, 255)
_LABELS_LOOKED_AT = 32
# Of the map cityscapes_train_ids: 19 and the ignore label.
_NUM_TRAIN_IDS = 20
# EXIF orientations that exchange height and width.
_ON_ITS_SIDE = range(5, 9)


@dataclasses.dataclass(frozen=True)
class RawListing:
    """What a converter found in a raw folder.

    Attributes:
        root: the folder, to which names in messages are relative.
        frames: to be converted.
        skipped: {"file", "reason"} of what is left out.
    """

    root: Path
    frames: Sequence[RawFrame]
    skipped: Sequence[dict[str, str]] = ()


def list_files(
    directory: Path, suffix: str, *, expected: str
) -> dict[str, Path]:
    """Returns the files of `directory` that end in `suffix`, by their stem.

    The stem is the name without the suffix, which may be in upper case. Dot
    files are left out: copies made on a Mac hold a `._00001.png` beside each
    `00001.png`.

    Args:
        directory: where to look.
        suffix: of the file names, such as "_leftImg8bit.png".
        expected: the folder layout, for the message.

    Raises:
        UserError: `directory` is missing, or two files differ in the case of
            the suffix alone.
    """
    if not directory.is_dir():
        raise UserError(missing_folder(directory, expected))
    found: dict[str, Path] = {}
    for path in sorted(directory.iterdir()):
        is_meant = path.name.lower().endswith(suffix.lower())
        if is_meant and not path.name.startswith("."):
            stem = path.name[: -len(suffix)]
            if stem in found:
                raise UserError(
                    f"{path}: expected one file of this name, found "
                    f"{found[stem].name} too"
                )
            found[stem] = path
    return found


def missing_folder(directory: Path, expected: str) -> str:
    """Returns the message for a folder that is not there.

    It shows what stands in the nearest folder that is.
    """
    parent = directory
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    if not parent.is_dir():
        return f"{parent}: expected {expected}, found a file"
    return (
        f"{directory}: expected {expected}, found no such folder (in "
        f"{parent}: {shown_names(parent)})"
    )


def shown_names(directory: Path) -> str:
    """Returns some of what stands in a folder, for messages."""
    names = sorted(
        entry.name
        for entry in itertools.islice(directory.iterdir(), 1000)
        if not entry.name.startswith(".")
    )
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return shown or "nothing"


def shuffled(frames: Iterable[RawFrame], seed: int) -> list[RawFrame]:
    """Returns the frames in an order that depends on seed and names alone.

    By hashes rather than a generator of random numbers: the same on every
    platform and version, and removing a frame leaves the others in order.
    """

    def key(frame: RawFrame) -> bytes:
        return hashlib.sha256(f"{seed}/{frame.filename}".encode()).digest()

    return sorted(frames, key=key)


@dataclasses.dataclass(frozen=True)
class _Header:
    """What an image file says of itself: its size upright, and how it lies."""

    height: int
    width: int
    turned: bool = False


def check_files(
    frames: Sequence[RawFrame], root: Path, size: tuple[int, int]
) -> tuple[list[RawFrame], list[dict[str, str]]]:
    """Returns the frames whose sizes agree, and {"file", "reason"} of others.

    Reads headers alone: a cut-off download is found now, not hours later.

    Args:
        frames: with or without labels.
        root: the raw folder, to which the names in the result are relative.
        size: (height, width) that the frames will be resized to, or (0, 0).

    Raises:
        UserError: a file is no image or is cut off.
    """
    height, width = size
    kept, mismatched = [], []
    smaller = turned = 0
    with (
        # Threads: the work is waiting for the file system.
        ThreadPoolExecutor(_SCAN_THREADS) as executor,
        _long_check_bar(len(frames)) as bar,
    ):
        for frame, (image, label) in zip(
            frames, executor.map(_headers, frames), strict=True
        ):
            if bar is not None:
                bar.update()
            if label is not None and (image.height, image.width) != (
                label.height,
                label.width,
            ):
                reason = (
                    f"image is {image.height}x{image.width}, label is "
                    f"{label.height}x{label.width}"
                )
                mismatched.append(skip(frame.image_path, root, reason))
                continue
            kept.append(frame)
            smaller += image.height < height or image.width < width
            turned += image.turned
    if smaller:
        print(
            f"note: {smaller} of {len(kept)} frames are smaller than "
            f"{height}x{width} and are enlarged"
        )
    if turned:
        print(
            f"note: {turned} of {len(kept)} images are turned upright, as "
            "their EXIF orientation says"
        )
    return kept, mismatched


def refuse_train_ids(frames: Sequence[RawFrame]) -> None:
    """Raises a UserError if labels hold train ids in place of label ids.

    Some copies of GTA5 and Cityscapes hold Cityscapes' train ids under the
    names of label ids. Both are small numbers, so what files of either kind
    usually hold decides; some labels from all over the dataset are read.
    """
    asked = [
        frame.label
        for frame in frames
        if frame.label is not None
        and frame.label.label_map.key == ID
        and frame.label.label_map.classes == CITYSCAPES_CLASSES
        and len(frame.label.label_map.values) > _NUM_TRAIN_IDS
        and not is_polygons(frame.label.path)
    ]
    step = max(1, len(asked) // _LABELS_LOOKED_AT)
    present = np.zeros(256, bool)
    for label in asked[::step][:_LABELS_LOOKED_AT]:
        image = decode_image(label.path, label.path.read_bytes())
        if image.mode not in ("P", "L"):
            continue  # refused by name when it is read
        values = np.asarray(image)
        if image.mode == "P" and palette_train_ids(
            image, values, label.path, label.label_map
        ):
            continue  # the palette says what they are
        present[np.unique(values)] = True
    ids = np.flatnonzero(present)
    if present[list(_LIKE_TRAIN_IDS)].any() and not (
        present[len(CITYSCAPES_CLASSES) : 255].any()
    ):
        found = ", ".join(map(str, ids))
        raise DataError(
            f"{asked[0].path} and others: expected label ids (road is 7, sky "
            f"23), found only {found}, as in labels of train ids (road is 0, "
            "sky 10); name what they hold by --label_map=cityscapes_train_ids "
            f"or --label_map={asked[0].label_map.name}"
        )


def skip(path: Path, root: Path, reason: str) -> dict[str, str]:
    """Returns what dataset.json says of a file that is left out."""
    return {"file": os.path.relpath(path, root), "reason": reason}


def _long_check_bar(num_frames: int) -> contextlib.AbstractContextManager:
    if num_frames < _LONG_CHECK:
        return contextlib.nullcontext()
    return ProgressBar(num_frames, "checking", "frame")


def _headers(frame: RawFrame) -> tuple[_Header, _Header | None]:
    label = None
    if frame.label is not None:
        label = _read_header(frame.label.path)
    return _read_header(frame.image_path), label


def _read_header(path: Path) -> _Header:
    """Returns the header of a file whose beginning and end are there."""
    if is_polygons(path):
        return _Header(*polygons_size(path))
    if path.suffix.lower() == ".png":
        stored = png.read_header(path)
        exif = Image.Exif()
        exif.load(png.read_exif(path))
        return _upright(stored.height, stored.width, exif)
    try:
        with Image.open(path) as image:
            width, height = image.size
            header = _upright(height, width, image.getexif())
            if image.format == "TIFF":  # Pillow turns these itself
                header = _Header(height, width, header.turned)
            is_jpeg = image.format == "JPEG"
    except DAMAGE as error:
        raise DataError(
            f"{path}: expected an image, found something else "
            f"({type(error).__name__})"
        ) from error
    if is_jpeg:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            if _END_OF_JPEG not in file.read():
                raise DataError(
                    f"{path}: expected a whole JPEG image, found one cut off "
                    f"after {size} bytes"
                )
    return header


def _upright(height: int, width: int, exif: Image.Exif) -> _Header:
    """Returns the header of an image stored with this size and orientation."""
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    if orientation in _ON_ITS_SIDE:
        height, width = width, height
    return _Header(height, width, turned=orientation in TURNED)
