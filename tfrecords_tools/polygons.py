"""Label images of Cityscapes, drawn from the polygons of its annotations.

Polygons are drawn one over the other in the order of the file, as
`json2labelImg` of cityscapesScripts draws the label images that come with the
dataset. Runs in worker processes, so nothing here may import TensorFlow.
"""

import json
import os
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from kliep_tf.errors import DataError

# The names of Cityscapes' labels; a label's id is its place.
_NAMES = (
    "unlabeled", "ego vehicle", "rectification border", "out of roi", "static",
    "dynamic", "ground", "road", "sidewalk", "parking", "rail track",
    "building", "wall", "fence", "guard rail", "bridge", "tunnel", "pole",
    "polegroup", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky", "person", "rider", "car", "truck", "bus", "caravan", "trailer",
    "train", "motorcycle", "bicycle",
)  # fmt: skip
# Its id is -1, and what has such an id is not drawn: the car around it is.
_NOT_DRAWN = "license plate"
# Many instances that no one could tell apart, such as a "cargroup".
_GROUP = "group"


def is_polygons(path: str | os.PathLike) -> bool:
    """Whether a label file holds polygons, by its name."""
    return os.fspath(path).endswith(".json")


def polygons_size(path: str | os.PathLike) -> tuple[int, int]:
    """Returns (height, width) of the image that polygons were drawn on.

    Raises:
        DataError: the file is no annotation.
    """
    annotation = _read(path)
    return annotation["imgHeight"], annotation["imgWidth"]


def draw_label_ids(path: str | os.PathLike) -> np.ndarray:
    """Returns uint8 [H, W], the label ids that an annotation's polygons give.

    Raises:
        DataError: the file is no annotation, or has an unknown label.
    """
    annotation = _read(path)
    size = annotation["imgWidth"], annotation["imgHeight"]
    image = Image.new("L", size, _NAMES.index("unlabeled"))
    draw = ImageDraw.Draw(image)
    for number, shape in enumerate(annotation["objects"]):
        if shape.get("deleted"):
            continue
        name = _known_name(shape["label"], f"{path}, object {number}")
        if name != _NOT_DRAWN:
            points = [tuple(point) for point in shape["polygon"]]
            draw.polygon(points, fill=_NAMES.index(name))
    return np.asarray(image)


def _known_name(name: str, where: str) -> str:
    known = {*_NAMES, _NOT_DRAWN}
    found = name if name in known else name.removesuffix(_GROUP)
    if found not in known:
        raise DataError(
            f"{where}: expected a label of Cityscapes such as road, found "
            f"{name!r}"
        )
    return found


def _read(path: str | os.PathLike) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            annotation = json.load(file)
        is_whole = _is_annotation(annotation)
    except (ValueError, KeyError, TypeError, RecursionError):
        is_whole = False
    if not is_whole:
        raise DataError(
            f"{path}: expected polygons of Cityscapes (imgHeight, imgWidth and "
            "objects with label and polygon), found something else"
        )
    return annotation


def _is_annotation(annotation: Any) -> bool:
    return all(
        isinstance(annotation[key], int) and annotation[key] > 0
        for key in ("imgHeight", "imgWidth")
    ) and all(
        isinstance(shape["label"], str)
        and len(shape["polygon"]) > 1
        and all(
            isinstance(x, int | float) and isinstance(y, int | float)
            for x, y in shape["polygon"]
        )
        for shape in annotation["objects"]
    )
