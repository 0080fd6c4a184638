"""Checks of what is given to KLIEP: the result is features, or one error."""

import numbers
from typing import Any

import numpy as np

from kliep_tf.errors import UserError

_ENTRIES_AT_ONCE = 1 << 19
# Differences of such numbers stay within float32.
_LARGEST = 1e36


def as_features(values: Any, name: str) -> np.ndarray:
    """Returns `as_matrix(values)` after a check of every entry.

    Raises:
        UserError: as `as_matrix`, or an entry is NaN, infinite or above 1e36;
            the message names the argument and the row.
    """
    features = as_matrix(values, name)
    rows = max(1, _ENTRIES_AT_ONCE // features.shape[1])
    for first in range(0, len(features), rows):
        require_finite(features[first : first + rows], name, first)
    return features


def as_matrix(values: Any, name: str) -> np.ndarray:
    """Returns `values` as a float32 or float64 array [N, d].

    float32 and float64 stay as they are (a memory map stays one), half
    precision becomes float32, integers and booleans float64.

    Raises:
        UserError: not two-dimensional, empty, not numeric, or partly masked;
            the message names the argument.
    """
    try:
        features = np.asanyarray(values)
    except ValueError:
        raise UserError(
            f"{name}: expected rows of equal length, found unequal ones"
        ) from None
    if features.dtype.kind not in "fiub":
        raise UserError(
            f"{name}: expected an array of real numbers, found dtype "
            f"{features.dtype}"
        )
    if features.ndim != 2:
        raise UserError(
            f"{name}: expected features of shape [N, d], found shape "
            f"{list(features.shape)}"
        )
    if 0 in features.shape:
        raise UserError(
            f"{name}: expected at least one row and one column, found shape "
            f"{list(features.shape)}"
        )
    if np.ma.is_masked(features):
        raise UserError(
            f"{name}: expected values for all entries, found "
            f"{np.sum(np.ma.getmaskarray(features))} masked ones"
        )
    features = np.asarray(features)
    if features.dtype == np.float16:
        features = features.astype(np.float32)
    elif features.dtype not in (np.float32, np.float64):
        features = features.astype(np.float64)
    return features


def require_same_columns(
    source: np.ndarray, name: str, other: np.ndarray, other_name: str
) -> None:
    """Raises a UserError unless both have the same number of columns."""
    if source.shape[1] != other.shape[1]:
        raise UserError(
            f"{other_name}: expected {source.shape[1]} columns as in {name}, "
            f"found {other.shape[1]}"
        )


def require_positive(value: Any, name: str) -> float:
    """Returns `value` as a float.

    Raises:
        UserError: it is no finite number above 0.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not (np.isfinite(number) and number > 0):
        raise UserError(f"{name}: expected a number above 0, found {value!r}")
    return number


def require_whole(value: Any, name: str, least: int) -> int:
    """Returns `value` as an int.

    Raises:
        UserError: it is no whole number of `least` or more.
    """
    whole = isinstance(value, numbers.Real) and float(value).is_integer()
    if not whole or isinstance(value, bool) or value < least:
        raise UserError(
            f"{name}: expected a whole number of at least {least}, found "
            f"{value!r}"
        )
    return int(value)


def draw_rows(
    size: int, number: int | None, seed: int, name: str = "num_centers"
) -> np.ndarray:
    """Returns int [number], rows of a sample drawn with `seed`, ascending.

    None draws all of them, and so does a number above `size`; `name` is the
    number's, for the message.

    Raises:
        UserError: the number is no whole number of 1 or more.
    """
    rows = np.arange(size)
    if number is None:
        return rows
    whole = isinstance(number, int | np.integer) and number is not True
    if not (whole and number >= 1):
        raise UserError(
            f"{name}: expected a whole number of at least 1, found {number!r}"
        )
    if number >= size:
        return rows
    rng = np.random.default_rng(seed)
    return np.sort(rng.choice(rows, int(number), replace=False))


def require_finite(block: np.ndarray, name: str, first_row: int) -> None:
    """Raises a UserError for an entry that is NaN, infinite or above 1e36.

    `block` [n, d] is of the argument `name`, from `first_row` on.
    """
    # No entry is far from 0 where the sum of squares is finite.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.vdot(block, block) < _LARGEST:
            return
    bad = ~(np.abs(block) < _LARGEST)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise UserError(
            f"{name}: expected finite numbers below {_LARGEST:g}, found "
            f"{block[row, column]} in row {first_row + row}, column {column}"
        )
