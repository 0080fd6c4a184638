"""JSON that others may have damaged: read and checked in one place.

What is wrong with a file is told in one line: the file, the place in it, what
was expected there and what was found.
"""

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from typing import Any, NoReturn

from kliep_tf.errors import DataError

# Deeper than any file of ours, and far from where Python's own functions end.
_MAX_DEPTH = 64
# Seeds are below 2**64. Larger numbers fit no array, and no float some.
_MAX_INTEGER = 2**64
_NAMES: dict[Any, str] = {
    dict: "an object",
    list: "a list",
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}
_SHOWN_CHARACTERS = 60


@dataclasses.dataclass(frozen=True)
class Maybe:
    """A part of a schema that may be missing or null."""

    schema: Any


def read_json(
    path: str | os.PathLike,
    expected: str,
    schema: Any = None,
    *,
    allow_nan: bool = False,
) -> Any:
    """Returns the value that a JSON file holds.

    Args:
        path: of the file.
        expected: what the file should be, for messages: "the record of a run".
        schema: what `require` takes; None for any value.
        allow_nan: whether NaN and Infinity, which are no JSON, may occur.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it holds something else.
    """
    with open(path, "rb") as file:
        raw = file.read()
    return parse_json(
        raw, os.fspath(path), expected, schema, allow_nan=allow_nan
    )


def parse_json(
    text: bytes | str,
    where: str,
    expected: str,
    schema: Any = None,
    *,
    allow_nan: bool = False,
) -> Any:
    """Returns the value that a text holds; see `read_json`.

    Args:
        text: JSON, in UTF-8 where it is bytes, with or without a byte order
            mark.
        where: its file, for messages.
        expected: what it should be, for messages.
        schema: what `require` takes.
        allow_nan: whether NaN and Infinity may occur.

    Raises:
        DataError: it is something else.
    """

    def number(digits: str) -> float:
        value = float(digits)
        if not (allow_nan or math.isfinite(value)):
            raise ValueError(f"found the number {_short(digits)}")
        return value

    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        value = json.loads(
            text,
            parse_float=number,
            parse_constant=number,
            parse_int=_integer,
            object_pairs_hook=_object,
        )
        _refuse_depth(value)
    except UnicodeDecodeError:
        raise _error(where, expected, "text that is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise _error(where, expected, f"no JSON ({error})") from None
    except RecursionError:
        raise _error(where, expected, "values nested too deeply") from None
    except ValueError as error:
        reason = str(error).removeprefix("found ")
        raise _error(where, expected, reason) from None
    try:
        require(value, schema)
    except ValueError as error:
        raise DataError(f"{where}: expected {expected}; {error}") from None
    return value


def require(value: Any, schema: Any, place: str = "") -> None:
    """Raises a ValueError, of one line, if a value is not as a schema says.

    Args:
        value: as `json.loads` returns it.
        schema: one of

            - None: anything;
            - a type, such as str; float takes whole numbers too;
            - [schema]: a list of such values;
            - {str: schema}: an object of such values, whatever its keys;
            - {"key": schema, ...}: an object with these keys, and others;
            - Maybe(schema): such a value, null, or a key that is missing.
        place: of the value, for the message.
    """
    if isinstance(schema, Maybe):
        if value is not None:
            require(value, schema.schema, place)
    elif isinstance(schema, dict):
        _require_object(value, schema, place)
    elif isinstance(schema, list):
        if not isinstance(value, list):
            _refuse(value, "a list", place)
        for number, item in enumerate(value):
            require(item, schema[0], f"{place}[{number}]")
    elif schema is not None and not _is_a(value, schema):
        _refuse(value, _NAMES[schema], place)


def _require_object(value: Any, schema: Mapping[Any, Any], place: str) -> None:
    if not isinstance(value, dict):
        _refuse(value, "an object", place)
    if str in schema:
        for key, item in value.items():
            require(item, schema[str], _inside(place, key))
        return
    for key, expected in schema.items():
        if key in value:
            require(value[key], expected, _inside(place, key))
        elif not isinstance(expected, Maybe):
            keys = _short(", ".join(value)) or "none"
            raise ValueError(
                f"{place or 'in it'}: expected the key {key}, found {keys}"
            )


def _is_a(value: Any, kind: type) -> bool:
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    return isinstance(value, (int, float) if kind is float else kind)


def _refuse(value: Any, expected: str, place: str) -> NoReturn:
    found = _NAMES.get(type(value), type(value).__name__)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        found = _short(repr(value))
    raise ValueError(f"{place or 'in it'}: expected {expected}, found {found}")


def _inside(place: str, key: str) -> str:
    return f"{place}.{_short(key)}" if place else _short(key)


def _error(where: str, expected: str, found: str) -> DataError:
    return DataError(f"{where}: expected {expected}, found {found}")


def _integer(digits: str) -> int:
    # Longer ones Python does not read.
    if len(digits) > 21 or not -_MAX_INTEGER < int(digits) < _MAX_INTEGER:
        raise ValueError(f"found the number {_short(digits)}")
    return int(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns the pairs as a dict; json itself drops all but the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"found the key {_short(repeated)!r} twice")
    return found


def _refuse_depth(value: Any) -> None:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [
            item
            for outer in level
            if isinstance(outer, dict | list)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise RecursionError


def _short(text: str) -> str:
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    return f"{text[:_SHOWN_CHARACTERS]}..."
