"""Reports: sections of text, tables and pictures, as Markdown or as HTML."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from kliep_tf import runs
from kliep_tf.experiments.reporting.templates import render


@dataclasses.dataclass(frozen=True)
class Paragraph:
    """A paragraph; `important` ones stand out."""

    kind: ClassVar[str] = "paragraph"
    text: str
    important: bool = False


@dataclasses.dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    kind: ClassVar[str] = "bullets"
    lines: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Table:
    """A table whose first column is text.

    Attributes:
        headers: of the columns.
        rows: cells by line.
        caption: below the table.
        numbers: whether the other columns are numbers, set to the right.
    """

    kind: ClassVar[str] = "table"
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    numbers: bool = True


@dataclasses.dataclass(frozen=True)
class Chart:
    """One PNG as wide as the page allows.

    Attributes:
        png: the picture.
        caption: below it.
        file: of the PNG beside the report, which Markdown shows; "" for a
            picture of the HTML page alone.
    """

    kind: ClassVar[str] = "chart"
    png: bytes
    caption: str
    file: str = ""


@dataclasses.dataclass(frozen=True)
class Pictures:
    """PNGs three in a row, each above its own few words."""

    kind: ClassVar[str] = "pictures"
    items: Sequence[tuple[str, bytes]]
    caption: str


@dataclasses.dataclass(frozen=True)
class Legend:
    """What colours mean: RGB by name, after a few words."""

    kind: ClassVar[str] = "legend"
    title: str
    colors: Mapping[str, tuple[int, int, int]]


@dataclasses.dataclass(frozen=True)
class Code:
    """Lines to be copied."""

    kind: ClassVar[str] = "code"
    text: str


Block = Paragraph | Bullets | Table | Chart | Pictures | Legend | Code


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading and what stands under it; "" for no heading."""

    title: str
    blocks: Sequence[Block]


def to_html(title: str, sections: Sequence[Section]) -> str:
    """Returns one page that needs nothing but itself."""
    return render("page.html", title=title, sections=sections)


def to_markdown(title: str, sections: Sequence[Section]) -> str:
    """Returns the same as Markdown.

    Of pictures without a file, only captions remain.
    """
    return render("page.md", title=title, sections=sections)


def write_report(
    directory: Path,
    name: str,
    title: str,
    sections: Sequence[Section],
    numbers: Mapping[str, Any],
    *,
    html: bool = False,
) -> Path:
    """Writes pictures, NAME.json, NAME.md and, where asked for, NAME.html.

    Args:
        directory: the claimed output directory.
        name: of the files.
        title: of the page.
        sections: in order.
        numbers: what NAME.json holds besides the versions.
        html: whether to write NAME.html too.

    Returns:
        The path of the page, which is written last.
    """
    for section in sections:
        for block in section.blocks:
            if isinstance(block, Chart) and block.file:
                runs.write_atomically(directory / block.file, block.png)
    everything = _finite({**numbers, "versions": runs.versions()})
    pages = {
        f"{name}.json": json.dumps(everything, indent=1) + "\n",
        f"{name}.md": to_markdown(title, sections),
    }
    if html:
        pages[f"{name}.html"] = to_html(title, sections)
    for file, text in pages.items():
        runs.write_atomically(directory / file, text)
    return directory / file


def _finite(value: Any) -> Any:
    """Returns the same with null for NaN and infinity, which are no JSON."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
