"""How a program ends: what it says last, and its exit status.

What is no bug is one line on stderr, without a traceback; each kind has its
status (`kliep_tf.errors`). SIGTERM ends a program as Ctrl-C does.
"""

import signal
import sys
import threading
import traceback
import types
from collections.abc import Sequence
from typing import NoReturn

from kliep_tf import errors
from kliep_tf.errors import RefusedError, UserError

_CONTINUES = "; the same command again continues"


def hear_signals() -> list[KeyboardInterrupt]:
    """Turns Ctrl-C and the first SIGTERM into exceptions; a second one kills.

    Returns:
        What was raised so far, for `end`.
    """
    raised: list[KeyboardInterrupt] = []

    def interrupt(number: int, frame: types.FrameType | None) -> NoReturn:
        raised.append(KeyboardInterrupt())
        raise raised[-1]

    def terminate(number: int, frame: types.FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raised.append(errors.Terminated())
        raise raised[-1]

    if threading.current_thread() is threading.main_thread():
        # Whoever started the program may have them ignored.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, interrupt)
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, terminate)
    return raised


def end(error: BaseException, signals: Sequence[BaseException]) -> NoReturn:
    """Says why a program ends, in one line unless it is a bug, and ends it.

    Args:
        error: what reached the program's outermost frame.
        signals: what `hear_signals` had raised by then. C++ that had called
            Python back when a signal came may have made another exception of
            it. What the system refused while the program was ending is news.
    """
    if signals and not isinstance(error, RefusedError | OSError):
        error = signals[0]
    if isinstance(error, UserError):
        _end(str(error), error.exit_status)
    if isinstance(error, errors.Terminated):
        _end("terminated" + _CONTINUES, errors.TERMINATED_STATUS)
    if isinstance(error, KeyboardInterrupt):
        _end("interrupted" + _CONTINUES, errors.INTERRUPTED_STATUS)
    if isinstance(error, OSError):
        # A full disk or a missing permission is no bug of ours, and its
        # message already names the file.
        _end(errors.describe_os_error(error), errors.status_of_os_error(error))
    traceback.print_exception(error)
    sys.exit(errors.BUG_STATUS)


def _end(message: str, status: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr, flush=True)
    sys.exit(status)
