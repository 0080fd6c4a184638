"""Exceptions that are no bug: each is one line and an exit status.

docs/reliability.md has the table of statuses. 65, 70 and 74 are those of BSD's
sysexits.h.
"""

import re

USER_STATUS = 1
DATA_STATUS = 65
BUG_STATUS = 70
SYSTEM_STATUS = 74
INTERRUPTED_STATUS = 130  # 128 + SIGINT, as shells have it
TERMINATED_STATUS = 143  # 128 + SIGTERM

_SHOWN_CHARACTERS = 300
_BREAKS = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# What a path that was mistyped raises.
_MISTAKEN_PATHS = (
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
)


class UserError(ValueError):
    """A mistake that the user can mend, in an argument or a combination.

    Its message is one line: what, where, what was expected, what was found.
    Programs print it without a traceback and exit with `exit_status`.
    """

    exit_status = USER_STATUS

    def __init__(self, message: str):
        """Shows line breaks that a file's contents bring along as `\\n`."""
        super().__init__(
            _BREAKS.sub(lambda found: repr(found[0])[1:-1], message)
        )


class DataError(UserError):
    """Data that is damaged, or not what it was said to be."""

    exit_status = DATA_STATUS


class RefusedError(UserError):
    """What the system does not grant now, such as a directory in use."""

    exit_status = SYSTEM_STATUS


class Terminated(KeyboardInterrupt):
    """SIGTERM asks for an end, as Ctrl-C does: a machine is taken away."""


def reason_of(error: Exception) -> str:
    """Returns an error's first line, without TensorFlow's own notes.

    A longer one is cut: some libraries quote the whole of a damaged file.
    """
    lines = str(getattr(error, "message", error)).strip().splitlines()
    line = re.sub(r"\{\{.*?\}\} ?", "", (lines or [""])[0])
    line = re.sub(r" \[Op:\w+\].*", "", line) or type(error).__name__
    return one_line(line)


def one_line(text: str) -> str:
    """Returns text of a file for a message: one line, and not for ever."""
    shown = " ".join(text.split())
    if len(shown) <= _SHOWN_CHARACTERS:
        return shown
    return f"{shown[:_SHOWN_CHARACTERS]}..."


def describe_os_error(error: OSError) -> str:
    """Returns one line that names the file, where the error does."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


def status_of_os_error(error: OSError) -> int:
    """Returns the user's status for a mistaken path, else the system's."""
    mistaken = isinstance(error, _MISTAKEN_PATHS)
    return USER_STATUS if mistaken else SYSTEM_STATUS
