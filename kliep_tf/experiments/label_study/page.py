"""The page of the study of target labels, and its plot."""

from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from kliep_tf.experiments.reporting.pages import (
    Block,
    Bullets,
    Chart,
    Code,
    Paragraph,
    Section,
    Table,
)
from kliep_tf.experiments.reporting.plots import to_png
from kliep_tf.experiments.reporting.templates import Texts, percent

_say = Texts("target_labels").say
_TRUSTED = "the same, in spite of doubt"
_COLUMNS = {
    "both": "1, 1",
    "half": "1/2, 1/2",
    "source": "1, 0",
    "target": "0, 1",
    "overlap": "overlap",
}
_COLORS = ("#4477aa", "#cc6677", "#117733", "#ddcc77", "#882255")


def make_sections(
    numbers: Mapping[str, Any], chart: Chart, command: str
) -> list[Section]:
    """Returns the page.

    Args:
        numbers: what target_labels.json holds.
        chart: of `draw`.
        command: that made the page.
    """
    about: list[Block] = [
        Paragraph("Made by"),
        Code(command),
        Paragraph(_say("images", numbers["images"])),
        Bullets([_say("distance"), _say("ess"), _say("doubt")]),
    ]
    return [
        Section("", [*about, chart]),
        Section("The rows", [_table(numbers)]),
        Section("Signs of doubt", [Paragraph(_say("signs")), _signs(numbers)]),
    ]


def draw(numbers: Mapping[str, Any]) -> bytes:
    """Returns a PNG: total variation by the number of labelled images."""
    named = [("no weights", numbers["equal"])]
    for row in numbers["rows"]:
        named.append((row["title"], row))
        if row["trusted"]:
            named.append((_TRUSTED, row["trusted"]))
    with matplotlib.rc_context({"font.size": 9, "axes.grid": True}):
        figure = Figure(
            figsize=(10, 1 + 0.45 * len(named)), layout="constrained"
        )
        axes = figure.subplots()
        for (key, title), color in zip(_COLUMNS.items(), _COLORS, strict=True):
            values = [found["distance"][key] for _, found in named]
            axes.plot(values, range(len(named)), "o", color=color, label=title)
        axes.axvline(
            numbers["equal"]["distance"]["both"], color="black", linewidth=1
        )
        axes.set_yticks(range(len(named)), [title for title, _ in named])
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_xlabel("total variation of the domains' mean class shares")
        axes.set_ylabel("target images with labels")
        axes.legend(
            title="weights", loc="upper left", bbox_to_anchor=(1.01, 1.0)
        )
        return to_png(figure, dpi=90)


def _table(numbers: Mapping[str, Any]) -> Table:
    rows = [["no weights", *_cells(numbers["equal"]), ""]]
    for row in numbers["rows"]:
        doubt = ""
        if row["signs"]:
            raised = any(map(_raised, row["signs"]))
            doubt = "yes" if raised else "no"
            if row["equal_because"]:
                doubt = "yes: weights of 1"
        rows.append([row["title"], *_cells(row), doubt])
        if row["trusted"]:
            rows.append([_TRUSTED, *_cells(row["trusted"]), "put aside"])
    headers = ["target labels", *_COLUMNS.values(), "ESS"]
    if "rank_correlation" in numbers["equal"]:
        headers.append("rank correlation")
    return Table([*headers, "in doubt"], rows)


def _cells(found: Mapping[str, Any]) -> list[str]:
    cells = [f"{found['distance'][key]:.3f}" for key in _COLUMNS]
    cells.append(" / ".join(percent(share, 0) for share in found["ess"]))
    if "rank_correlation" in found:
        values = found["rank_correlation"]
        # Weights that are all equal have no order.
        known = all(value is not None and value == value for value in values)
        shown = " / ".join(f"{value:.2f}" for value in values if known)
        cells.append(shown)
    return cells


def _signs(numbers: Mapping[str, Any]) -> Table:
    rows = []
    for row in numbers["rows"]:
        # The same segmenter shows the same signs.
        for sign in [] if row["segmenter_of"] else row["signs"]:
            limit = sign["limit"]
            rows.append(
                [
                    row["title"],
                    sign["name"],
                    percent(sign["source"]),
                    percent(sign["target"]),
                    "" if limit is None else percent(limit, 0),
                ]
            )
    return Table(
        ["target labels", "sign", "trained on", "asked about", "limit"], rows
    )


def _raised(sign: Mapping[str, Any]) -> bool:
    return sign["limit"] is not None and sign["target"] > sign["limit"]
