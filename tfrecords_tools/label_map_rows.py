"""The rows of a label map: a value, and the class that it means.

Runs in worker processes, so nothing here may import TensorFlow.
"""

import dataclasses
from typing import Any

from kliep_tf.errors import UserError

ID, RED, COLOR = "id", "red", "color"
MAX_ID = 2**16 - 1


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a label map.

    Attributes:
        value: what a pixel of a label file holds; None for a class that the
            dataset does not label.
        class_name: "" for a value that is ignored.
        color: of the class, 0xRRGGBB; None where the map has none.
    """

    value: int | None
    class_name: str
    color: int | None

    @classmethod
    def of(cls, row: dict, key: str, where: str) -> "Row":
        """Returns what a row of the table says.

        Args:
            row: cells by column.
            key: the column of the value: ID, RED or COLOR.
            where: the row, for messages.

        Raises:
            UserError: a cell is no id, or no colour.
        """
        color = _parse_color(row.get(COLOR), where)
        value = color
        if key != COLOR:
            value = _parse_id(row.get(key), where)
        name = row.get("class")
        return cls(value, "" if name is None else str(name).strip(), color)


def _parse_id(value: Any, where: str) -> int | None:
    if value is None or str(value).strip() == "":
        return None
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number <= MAX_ID:
        raise UserError(
            f"{where}: expected an id from 0 to {MAX_ID}, found {value!r}"
        )
    return number


def _parse_color(value: Any, where: str) -> int | None:
    """Returns 0xRRGGBB of "#rrggbb", "R G B" or [R, G, B]; None of nothing."""
    if value is None or str(value).strip() == "":
        return None
    text = str(value).strip()
    try:
        if text.startswith("#") and len(text) == 7:
            return int(text[1:], 16)
        parts = value if isinstance(value, list) else text.split()
        red, green, blue = (int(part) for part in parts)
    except (TypeError, ValueError):
        red, green, blue = -1, 0, 0
    if not all(0 <= part <= 255 for part in (red, green, blue)):
        raise UserError(
            f"{where}: expected a color such as 128 64 128 or #804080, found "
            f"{value!r}"
        )
    return red << 16 | green << 8 | blue
