"""Converts Cityscapes to the TFRecords that DeepLab reads.

Expects `leftImg8bit/SPLIT/CITY/*_leftImg8bit.png` in the input folder and, for
labels, `gtFine/SPLIT/CITY/*_gtFine_labelIds.png` (or, where that is missing,
`*_gtFine_labelTrainIds.png`). Frames without a label, labels without a frame,
and frames whose image and label differ in size are skipped and named.

Real images without labels, the target of an adaptation, convert with
--labels=none. The same command again continues interrupted work.
"""

import dataclasses
from pathlib import Path

from kliep_tf import cli
from kliep_tf.errors import UserError
from tfrecords_tools import conversion, raw_files
from tfrecords_tools.encoding import RawFrame, RawLabel
from tfrecords_tools.label_maps import load_label_map

# Worker processes import this module again: nothing here may import
# TensorFlow at the top.

_IMAGE_SUFFIX = "_leftImg8bit.png"
_LABEL_IDS_SUFFIX = "_gtFine_labelIds.png"
_TRAIN_IDS_SUFFIX = "_gtFine_labelTrainIds.png"
_LABEL_IDS, _TRAIN_IDS = "cityscapes", "cityscapes_train_ids"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertCityscapesConfig(conversion.FolderConfig):
    """The flags of convert_cityscapes."""

    split: str = cli.flag(
        "Which part to convert.",
        default="train",
        choices=("train", "val", "test"),
    )
    labels: str = cli.flag(
        "fine reads gtFine; none writes records without labels.",
        default="fine",
        choices=("fine", "none"),
    )


def convert_cityscapes(config: ConvertCityscapesConfig) -> None:
    """Converts one split of a Cityscapes folder."""
    listing = list_frames(
        Path(config.input_dir),
        config.split,
        labels=config.labels,
        label_map=config.label_map,
        keep_unlabelled=config.keep_unlabelled,
    )
    conversion.convert(
        "tfrecords_tools.convert_cityscapes",
        config,
        listing,
        dataset="cityscapes",
        classes=load_label_map(config.label_map or _LABEL_IDS).classes,
    )


def list_frames(
    input_dir: Path,
    split: str,
    *,
    labels: str = "fine",
    label_map: str = "",
    keep_unlabelled: bool = False,
) -> raw_files.RawListing:
    """Returns the frames of one split.

    Args:
        input_dir: the folder that holds leftImg8bit/.
        split: "train", "val" or "test".
        labels: "fine" or "none".
        label_map: of all label files; by default label ids or train ids, as
            their names say.
        keep_unlabelled: whether frames without a label are taken too.

    Raises:
        UserError: the folder has another layout, holds no frame of this
            split, or none of the labels asked for.
    """
    image_dir = input_dir / "leftImg8bit" / split
    images = _list_cities(image_dir, _IMAGE_SUFFIX)
    if not images:
        raise UserError(
            f"{image_dir}: expected frames such as "
            f"aachen/aachen_000000_000019{_IMAGE_SUFFIX}, found none (in it: "
            f"{raw_files.shown_names(image_dir)})"
        )
    if labels == "none":
        return raw_files.RawListing(
            input_dir, [RawFrame(name, path) for name, path in images.items()]
        )
    label_dir = input_dir / "gtFine" / split
    if not label_dir.is_dir():
        raise UserError(
            f"{label_dir}: expected the labels of {split}, found no such "
            "folder; --labels=none needs none"
        )
    label_ids = _list_cities(label_dir, _LABEL_IDS_SUFFIX)
    train_ids = _list_cities(label_dir, _TRAIN_IDS_SUFFIX)
    of_label_ids = load_label_map(label_map or _LABEL_IDS)
    of_train_ids = load_label_map(label_map or _TRAIN_IDS)
    frames, skipped = [], []
    for name, path in images.items():
        if name in label_ids:
            label = RawLabel(label_ids[name], of_label_ids)
            frames.append(RawFrame(name, path, label))
        elif name in train_ids:
            label = RawLabel(train_ids[name], of_train_ids)
            frames.append(RawFrame(name, path, label))
        elif keep_unlabelled:
            frames.append(RawFrame(name, path))
        else:
            skipped.append(raw_files.skip(path, input_dir, "has no label"))
    if not any(frame.label for frame in frames):
        raise UserError(
            f"{label_dir}: expected labels such as "
            f"aachen/aachen_000000_000019{_LABEL_IDS_SUFFIX}, found none for "
            f"any of {len(images)} images; --labels=none needs none"
        )
    for name, path in {**train_ids, **label_ids}.items():
        if name not in images:
            skipped.append(raw_files.skip(path, input_dir, "has no image"))
    return raw_files.RawListing(input_dir, frames, skipped)


def _list_cities(directory: Path, suffix: str) -> dict[str, Path]:
    """Returns the files of all cities by stem.

    Raises:
        UserError: `directory` is missing, or two cities share a stem.
    """
    if not directory.is_dir():
        raise UserError(
            raw_files.missing_folder(
                directory, "the leftImg8bit/SPLIT/CITY layout of Cityscapes"
            )
        )
    found: dict[str, Path] = {}
    for city in sorted(directory.iterdir()):
        if not city.is_dir():
            continue
        files = raw_files.list_files(city, suffix, expected="a city's frames")
        for name, path in files.items():
            if name in found:
                raise UserError(
                    f"{path}: expected a name unique in its split, found "
                    f"{found[name]} too"
                )
            found[name] = path
    return found


if __name__ == "__main__":
    cli.run(convert_cityscapes, ConvertCityscapesConfig)
