"""Rows that others published, from a CSV file, to be shown below our own.

    name,road,sidewalk,sky,mIoU,note
    their method,90,45.5,,40,with VGG

The columns after the name are classes of the records, mIoU and pixel accuracy,
in any order and in per cent. What is empty or has no column is unknown. Notes,
of which there may be a column too, stand below the table. The paper's own rows
are such files, in reporting/published.
"""

import csv
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from kliep_tf.data.class_sets import CITYSCAPES_CLASSES, ClassSet
from kliep_tf.errors import UserError
from kliep_tf.experiments import reporting
from kliep_tf.experiments.comparison.tables import class_table
from kliep_tf.experiments.reporting.pages import (
    Block,
    Bullets,
    Paragraph,
    Section,
)
from kliep_tf.experiments.reporting.templates import Texts

_FOLDER = Path(reporting.__path__[0], "published")
_PUBLISHED = {"Table I": "table1.csv", "Table III": "table3.csv"}

_NAME, _NOTE = "name", "note"
_MEANS = {"mIoU": "mean_iou", "pixel accuracy": "pixel_accuracy"}


@dataclasses.dataclass(frozen=True)
class ReferenceRows:
    """The rows of one file, in its order.

    Attributes:
        numbers: by row and measure (a class, "mean_iou", "pixel_accuracy"): one
            value from 0 to 1, or NaN.
        notes: by row, where there is one.
    """

    numbers: dict[str, dict[str, list[float]]]
    notes: dict[str, str]


def read_reference_rows(
    path: str | os.PathLike, classes: ClassSet
) -> ReferenceRows:
    """Returns the rows of a file.

    Args:
        path: of the CSV file.
        classes: that its columns may name.

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
    measures = {**{name: name for name in classes.names}, **_MEANS}
    columns = _columns(lines[0] if lines else [], path, classes)
    rows = ReferenceRows({}, {})
    for cells in lines[1:]:
        name = cells[0].strip()
        if len(cells) != len(columns) + 1 or not name or name in rows.numbers:
            raise UserError(
                f"--reference_rows={path}: expected a name of its own and "
                f"{len(columns)} values in each row, found {','.join(cells)!r}"
            )
        values = {measure: [float("nan")] for measure in measures.values()}
        for column, cell in zip(columns, cells[1:], strict=True):
            if column != _NOTE:
                share = _share(cell, f"{name}, {column}", path)
                values[measures[column]] = [share]
            elif cell.strip():
                rows.notes[name] = cell.strip()
        rows.numbers[name] = values
    return rows


def published_sections(table: str, classes: ClassSet) -> list[Section]:
    """Returns the paper's own rows, where the classes are the same.

    Args:
        table: what the paper calls it, such as "Table I".
        classes: of our own rows.
    """
    if not classes.agrees_with(CITYSCAPES_CLASSES):
        return []
    title = "The paper's rows, for reference"
    rows = read_reference_rows(_FOLDER / _PUBLISHED[table], classes)
    about = Texts("tables").say("published", table)
    return [_section(title, about, rows, classes)]


def reference_sections(
    path: str, rows: ReferenceRows | None, classes: ClassSet
) -> list[Section]:
    """Returns the rows of a user's file, if there is one."""
    if rows is None:
        return []
    title = "Published rows, for reference"
    about = Texts("tables").say("reference", path)
    return [_section(title, about, rows, classes)]


def _section(
    title: str, about: str, rows: ReferenceRows, classes: ClassSet
) -> Section:
    blocks: list[Block] = [
        Paragraph(about),
        class_table(rows.numbers, classes),
    ]
    if rows.notes:
        notes = [f"{name}: {note}." for name, note in rows.notes.items()]
        blocks.append(Bullets(notes))
    return Section(title, blocks)


def _columns(
    header: Sequence[str], path: str | os.PathLike, classes: ClassSet
) -> list[str]:
    """Returns what the columns after the name hold."""
    first, *columns = [cell.strip() for cell in header] or [""]
    known = {*classes.names, *_MEANS, _NOTE}
    unknown = [column for column in columns if column not in known]
    repeated = len(set(columns)) < len(columns)
    if first != _NAME or not columns or unknown or repeated:
        found = unknown if first == _NAME and unknown else header
        raise UserError(
            f"--reference_rows={path}: expected a first line of {_NAME}, "
            f"classes of {classes.name} such as {classes.names[0]}, "
            f"{', '.join(_MEANS)} and {_NOTE}, each once, found "
            f"{','.join(found)!r}"
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
