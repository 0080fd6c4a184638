"""Label maps: which value of a dataset's label files means which class.

A label map is a small table with a header, as CSV or as a JSON list of objects:

    id,class,color
    7,road,128 64 128
    8,road,
    23,sky,#4682b4
    0,,

The first column says what a pixel of a label file holds: `id` (one channel or
the index into a palette), `red` (an id in the red channel of an RGB file, of 8
or 16 bits) or, where there is neither, `color` (the RGB colour itself).

A value without a class is ignored. Values that the map does not list are an
error. Classes are numbered in the order in which they first appear. A class
without a value is one that the dataset does not label. `color` beside `id` or
`red` is the colour of the class in figures and in the palettes of label files.

Runs in worker processes, so nothing here may import TensorFlow.
"""

import colorsys
import csv
import dataclasses
import functools
import importlib.resources
import io
import itertools
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kliep_tf.data.class_sets import (
    CITYSCAPES_CLASSES,
    IGNORE_LABEL,
    ClassSet,
    LabelClass,
)
from kliep_tf.errors import DataError, UserError
from kliep_tf.json_files import parse_json
from tfrecords_tools.label_map_rows import COLOR, ID, MAX_ID, RED, Row

_NUM_COLORS = 2**24
_UNKNOWN = -1
_FOLDER = "maps"


@dataclasses.dataclass(frozen=True)
class LabelMap:
    """What the values in a dataset's label files mean.

    Attributes:
        name: of the map, for messages.
        key: what a value is: ID, RED or COLOR.
        classes: of the train ids.
        values: (value, train id) of every value that may occur. The train id
            is the ignore label for values of no class; colours are written
            0xRRGGBB.
        colors: (id, colour) where the dataset's palette gives the id a colour;
            empty if `key` is COLOR.
    """

    name: str
    key: str
    classes: ClassSet
    values: tuple[tuple[int, int], ...]
    colors: tuple[tuple[int, int], ...] = ()

    def to_train_ids(
        self, values: np.ndarray, path: str | os.PathLike
    ) -> np.ndarray:
        """Returns the train ids, uint8 [H, W], of a label file's values.

        Args:
            values: unsigned integers [H, W]; colours as 0xRRGGBB.
            path: of the label file, for messages.

        Raises:
            UserError: the map does not list one of the values.
        """
        train_ids = _table(self)[values]
        if train_ids.min(initial=0) == _UNKNOWN:
            found = int(values[train_ids == _UNKNOWN][0])
            raise UserError(
                f"{path}: expected {self.expected} of the label map "
                f"{self.name}, found {self.shown(found)}"
            )
        return train_ids.astype(np.uint8)

    def shown(self, value: int) -> str:
        """Returns a value as people write it."""
        return f"#{value:06x}" if self.key == COLOR else str(value)

    @functools.cached_property
    def expected(self) -> str:
        """What may occur: "ids 0..34, 255" or "22 colors"."""
        if self.key == COLOR:
            return f"the {len(self.values)} colors"
        return f"the ids {_ranges(value for value, _ in self.values)}"


def shipped_maps() -> list[str]:
    """Returns the names of the maps that come with the package."""
    folder = importlib.resources.files("tfrecords_tools") / _FOLDER
    return sorted(
        entry.name.removesuffix(".csv")
        for entry in folder.iterdir()
        if entry.name.endswith(".csv")
    )


def load_label_map(name: str, flag: str = "label_map") -> LabelMap:
    """Returns a label map.

    Args:
        name: of a map that comes with the package, such as "gta5", or the path
            of a CSV or JSON file.
        flag: that named it, for messages.

    Raises:
        UserError: there is none, or it is no label map.
    """
    if name in shipped_maps():
        folder = importlib.resources.files("tfrecords_tools") / _FOLDER
        return parse_rows(_read_csv((folder / f"{name}.csv").read_text()), name)
    if not os.path.isfile(name):
        raise UserError(
            f"--{flag}={name}: expected a CSV or JSON file or one of "
            f"{', '.join(shipped_maps())}, found neither"
        )
    try:
        with open(name, encoding="utf-8-sig") as file:
            text = file.read()
        if name.endswith(".json"):
            rows = parse_json(text, name, "a label map in CSV or JSON")
        else:
            rows = _read_csv(text)
    except DataError:
        raise
    except (ValueError, csv.Error) as error:
        raise UserError(
            f"{name}: expected a label map in CSV or JSON, found something "
            f"else ({error})"
        ) from None
    return parse_rows(rows, name)


def parse_rows(rows: Any, name: str) -> LabelMap:
    """Returns the label map that rows of a table describe.

    Args:
        rows: dicts with the keys id or red, class, color.
        name: of the map or its file, for messages.

    Raises:
        UserError: they describe none.
    """
    if not (
        isinstance(rows, list)
        and rows
        and all(isinstance(row, dict) for row in rows)
    ):
        raise UserError(
            f"{name}: expected a table of label values, found something else"
        )
    columns = set().union(*rows)
    keys = [key for key in (ID, RED, COLOR) if key in columns]
    unknown = columns - {ID, RED, COLOR, "class"}
    if unknown or not keys or "class" not in columns or keys[:2] == [ID, RED]:
        raise UserError(
            f"{name}: expected the columns class and one of id, red and color, "
            f"found {', '.join(map(str, sorted(columns, key=str)))}"
        )
    return _build(
        [
            Row.of(row, keys[0], f"{name}, row {i}")
            for i, row in enumerate(rows, 1)
        ],
        keys[0],
        name,
    )


def _build(rows: Sequence[Row], key: str, name: str) -> LabelMap:
    names = list(dict.fromkeys(row.class_name for row in rows))
    names = [one for one in names if one]
    classes = _class_set(rows, names, key, name)
    values: dict[int, int] = {}
    colors = {}
    for row in rows:
        train_id = classes.ignore_label
        if row.class_name:
            train_id = names.index(row.class_name)
        if row.value is None:
            continue
        if row.value in values:
            shown = f"#{row.value:06x}" if key == COLOR else row.value
            raise UserError(
                f"{name}: expected each value once, found {shown} repeated"
            )
        values[row.value] = train_id
        if key != COLOR and row.color is not None:
            colors[row.value] = row.color
    return LabelMap(
        name, key, classes, tuple(values.items()), tuple(colors.items())
    )


def _class_set(
    rows: Sequence[Row], names: Sequence[str], key: str, name: str
) -> ClassSet:
    if tuple(names) == CITYSCAPES_CLASSES.names:
        return CITYSCAPES_CLASSES
    classes = []
    for train_id, one in enumerate(names):
        own = [row for row in rows if row.class_name == one]
        colors = [row.color for row in own if row.color is not None]
        color = colors[0] if colors else _distinct_color(train_id)
        ids = [row.value for row in own if row.value is not None]
        raw_ids = tuple(ids) if key == ID and max(ids, default=0) < 256 else ()
        rgb = (color >> 16, color >> 8 & 255, color & 255)
        classes.append(LabelClass(one, rgb, raw_ids))
    short_name = os.path.splitext(os.path.basename(name))[0]
    try:
        return ClassSet(short_name, tuple(classes), IGNORE_LABEL)
    except UserError as error:  # which does not know the file
        raise UserError(f"{name}: {error}") from None


def _distinct_color(train_id: int) -> int:
    """Returns another hue for each number, none like its neighbours'."""
    hue = train_id * 0.618034 % 1.0
    red, green, blue = (
        round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.6, 0.9)
    )
    return red << 16 | green << 8 | blue


def _read_csv(text: str) -> list[dict[str, Any]]:
    rows = list(csv.DictReader(io.StringIO(text), skipinitialspace=True))
    return [
        {str(column).strip(): value for column, value in row.items()}
        for row in rows
    ]


@functools.lru_cache(maxsize=8)
def _table(label_map: LabelMap) -> np.ndarray:
    """Returns int16 [number of values]: value to train id or _UNKNOWN."""
    size = _NUM_COLORS if label_map.key == COLOR else MAX_ID + 1
    table = np.full(size, _UNKNOWN, np.int16)
    for value, train_id in label_map.values:
        table[value] = train_id
    return table


def _ranges(numbers: Iterable[int]) -> str:
    """Returns "0..34, 255" of 0 to 34 and 255."""
    groups = itertools.groupby(
        enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0]
    )
    shown = []
    for _, group in groups:
        members = [number for _, number in group]
        ends = [str(members[0])]
        if len(members) > 1:
            ends.append(str(members[-1]))
        shown.append("..".join(ends))
    return ", ".join(shown)
