"""Flagfiles: one --flag=value a line, comments, other flagfiles.

absl reads them too, but lets the later of two flags win, takes a byte order
mark for an argument and ends in a traceback over other encodings.
"""

import os
from collections.abc import Iterator, Sequence

from kliep_tf.errors import UserError

_NAMES = ("--flagfile", "-flagfile")
_COMMENTS = ("#", "//")


def expand(argv: Sequence[str]) -> list[str]:
    """Returns a command line with flagfiles replaced by what they hold.

    Their flags come first, so that those of the command line, which come
    later, win wherever they stand.

    Raises:
        UserError: a flagfile is missing, no text in UTF-8, holds something
            else than flags, or names itself.
    """
    from_files: list[str] = []
    others: list[str] = []
    words = iter(argv[1:])
    for word in words:
        name, equals, path = word.partition("=")
        if name in _NAMES:
            from_files += _read(path if equals else next(words, ""), ())
        else:
            others.append(word)
    return [*argv[:1], *from_files, *others]


def _read(path: str, above: tuple[str, ...]) -> Iterator[str]:
    """Yields the flags of a file and of those it names, in their order."""
    path = os.path.expanduser(path.strip())
    if os.path.realpath(path) in above:
        raise UserError(
            f"{path}: expected flagfiles that end, found one that names itself"
        )
    above = (*above, os.path.realpath(path))
    for number, line in enumerate(_text(path).splitlines(), start=1):
        line = line.strip()
        name, _, value = line.partition("=")
        if name in _NAMES:
            yield from _read(value, above)
        elif line and not line.startswith(_COMMENTS):
            if not line.startswith("-"):
                raise UserError(
                    f"{path}, line {number}: expected --flag=value, found "
                    f"{line!r}"
                )
            yield line


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except OSError as error:
        raise UserError(
            f"--flagfile={path}: expected a file, found: {error.strerror}"
        ) from error
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UserError(
            f"{path}: expected text in UTF-8, found another encoding"
        )
    return text
