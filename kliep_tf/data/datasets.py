"""The 19 evaluated classes, their ids and colours, and the known datasets.

The class table is that of cityscapesScripts (`helpers/labels.py`), to which
the palette indices of "Playing for Data" (GTA5) are equal.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

IGNORE_LABEL = 255


class LabelClass(NamedTuple):
    """One evaluated class; its train id is its position in CLASSES."""

    name: str
    label_id: int
    color: tuple[int, int, int]


CLASSES = (
    LabelClass("road", 7, (128, 64, 128)),
    LabelClass("sidewalk", 8, (244, 35, 232)),
    LabelClass("building", 11, (70, 70, 70)),
    LabelClass("wall", 12, (102, 102, 156)),
    LabelClass("fence", 13, (190, 153, 153)),
    LabelClass("pole", 17, (153, 153, 153)),
    LabelClass("traffic light", 19, (250, 170, 30)),
    LabelClass("traffic sign", 20, (220, 220, 0)),
    LabelClass("vegetation", 21, (107, 142, 35)),
    LabelClass("terrain", 22, (152, 251, 152)),
    LabelClass("sky", 23, (70, 130, 180)),
    LabelClass("person", 24, (220, 20, 60)),
    LabelClass("rider", 25, (255, 0, 0)),
    LabelClass("car", 26, (0, 0, 142)),
    LabelClass("truck", 27, (0, 0, 70)),
    LabelClass("bus", 28, (0, 60, 100)),
    LabelClass("train", 31, (0, 80, 100)),
    LabelClass("motorcycle", 32, (0, 0, 230)),
    LabelClass("bicycle", 33, (119, 11, 32)),
)
NUM_CLASSES = len(CLASSES)
CLASS_NAMES = tuple(entry.name for entry in CLASSES)

# Ids above the evaluated ones that occur in label files: 34 is GTA5's license
# plate, which Cityscapes numbers -1. Anything larger is no label file.
MAX_LABEL_ID = 34


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """What the converters know of a dataset before they see it.

    Attributes:
        name: as stored in dataset.json.
        splits: the values that `--split` may take.
        usual_size: (height, width) of most frames, in pixels.
    """

    name: str
    splits: tuple[str, ...]
    usual_size: tuple[int, int]


GTA5 = DatasetInfo("gta5", ("train", "val", "test", "all"), (1052, 1914))
CITYSCAPES = DatasetInfo("cityscapes", ("train", "val", "test"), (1024, 2048))


def train_id_table() -> np.ndarray:
    """Returns uint8 [256]: label id to train id, IGNORE_LABEL elsewhere."""
    table = np.full(256, IGNORE_LABEL, np.uint8)
    for train_id, entry in enumerate(CLASSES):
        table[entry.label_id] = train_id
    return table


def label_id_table() -> np.ndarray:
    """Returns uint8 [256]: train id to label id, 0 (unlabeled) elsewhere."""
    table = np.zeros(256, np.uint8)
    for train_id, entry in enumerate(CLASSES):
        table[train_id] = entry.label_id
    return table


def color_table() -> np.ndarray:
    """Returns uint8 [256, 3]: train id to RGB, black elsewhere."""
    table = np.zeros((256, 3), np.uint8)
    for train_id, entry in enumerate(CLASSES):
        table[train_id] = entry.color
    return table
