"""Sections of text, tables and pictures become one HTML page, or Markdown.

The page needs nothing but itself: pictures are embedded, there is no script.
"""

import base64
import dataclasses
import html
import re
from collections.abc import Sequence

_STYLE = """
:root { color-scheme: light dark; --text: #1c1e21; --page: #ffffff;
  --soft: #5b6169; --line: #d8dce1; --band: #f5f6f8; --mark: #0b57a4; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e8eb;
  --page: #16181b; --soft: #a2a9b2; --line: #383d44; --band: #1f2226;
  --mark: #7db7f5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 2rem 1.25rem 4rem;
  background: var(--page); color: var(--text);
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
h1 { font-size: 1.8rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.3rem; margin: 2.75rem 0 .75rem; padding-top: .75rem;
  border-top: 1px solid var(--line); }
p, ul { max-width: 78ch; }
.lead { border-left: 4px solid var(--mark); padding: .1rem 0 .1rem 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0;
  font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .8rem; border-bottom: 1px solid var(--line);
  text-align: right; vertical-align: bottom; }
th { font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
tbody tr:nth-child(even) { background: var(--band); }
caption { caption-side: bottom; text-align: left; color: var(--soft);
  font-size: .9rem; padding-top: .4rem; }
figure { margin: 1.75rem 0; }
figcaption { color: var(--soft); font-size: .9rem; }
img { max-width: 100%; height: auto; display: block; }
img.chart { background: #ffffff; border-radius: 4px; }
.grid { display: grid; gap: .6rem; margin: .4rem 0 .3rem;
  grid-template-columns: repeat(3, minmax(0, 1fr)); }
.grid img { width: 100%; image-rendering: pixelated; }
.grid div { font-size: .85rem; color: var(--soft); }
.swatch { display: inline-block; width: .9em; height: .9em;
  margin: 0 .35em 0 1em; border-radius: 2px; vertical-align: -.1em; }
.entry { white-space: nowrap; }
.legend { max-width: none; font-size: .9rem; margin: .4rem 0; }
pre { background: var(--band); border: 1px solid var(--line);
  border-radius: 4px; padding: .8rem; overflow-x: auto; font-size: .82rem;
  line-height: 1.5; }
"""


@dataclasses.dataclass(frozen=True)
class Paragraph:
    """A paragraph; `important` ones stand out."""

    text: str
    important: bool = False


@dataclasses.dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    lines: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Table:
    """A table whose first column is text and whose others are numbers."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclasses.dataclass(frozen=True)
class Chart:
    """One PNG as wide as the page allows."""

    png: bytes
    caption: str


@dataclasses.dataclass(frozen=True)
class Pictures:
    """PNGs three in a row, each under its own few words."""

    items: Sequence[tuple[str, bytes]]
    caption: str


@dataclasses.dataclass(frozen=True)
class Legend:
    """What colours mean: RGB by name, after a few words."""

    title: str
    colors: dict[str, tuple[int, int, int]]


@dataclasses.dataclass(frozen=True)
class Code:
    """Lines to be copied."""

    text: str


Block = Paragraph | Bullets | Table | Chart | Pictures | Legend | Code


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block]


def to_html(title: str, sections: Sequence[Section]) -> str:
    """Returns the whole page; the first section goes without a heading."""
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{html.escape(title)}</title>",
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{html.escape(title)}</h1>",
    ]
    for number, section in enumerate(sections):
        if number:
            parts.append(f"<h2>{html.escape(section.title)}</h2>")
        parts.extend(_block_html(block) for block in section.blocks)
    return "\n".join([*parts, "</body></html>", ""])


def to_markdown(title: str, sections: Sequence[Section]) -> str:
    """Returns the same without the pictures, of which only captions remain."""
    parts = [f"# {title}"]
    for number, section in enumerate(sections):
        if number:
            parts.append(f"## {section.title}")
        parts.extend(filter(None, map(_block_markdown, section.blocks)))
    return "\n\n".join(parts) + "\n"


def _block_html(block: Block) -> str:
    match block:
        case Paragraph(text, important):
            style = ' class="lead"' if important else ""
            return f"<p{style}>{html.escape(text)}</p>"
        case Bullets(lines):
            items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
            return f"<ul>{items}</ul>"
        case Table():
            return _table_html(block)
        case Chart(png, caption):
            return _figure(_image(png, caption, "chart"), caption)
        case Pictures(items, caption):
            cells = "".join(
                f"<div>{_image(png, words)}{html.escape(words)}</div>"
                for words, png in items
            )
            grid = f'<div class="grid">{cells}</div>'
            return _figure(grid, caption, caption_first=True)
        case Legend(title, colors):
            entries = "".join(
                '<span class="entry"><span class="swatch" '
                f'style="background:rgb{color}"></span>'
                f"{html.escape(name)}</span> "
                for name, color in colors.items()
            )
            return f'<p class="legend">{html.escape(title)}:{entries}</p>'
        case Code(text):
            return f"<pre>{html.escape(text)}</pre>"


def _table_html(table: Table) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in table.headers)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>"
        for row in table.rows
    )
    caption = ""
    if table.caption:
        caption = f"<caption>{html.escape(table.caption)}</caption>"
    return (
        f'<div class="scroll"><table>{caption}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _figure(content: str, caption: str, *, caption_first: bool = False) -> str:
    words = f"<figcaption>{html.escape(caption)}</figcaption>"
    parts = (words, content) if caption_first else (content, words)
    return f"<figure>{''.join(parts)}</figure>"


def _image(png: bytes, words: str, style: str = "") -> str:
    data = base64.b64encode(png).decode()
    style = f' class="{style}"' if style else ""
    return (
        f'<img{style} alt="{html.escape(words)}" '
        f'src="data:image/png;base64,{data}">'
    )


def _block_markdown(block: Block) -> str:
    match block:
        case Paragraph(text, important):
            return f"**{text}**" if important else text
        case Bullets(lines):
            return "\n".join(f"- {line}" for line in lines)
        case Table():
            return _table_markdown(block)
        case Chart(_, caption) | Pictures(_, caption):
            return f"(Picture in the HTML report: {caption})"
        case Legend():
            return ""
        case Code(text):
            return f"```\n{text}\n```"


def _table_markdown(table: Table) -> str:
    lines = [
        _row(table.headers),
        "|---|" + "---:|" * (len(table.headers) - 1),
        *map(_row, table.rows),
    ]
    return "\n".join(lines + (["", table.caption] if table.caption else []))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(re.sub(r"\|", r"\\|", c) for c in cells) + " |"
