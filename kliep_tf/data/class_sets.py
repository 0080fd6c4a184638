"""The classes of a dataset's labels, which come with the data.

A converter writes its `ClassSet` into dataset.json; every other program reads
it from there (`summaries.class_set_of`). Records without one are of the 19
evaluated classes of Cityscapes, whose table is that of cityscapesScripts
(`helpers/labels.py`) and to which GTA5's palette indices are equal.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from kliep_tf.errors import DataError, UserError

IGNORE_LABEL = 255
# A label is one byte, and one of its values means "ignored".
_MOST_CLASSES = 255


@dataclasses.dataclass(frozen=True)
class LabelClass:
    """One class; its train id is its position in its ClassSet.

    Attributes:
        name: unique in its set, such as "traffic light".
        color: RGB, 0 to 255, in figures and palettes.
        raw_ids: the ids that mean this class in the dataset's own label files.
    """

    name: str
    color: tuple[int, int, int]
    raw_ids: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class ClassSet:
    """What the train ids 0, 1, ... of a dataset mean.

    Two sets are equal where names, colours and ids are. Use `agrees_with` to
    ask whether labels of two datasets may be compared.

    Attributes:
        name: of the set, such as "cityscapes".
        classes: by train id.
        ignore_label: the train id of pixels that are of no class.
    """

    name: str
    classes: tuple[LabelClass, ...]
    ignore_label: int = IGNORE_LABEL

    def __post_init__(self) -> None:
        """Raises a UserError for a set that labels of one byte cannot hold."""
        if not 1 <= len(self.classes) <= _MOST_CLASSES:
            raise UserError(
                f"classes of {self.name}: expected 1 to {_MOST_CLASSES}, found "
                f"{len(self.classes)}"
            )
        if not len(self.classes) <= self.ignore_label <= 255:
            raise UserError(
                f"classes of {self.name}: expected an ignore label from "
                f"{len(self.classes)} to 255, found {self.ignore_label}"
            )
        for what, values in (
            ("name", self.names),
            ("raw id", [i for one in self.classes for i in one.raw_ids]),
        ):
            repeated = {one for one in values if list(values).count(one) > 1}
            if repeated:
                raise UserError(
                    f"classes of {self.name}: expected each {what} once, found "
                    f"{sorted(repeated)[0]!r} repeated"
                )

    def __len__(self) -> int:
        """The number of classes."""
        return len(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """The names by train id."""
        return tuple(one.name for one in self.classes)

    def index(self, name: str) -> int:
        """Returns the train id of a class.

        Raises:
            UserError: the set has no class of that name.
        """
        if name not in self.names:
            raise UserError(
                f"expected a class of {self.name} ({', '.join(self.names)}), "
                f"found {name!r}"
            )
        return self.names.index(name)

    def agrees_with(self, other: "ClassSet") -> bool:
        """Whether a train id means the same class in both sets.

        Colours and raw ids may differ: they are how a dataset draws and stores
        its classes, not what they are.
        """
        return (self.names, self.ignore_label) == (
            other.names,
            other.ignore_label,
        )

    def train_ids(self) -> np.ndarray:
        """Returns uint8 [256]: raw id to train id, ignore_label elsewhere.

        Raises:
            UserError: a raw id is above 255.
        """
        table = np.full(256, self.ignore_label, np.uint8)
        for train_id, one in enumerate(self.classes):
            for raw_id in one.raw_ids:
                if not 0 <= raw_id <= 255:
                    raise UserError(
                        f"class {one.name!r} of {self.name}: expected raw ids "
                        f"from 0 to 255, found {raw_id}"
                    )
                table[raw_id] = train_id
        return table

    def raw_ids(self) -> np.ndarray:
        """Returns uint8 [256]: train id to the id in written label files.

        A class's first raw id, 0 elsewhere. A set that has no raw id, because
        its label files hold colours, keeps its train ids.
        """
        if not any(one.raw_ids for one in self.classes):
            return np.arange(256, dtype=np.uint8)
        table = np.zeros(256, np.uint8)
        for train_id, one in enumerate(self.classes):
            table[train_id] = one.raw_ids[0] if one.raw_ids else 0
        return table

    def palette(self) -> np.ndarray:
        """Returns uint8 [256, 3]: the colours of `raw_ids`, black elsewhere."""
        table = np.zeros((256, 3), np.uint8)
        written = self.raw_ids()
        for train_id, one in enumerate(self.classes):
            table[written[train_id]] = one.color
        return table

    def colors(self) -> np.ndarray:
        """Returns uint8 [256, 3]: train id to RGB, black elsewhere."""
        table = np.zeros((256, 3), np.uint8)
        for train_id, one in enumerate(self.classes):
            table[train_id] = one.color
        return table

    def unknown_label(self, counts: np.ndarray) -> str:
        """Returns what is wrong with a label, "" if it holds train ids alone.

        Args:
            counts: [256], the number of the label's pixels by value.
        """
        present = np.flatnonzero(counts)
        strange = present[
            (present >= len(self)) & (present != self.ignore_label)
        ]
        if not strange.size:
            return ""
        return (
            f"expected train ids 0..{len(self) - 1} and {self.ignore_label} in "
            f"the label, found {strange[0]}"
        )

    def to_json(self) -> dict[str, Any]:
        """Returns what dataset.json holds of this set."""
        return {
            "name": self.name,
            "ignore_label": self.ignore_label,
            "classes": [
                {
                    "name": one.name,
                    "color": list(one.color),
                    "raw_ids": list(one.raw_ids),
                }
                for one in self.classes
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str) -> "ClassSet":
        """Returns the set that `to_json` described.

        Args:
            value: read from JSON.
            where: its file, for messages.

        Raises:
            UserError: it describes no set of classes.
        """
        try:
            classes = tuple(
                LabelClass(
                    str(entry["name"]),
                    _color(entry["color"]),
                    tuple(int(raw_id) for raw_id in entry["raw_ids"]),
                )
                for entry in value["classes"]
            )
            return cls(str(value["name"]), classes, int(value["ignore_label"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{where}: expected classes, each with name, color and "
                f"raw_ids, found something else ({error})"
            ) from None


def require_same_classes(
    first: ClassSet, where_first: str, second: ClassSet, where_second: str
) -> ClassSet:
    """Returns the classes of two datasets that are compared.

    Raises:
        UserError: a train id means different classes in them.
    """
    if first.agrees_with(second):
        return first
    raise UserError(
        f"{where_second}: expected the {len(first)} classes of {where_first} "
        f"({_shown(first)}), found {len(second)} ({_shown(second)})"
    )


def _shown(classes: ClassSet) -> str:
    names = classes.names
    if len(names) <= 3:
        return ", ".join(names)
    return f"{names[0]}, {names[1]}, ... {names[-1]}"


def _color(values: Any) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in values)
    if not all(0 <= value <= 255 for value in (red, green, blue)):
        raise ValueError(f"color {red}, {green}, {blue}")
    return red, green, blue


def _cityscapes() -> ClassSet:
    table = (
        ("road", 7, (128, 64, 128)),
        ("sidewalk", 8, (244, 35, 232)),
        ("building", 11, (70, 70, 70)),
        ("wall", 12, (102, 102, 156)),
        ("fence", 13, (190, 153, 153)),
        ("pole", 17, (153, 153, 153)),
        ("traffic light", 19, (250, 170, 30)),
        ("traffic sign", 20, (220, 220, 0)),
        ("vegetation", 21, (107, 142, 35)),
        ("terrain", 22, (152, 251, 152)),
        ("sky", 23, (70, 130, 180)),
        ("person", 24, (220, 20, 60)),
        ("rider", 25, (255, 0, 0)),
        ("car", 26, (0, 0, 142)),
        ("truck", 27, (0, 0, 70)),
        ("bus", 28, (0, 60, 100)),
        ("train", 31, (0, 80, 100)),
        ("motorcycle", 32, (0, 0, 230)),
        ("bicycle", 33, (119, 11, 32)),
    )
    return ClassSet(
        "cityscapes",
        tuple(LabelClass(name, color, (raw,)) for name, raw, color in table),
    )


CITYSCAPES_CLASSES = _cityscapes()
