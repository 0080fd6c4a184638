"""The templates of the reports: pages in HTML and Markdown, and their prose."""

import base64
import functools
import math
from collections.abc import Sequence
from typing import Any

import jinja2

_PACKAGE = "kliep_tf.experiments.reporting"


def percent(value: float | None, digits: int = 1) -> str:
    """Returns a share as text, such as "91.2 %"; "undefined" for None."""
    return "undefined" if value is None else f"{100 * value:.{digits}f} %"


def render(template: str, **values: Any) -> str:
    """Returns a page; in HTML, every value is escaped.

    Args:
        template: a file of templates/.
        values: what it names.
    """
    page = _environment().get_template(template).render(**values)
    return page.lstrip("\n")


class Texts:
    """The prose of one report: a template of macros, a paragraph each."""

    def __init__(self, report: str):
        """Reads templates/REPORT.txt."""
        self._macros = _environment().get_template(f"{report}.txt").module

    def say(self, paragraph: str, *values: Any, **named: Any) -> str:
        """Returns a paragraph as one line of plain text.

        Args:
            paragraph: the name of its macro.
            values: the macro's arguments.
            named: more of them, by name.
        """
        macro = getattr(self._macros, paragraph)
        return " ".join(macro(*values, **named).split())


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(_PACKAGE),
        autoescape=jinja2.select_autoescape(
            ("html",), default=False, default_for_string=False
        ),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "cell": _cell,
        "data_uri": _data_uri,
        "listed": _listed,
        "percent": percent,
        "points": _points,
    }
    return environment


def _cell(text: str) -> str:
    """A bar in a user's name would begin another cell of Markdown."""
    return text.replace("|", "\\|")


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _listed(names: Sequence[str]) -> str:
    """Returns "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _points(share: float) -> str:
    """Returns the size of a difference, such as "3.2"."""
    return f"{100 * math.fabs(share):.1f}"
