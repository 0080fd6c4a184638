"""The estimate of the full-size tables as a page of Markdown."""

from kliep_tf.experiments.reporting.markdown import to_table

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


def to_markdown(found: dict) -> str:
    """Returns the page of what full_size_estimate.py prints."""
    parts = ["# Estimate of Tables I and III at full size", _ABOUT]
    parts.append(f"Assumed: {found['assumed']}.")
    for key, title in _TITLES.items():
        parts.append(f"## {title}\n\n{_table(found[key])}")
    return "\n\n".join(parts) + "\n"


def _table(lines: list[dict]) -> str:
    header = list(lines[0])
    cells = [[_shown(line[key]) for key in header] for line in lines]
    return to_table(header, cells)


def _shown(value) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
