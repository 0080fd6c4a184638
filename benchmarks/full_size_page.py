"""The estimate of the full-size tables as a page of Markdown."""

from typing import Any

from kliep_tf.experiments.reporting import pages

_ABOUT = """By `python benchmarks/full_size_estimate.py`: counted and assumed, \
not measured; no GPU was used.
Hours are of one GPU. What it all means stands in
[full_size.md](../full_size.md)."""
_TITLES = {
    "trainings": "A step of each training",
    "jobs": "One job of each kind",
    "rows": "A row, one seed",
    "tables": "Tables, all seeds",
    "other_assumptions": "All six tables under other assumptions",
    "disk": "Disk",
}


def to_markdown(found: dict[str, Any]) -> str:
    """Returns the page of what full_size_estimate.py prints."""
    assumed = pages.Paragraph(f"Assumed: {found['assumed']}.")
    sections = [
        pages.Section("", [pages.Paragraph(_ABOUT), assumed]),
        *(
            pages.Section(title, [_table(found[key])])
            for key, title in _TITLES.items()
        ),
    ]
    title = "Estimate of Tables I and III at full size"
    return pages.to_markdown(title, sections)


def _table(lines: list[dict[str, Any]]) -> pages.Table:
    header = list(lines[0])
    return pages.Table(
        header, [[_shown(line[key]) for key in header] for line in lines]
    )


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
