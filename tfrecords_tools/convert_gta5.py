"""Converts GTA5 ("Playing for Data") to the TFRecords that DeepLab reads.

Expects `images/00001.png` and `labels/00001.png` (palette PNGs) in the input
folder, and `split.mat` for every split but "all". Numbers may be missing.
Frames without a label, labels without a frame, and frames whose image and
label differ in size are skipped and named. Palette indices become the 19
train ids; everything else, license plates included, is ignored (255).

It is convert_folder with the folders and the label map of the dataset. The
same command again continues interrupted work.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from kliep_tf import cli
from kliep_tf.errors import DataError, UserError, one_line
from tfrecords_tools import conversion, joining, mat_files, raw_files
from tfrecords_tools.conversion_flags import FolderConfig
from tfrecords_tools.encoding import RawLabel
from tfrecords_tools.label_maps import LabelMap, load_label_map

# Worker processes import this module again: nothing here may import
# TensorFlow at the top.

_LAYOUT = 'the folders images/ and labels/ of "Playing for Data"'
_SPLIT_KEYS = {"train": "trainIds", "val": "valIds", "test": "testIds"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertGta5Config(FolderConfig):
    """The flags of convert_gta5."""

    split: str = cli.flag(
        "which frames: all, or a split of split.mat",
        default="all",
        choices=("train", "val", "test", "all"),
    )


def convert_gta5(config: ConvertGta5Config) -> None:
    """Converts one split of a GTA5 folder."""
    label_map = load_label_map(config.label_map or "gta5")
    conversion.convert(
        "tfrecords_tools.convert_gta5",
        config,
        list_frames(
            Path(config.input_dir),
            label_map,
            config.split,
            keep_unlabelled=config.keep_unlabelled,
        ),
        dataset="gta5",
        classes=label_map.classes,
    )


def list_frames(
    input_dir: Path,
    label_map: LabelMap,
    split: str = "all",
    *,
    keep_unlabelled: bool = False,
) -> raw_files.RawListing:
    """Returns the frames of one split that have an image and a label.

    Where `keep_unlabelled`, also those that have an image alone.

    Raises:
        UserError: the folder has another layout, holds no frame of this split,
            or lacks a readable split.mat where one is needed.
    """
    images = raw_files.list_files(
        input_dir / "images", ".png", expected=_LAYOUT
    )
    labels = raw_files.list_files(
        input_dir / "labels", ".png", expected=_LAYOUT
    )
    if not images:
        shown = raw_files.shown_names(input_dir / "images")
        raise UserError(
            f"{input_dir / 'images'}: expected frames such as 00001.png, found "
            f"none (in it: {shown})"
        )
    if split == "all":
        names: Sequence[str] = sorted(images.keys() | labels.keys())
    else:
        names = _split_names(input_dir / "split.mat", split)
        missing = [name for name in names if name not in images]
        if missing:
            print(
                f"note: {len(missing)} of {len(names)} frames of {split} are "
                f"not in {input_dir / 'images'} (first: {missing[0]})"
            )
    wanted = set(names)
    listing = joining.join_frames(
        {name: path for name, path in images.items() if name in wanted},
        {
            name: RawLabel(path, label_map)
            for name, path in labels.items()
            if name in wanted
        },
        input_dir,
        keep_unlabelled=keep_unlabelled,
    )
    if not any(frame.label for frame in listing.frames):
        raise UserError(
            f"{input_dir}: expected frames of {split} with image and label, "
            f"found {len(images)} images and {len(labels)} labels but none of "
            "those"
        )
    return listing


def _split_names(path: Path, split: str) -> Sequence[str]:
    if not path.exists():
        raise UserError(
            f"{path}: expected the file that defines --split={split}, found "
            "none; --split=all needs no such file"
        )
    key = _SPLIT_KEYS[split]
    try:
        found = mat_files.read_numbers(path)
        if key not in found:
            raise ValueError(one_line(", ".join(found)) or "no array")
        return [f"{int(number):05d}" for number in found[key]]
    except (ValueError, OverflowError) as error:  # int(inf) is one
        raise DataError(
            f"{path}: expected a MATLAB file with {key}, found something else "
            f"({error})"
        ) from error


if __name__ == "__main__":
    cli.run(convert_gta5, ConvertGta5Config)
