"""Converts Cityscapes to the TFRecords that DeepLab reads.

Expects `leftImg8bit/SPLIT/CITY/*_leftImg8bit.png` in the input folder and, for
labels, `gtFine/SPLIT/CITY/*_gtFine_labelIds.png`; where that is missing,
`*_gtFine_labelTrainIds.png`, or `*_gtFine_polygons.json`, from which labels are
drawn as cityscapesScripts does it. --labels=coarse reads the same of gtCoarse.
Frames without a label, labels without a frame, and frames whose image and label
differ in size are skipped and named.

Real images without labels, the target of an adaptation, convert with
--labels=none; images in fog or rain with --variant=foggy_beta_0.02, for
example. It is convert_folder with the folders, names and label map of the
dataset. The same command again continues interrupted work.
"""

import dataclasses
import fnmatch
from pathlib import Path

from kliep_tf import cli
from kliep_tf.errors import UserError
from tfrecords_tools import conversion, joining, raw_files
from tfrecords_tools.conversion_flags import FolderConfig
from tfrecords_tools.encoding import RawLabel
from tfrecords_tools.label_maps import load_label_map

# Worker processes import this module again: nothing here may import
# TensorFlow at the top.

_IMAGES = "leftImg8bit"
_LABEL_FOLDERS = {"fine": "gtFine", "coarse": "gtCoarse"}
_LABEL_IDS, _TRAIN_IDS = "cityscapes", "cityscapes_train_ids"
# What ends the names of label files, and the map of its values: the first that
# is there counts.
_LABEL_FILES = (
    ("labelIds.png", _LABEL_IDS),
    ("labelTrainIds.png", _TRAIN_IDS),
    ("polygons.json", _LABEL_IDS),
)
_EXAMPLE = "aachen/aachen_000000_000019"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertCityscapesConfig(FolderConfig):
    """The flags of convert_cityscapes."""

    split: str = cli.flag(
        "which part to convert",
        default="train",
        choices=("train", "val", "test", "train_extra"),
    )
    labels: str = cli.flag(
        "fine reads gtFine, coarse gtCoarse; none writes records without "
        "labels",
        default="fine",
        choices=("fine", "coarse", "none"),
    )
    variant: str = cli.flag(
        "read leftImg8bit_foggy/ or leftImg8bit_rain/: what stands behind "
        "leftImg8bit in names of images, such as foggy_beta_0.02. * stands for "
        "anything: foggy_* converts every image in fog of every frame.",
        default="",
    )


def convert_cityscapes(config: ConvertCityscapesConfig) -> None:
    """Converts one split of a Cityscapes folder."""
    listing = list_frames(
        Path(config.input_dir),
        config.split,
        labels=config.labels,
        variant=config.variant,
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
    variant: str = "",
    label_map: str = "",
    keep_unlabelled: bool = False,
) -> raw_files.RawListing:
    """Returns the frames of one split.

    Args:
        input_dir: the folder that holds leftImg8bit/.
        split: "train", "val", "test" or "train_extra".
        labels: "fine", "coarse" or "none".
        variant: of the images, such as "foggy_beta_0.02" or "rain_*"; frames
            are then called by it too.
        label_map: of all label files; by default label ids or train ids, as
            their names say.
        keep_unlabelled: whether frames without a label are taken too.

    Raises:
        UserError: the folder has another layout, holds no frame of this
            split, or none of the labels asked for.
    """
    images, stems = _list_images(input_dir, split, variant)
    found: dict[str, RawLabel] = {}
    if labels != "none":
        by_stem = _list_labels(input_dir, split, labels, label_map)
        found = {
            name: by_stem[stem]
            for name, stem in stems.items()
            if stem in by_stem
        }
        if not found:
            folder = _LABEL_FOLDERS[labels]
            raise UserError(
                f"{input_dir / folder / split}: expected labels such as "
                f"{_EXAMPLE}_{folder}_labelIds.png, found none for "
                f"any of {len(images)} images; --labels=none needs none"
            )
        if not variant:  # of which not every frame needs to exist
            found = by_stem
    return joining.join_frames(
        images, found, input_dir, keep_unlabelled=keep_unlabelled
    )


def _list_images(
    input_dir: Path, split: str, variant: str
) -> tuple[dict[str, Path], dict[str, str]]:
    """Returns the images by name, and the stem of each, as labels have it."""
    kind = variant.partition("_")[0]
    folder = f"{_IMAGES}_{kind}" if variant else _IMAGES
    directory = input_dir / folder / split
    if not variant:
        images = _list_cities(directory, f"_{_IMAGES}.png")
        stems = {name: name for name in images}
    else:
        # Images of leftImg8bit_foggyDBF are called foggy, too.
        wanted = kind.removesuffix("DBF") + variant.removeprefix(kind)
        images, stems = {}, {}
        for name, path in _list_cities(directory, ".png").items():
            stem, _, found = name.partition(f"_{_IMAGES}_")
            if fnmatch.fnmatchcase(found, wanted):
                images[f"{stem}_{found}"] = path
                stems[f"{stem}_{found}"] = stem
    if not images:
        ending = f"_{variant}" if variant else ""
        raise UserError(
            f"{directory}: expected frames such as "
            f"{_EXAMPLE}_{_IMAGES}{ending}.png, found none (in it: "
            f"{raw_files.shown_names(directory)})"
        )
    return images, stems


def _list_labels(
    input_dir: Path, split: str, labels: str, label_map: str
) -> dict[str, RawLabel]:
    folder = _LABEL_FOLDERS[labels]
    directory = input_dir / folder / split
    if not directory.is_dir():
        others = [
            f"--labels={other} reads {name}"
            for other, name in _LABEL_FOLDERS.items()
            if (input_dir / name / split).is_dir()
        ]
        raise UserError(
            f"{directory}: expected the labels of {split}, found no such "
            f"folder; {'; '.join([*others, '--labels=none needs none'])}"
        )
    found: dict[str, RawLabel] = {}
    for ending, own_map in _LABEL_FILES:
        meant = load_label_map(label_map or own_map)
        files = _list_cities(directory, f"_{folder}_{ending}")
        for stem, path in files.items():
            found.setdefault(stem, RawLabel(path, meant))
    return found


def _list_cities(directory: Path, suffix: str) -> dict[str, Path]:
    """Returns the files of all cities by stem.

    Raises:
        UserError: `directory` is missing, or two cities share a stem.
    """
    if not directory.is_dir():
        raise UserError(
            raw_files.missing_folder(
                directory,
                f"the {directory.parent.name}/SPLIT/CITY layout of Cityscapes",
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
