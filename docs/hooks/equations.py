"""Draws the equations of the pages as SVG while the site is built.

MkDocs calls `on_page_content`. matplotlib, which the reports need anyway, reads
the TeX: the site needs no script and no font for it.
"""

import html
import re

from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath

# The elements that pymdownx.arithmatex writes with `generic: true`.
_EQUATION = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<tex>.*?)\\[)\]]</\1>',
    re.DOTALL,
)
_FONT = FontProperties(math_fontfamily="cm")
# Computer Modern is smaller than the text around it.
_SIZE = 1.1
_COMMANDS = {
    Path.MOVETO: "M",
    Path.LINETO: "L",
    Path.CURVE3: "Q",
    Path.CURVE4: "C",
    Path.CLOSEPOLY: "Z",
}


def on_page_content(content: str, **_) -> str:
    """Returns a page's HTML with its equations drawn."""
    return _EQUATION.sub(_draw, content)


def _draw(match: re.Match) -> str:
    tex = " ".join(html.unescape(match["tex"]).split())
    # 100 units to the em, upwards; SVG's y axis points down.
    path = TextPath((0, 0), f"${tex}$", size=100, prop=_FONT)
    box = path.get_extents()
    unit = _SIZE / 100
    svg = (
        f'<svg viewBox="{box.x0:.1f} {-box.y1:.1f} {box.width:.1f} '
        f'{box.height:.1f}" style="width:{box.width * unit:.3f}em;'
        f"height:{box.height * unit:.3f}em;max-width:100%;"
        f'vertical-align:{box.y0 * unit:.3f}em" role="img" '
        f'aria-label="{html.escape(tex)}">'
        f'<path d="{_path_data(path)}" fill="currentColor"/></svg>'
    )
    if match["tag"] == "div":
        return f'<div style="margin:1.2em 0 1.2em 2em">{svg}</div>'
    return svg


def _path_data(path: Path) -> str:
    words = []
    for points, code in path.iter_segments():
        words.append(_COMMANDS[code])
        if code != Path.CLOSEPOLY:
            words.extend(f"{x:.1f} {-y:.1f}" for x, y in points.reshape(-1, 2))
    return " ".join(words)
