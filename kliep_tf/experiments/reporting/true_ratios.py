"""The true density ratios that the rendered city comes with."""

import csv
import os
from collections.abc import Iterable, Mapping

import numpy as np

from kliep_tf.errors import UserError

# Of scenes.csv, by domain: the ratio that is estimated over its images.
_COLUMNS = {"source": "density_ratio", "target": "inverse_density_ratio"}


def read_true_ratios(path: str | os.PathLike, domain: str) -> dict[str, float]:
    """Returns the ratios in the scenes.csv of a domain, by filename.

    Raises:
        UserError: the file or the column is missing, or a ratio is no finite
            number of 0 or more.
    """
    column = _COLUMNS[domain]
    try:
        with open(path, newline="") as file:
            return {
                row["filename"]: _ratio(row[column])
                for row in csv.DictReader(file)
            }
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise UserError(
            f"{path}: expected the rendered city's scenes with the columns "
            f"filename and {column}, found something else ({error})"
        ) from error


def _ratio(cell: str | None) -> float:
    """Returns the number in a cell, None where a row ends before it."""
    ratio = float(cell or "nan")
    if not 0 <= ratio < float("inf"):
        raise ValueError(f"a ratio of {cell!r}")
    return ratio


def in_order(
    ratios: Mapping[str, float],
    filenames: Iterable[str],
    path: str | os.PathLike,
    image: str,
) -> np.ndarray:
    """Returns float64 [N], the ratios in the order of the filenames.

    Args:
        ratios: by filename.
        filenames: [N].
        path: of the file that holds the ratios, for messages.
        image: what a filename names, for messages.

    Raises:
        UserError: one is missing.
    """
    names = [str(name) for name in filenames]
    missing = [name for name in names if name not in ratios]
    if missing:
        raise UserError(
            f"{path}: expected a row for every {image}, found none for "
            f"{missing[0]!r}"
        )
    return np.array([ratios[name] for name in names])
