"""Rows that others published, from a CSV file, to be shown below our own.

    name,road,sidewalk,sky,mIoU
    their method,90,45.5,,40

The columns after the name are classes, under the names of Cityscapes, and
mIoU, in any order; IoU is in per cent. What is empty or has no column is
unknown.
"""

import csv
import os
from collections.abc import Sequence

from kliep_tf.data.datasets import CLASS_NAMES
from kliep_tf.errors import UserError

_NAME, _MEAN = "name", "mIoU"
_MEASURES = {**{name: name for name in CLASS_NAMES}, _MEAN: "mean_iou"}

# By row and measure (a class, or "mean_iou"): one value from 0 to 1, or NaN.
ReferenceRows = dict[str, dict[str, list[float]]]


def read_reference_rows(path: str | os.PathLike) -> ReferenceRows:
    """Returns the rows of a file, in its order.

    Raises:
        UserError: there is no such file, or it is of another form.
    """
    try:
        # A spreadsheet may have put a byte order mark in front.
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file) if any(line)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"--reference_rows={path}: expected a CSV file, found none "
            f"({getattr(error, 'strerror', None) or error})"
        ) from error
    columns = _columns(lines[0] if lines else [], path)
    rows: ReferenceRows = {}
    for cells in lines[1:]:
        name = cells[0].strip()
        if len(cells) != len(columns) + 1 or not name or name in rows:
            raise UserError(
                f"--reference_rows={path}: expected a name of its own and "
                f"{len(columns)} values in each row, found {','.join(cells)!r}"
            )
        values = dict.fromkeys(_MEASURES.values(), float("nan"))
        for column, cell in zip(columns, cells[1:], strict=True):
            values[_MEASURES[column]] = _share(cell, f"{name}, {column}", path)
        rows[name] = {measure: [value] for measure, value in values.items()}
    return rows


def _columns(header: Sequence[str], path: str | os.PathLike) -> list[str]:
    """Returns the measures that the columns hold."""
    first, *columns = [cell.strip() for cell in header] or [""]
    unknown = [column for column in columns if column not in _MEASURES]
    repeated = len(set(columns)) < len(columns)
    if first != _NAME or not columns or unknown or repeated:
        found = unknown if first == _NAME and unknown else header
        raise UserError(
            f"--reference_rows={path}: expected a first line of {_NAME}, "
            f"classes of Cityscapes such as {CLASS_NAMES[0]} and {_MEAN}, each "
            f"once, found {','.join(found)!r}"
        )
    return columns


def _share(cell: str, where: str, path: str | os.PathLike) -> float:
    """Returns per cent as a share, NaN for an empty cell."""
    if not cell.strip():
        return float("nan")
    try:
        share = float(cell) / 100
    except ValueError:
        share = float("nan")
    if not 0 <= share <= 1:
        raise UserError(
            f"--reference_rows={path}: expected per cent from 0 to 100, found "
            f"{cell!r} ({where})"
        )
    return share
