"""Reports in Markdown: tables, NAME.md with its figures, NAME.json."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kliep_tf import runs


@dataclasses.dataclass(frozen=True)
class Section:
    """One part of the report.

    Attributes:
        title: its heading.
        text: Markdown.
        figure: PNG below the text, or None.
        figure_name: what distinguishes its file, NAME_<figure_name>.png.
    """

    title: str
    text: str
    figure: bytes | None = None
    figure_name: str = ""


def write_report(
    directory: Path,
    name: str,
    title: str,
    sections: Sequence[Section],
    numbers: Mapping[str, Any],
) -> Path:
    """Writes the report, its figures first; returns its path.

    Args:
        directory: the claimed output directory.
        name: of the files.
        title: of the page.
        sections: in order.
        numbers: what NAME.json holds besides the versions.
    """
    parts = [f"# {title}"]
    for section in sections:
        parts.append(f"## {section.title}\n\n{section.text}")
        if section.figure is not None:
            file = f"{name}_{section.figure_name}.png"
            runs.write_atomically(directory / file, section.figure)
            parts.append(f"![{section.title}]({file})")
    everything = {**numbers, "versions": runs.versions()}
    text = json.dumps(_finite(everything), indent=1) + "\n"
    runs.write_atomically(directory / f"{name}.json", text)
    report = directory / f"{name}.md"
    runs.write_atomically(report, "\n\n".join(parts) + "\n")
    return report


def to_table(
    header: Sequence[str], lines: Sequence[Sequence[str]], rule: str = "---:"
) -> str:
    """Returns a Markdown table; the first column is for names.

    Args:
        header: of the columns.
        lines: cells by line.
        rule: below the header of every column but the first; by default they
            are set to the right, as numbers are.
    """
    rules = ["---", *[rule] * (len(header) - 1)]
    return "\n".join(
        # A bar in a user's name would begin another cell.
        "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        for cells in (header, rules, *lines)
    )


def _finite(value: Any) -> Any:
    """Returns the same with null for NaN and infinity, which are no JSON."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
