"""The study's page: a table a problem, and what kernels change."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kliep_tf.density_ratio.options import KERNELS
from kliep_tf.experiments.estimator_study.plan import FREE
from kliep_tf.experiments.reporting.pages import (
    Block,
    Bullets,
    Chart,
    Code,
    Paragraph,
    Section,
    Table,
)
from kliep_tf.experiments.reporting.statistics import compare, interval
from kliep_tf.experiments.reporting.templates import Texts

_say = Texts("estimators").say
# (title, path into a cell, digits); a measure of both directions is a pair.
_DISTANCES = tuple(
    (title, ("distance", key), 3)
    for title, key in (
        ("1, 1", "both"),
        ("1/2, 1/2", "half"),
        ("1, 0", "source"),
        ("0, 1", "target"),
        ("overlap", "overlap"),
    )
)
_RANK = ("rank correlation", ("rank_correlation",), 2)
_ERROR = ("error", ("error",), 2)
_ESS = ("ESS", ("ess",), 2)
_OVERLAP_ERROR = ("error of overlap weights", ("overlap_error",), 3)
_OF_GAUSSIANS = (_ERROR, _OVERLAP_ERROR, _RANK, _ESS)
_OF_KERNELS = (f"kliep, {FREE}", "kliep", "relative_kliep", "ulsif", "rulsif")

Column = tuple[str, tuple[str, ...], int]
Cells = Sequence[Mapping[str, Any]]


def make_sections(
    numbers: Mapping[str, Any], chart: Chart, command: str
) -> list[Section]:
    """Returns the page.

    Args:
        numbers: what estimators.json holds.
        chart: of the whole study.
        command: that made the page.
    """
    about: list[Block] = [Paragraph("Made by"), Code(command)]
    about += [Paragraph(_say("methods")), Bullets(_measures()), chart]
    sections = [Section("", about)]
    for problem in numbers["gaussians"]:
        sections.append(
            Section(
                f"Gaussians: {problem['title']}",
                [
                    Paragraph(_say("gaussians", problem["images"][0])),
                    _table(problem, _OF_GAUSSIANS),
                ],
            )
        )
    for problem in numbers["pairs"]:
        columns: tuple[Column, ...] = (*_DISTANCES, _ESS)
        if problem["true"] is not None:
            columns += (_RANK, _ERROR)
        sections.append(
            Section(
                f"Images: {problem['title']}",
                [
                    Paragraph(_say("pair", problem["images"])),
                    _table(problem, columns),
                ],
            )
        )
    return [*sections, *_kernels([*numbers["gaussians"], *numbers["pairs"]])]


def value_of(cell: Mapping[str, Any], path: Sequence[str]) -> float:
    """Returns a measure of a cell, the mean of both directions."""
    return float(np.mean(_at(cell, path)))


def _measures() -> list[str]:
    names = ("distance", "rank_correlation", "error", "ess", "seconds")
    return [_say(name) for name in names]


def _table(problem: Mapping[str, Any], columns: Sequence[Column]) -> Table:
    rows = []
    if problem.get("equal"):
        rows.append(["no weights", *_row([problem["equal"]], columns), ""])
    for name, cells in problem["methods"].items():
        least = min(cell["cpu_seconds"] for cell in cells)
        rows.append([name, *_row(cells, columns), f"{least:.2f}"])
    if problem["true"] is not None:
        true = problem["true"]
        true = true if isinstance(true, list) else [true]
        rows.append(["the true ratio", *_row(true, columns), ""])
    headers = ["method", *(title for title, *_ in columns), "CPU s"]
    return Table(headers, rows)


def _row(cells: Cells, columns: Sequence[Column]) -> list[str]:
    return [_shown(cells, path, digits) for _, path, digits in columns]


def _shown(cells: Cells, path: Sequence[str], digits: int) -> str:
    """Returns "w / psi" of a pair, "mean ± half width" of one number."""
    if isinstance(_at(cells[0], path), list):
        means = np.mean([_at(cell, path) for cell in cells], axis=0)
        if np.isnan(means).any():
            return ""  # of weights that are all equal
        return " / ".join(f"{mean:.{digits}f}" for mean in means)
    found = interval([_at(cell, path) for cell in cells])
    if not found.half_width >= 0.5 * 10.0**-digits:
        return f"{found.mean:.{digits}f}"
    return f"{found.mean:.{digits}f} ± {found.half_width:.{digits}f}"


def _at(cell: Any, path: Sequence[str]) -> Any:
    for key in path:
        cell = cell[key]
    return cell


def _kernels(problems: Sequence[Mapping[str, Any]]) -> list[Section]:
    """Returns what other kernels change, estimator by estimator."""
    rows = []
    for base in _OF_KERNELS:
        for problem in problems:
            methods = problem["methods"]
            others = [f"{base}, {kernel}" for kernel in KERNELS[1:]]
            if base not in methods or not set(others) & set(methods):
                continue
            rows.append(
                [
                    f"{base}: {problem['title']}",
                    f"{_mean(methods[base], _ESS[1]):.2f}",
                    *(_changes(methods, base, name) for name in others),
                ]
            )
    if not rows:
        return []
    headers = ["", f"ESS, {KERNELS[0]}", *KERNELS[1:]]
    table = Table(headers, rows, numbers=False)
    return [Section("Other kernels", [Paragraph(_say("kernels")), table])]


def _changes(methods: Mapping[str, Cells], base: str, name: str) -> str:
    """Returns the paired change of ESS, and of the other measure."""
    if name not in methods:
        return ""
    cells, others = methods[name], methods[base]
    known = "rank_correlation" in others[0]
    second = _RANK[1] if known else ("distance", "half")
    word = "rank" if known else "distance"
    return (
        f"{_change(cells, others, _ESS[1], 2)}; "
        f"{word} {_change(cells, others, second, 2 if known else 3)}"
    )


def _change(
    cells: Cells, others: Cells, path: Sequence[str], digits: int
) -> str:
    found = compare(
        [value_of(cell, path) for cell in cells],
        [value_of(cell, path) for cell in others],
    ).difference
    if not found.half_width >= 0.5 * 10.0**-digits:
        return f"{found.mean:+.{digits}f}"
    return f"{found.mean:+.{digits}f} ± {found.half_width:.{digits}f}"


def _mean(cells: Cells, path: Sequence[str]) -> float:
    return float(np.mean([value_of(cell, path) for cell in cells]))
