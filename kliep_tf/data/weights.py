"""Importance weights, keyed by filename: save, load, join.

Weights are joined to examples by filename and never by position. One npz file
a domain, readable by NumPy alone, and a CSV of the same for people:

    filenames [N] str, weights [N] float32, summary (JSON text),
    and under "model/" the arrays from which the ratio is evaluated on new
    images (centers, alpha, bandwidth, ...).
"""

import csv
import dataclasses
import functools
import io
import itertools
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kliep_tf import runs
from kliep_tf.data.npz_files import Array, read_npz
from kliep_tf.errors import DataError, UserError, one_line
from kliep_tf.json_files import Maybe, parse_json

DOMAINS = ("source", "target")
_MODEL = "model/"
_EXPECTED = "the weights that estimate_weights writes"
_SCHEMA = {
    "filenames": Array("text", "N"),
    "weights": Array("number", "N", finite=False),  # _check names the image
    "domain": Array("text", ""),
    "summary": Array("text", ""),
}
# What of the summary is computed with.
_SUMMARY = {
    "estimator": Maybe(str),
    "feature_names": Maybe([str]),
    "mean_ratio": Maybe(float),
    "mixture": Maybe(float),
}


@dataclasses.dataclass(frozen=True)
class ImportanceWeights:
    """The weights of one domain's images.

    Attributes:
        domain: "source" (w = p_target / p_source) or "target" (psi, its
            reverse).
        filenames: [N] str, unique.
        weights: [N] float32, not negative, mean 1.
        summary: figures for people: ess, bandwidth, duality_gap, ...
        model: arrays that evaluate the ratio on new images.
    """

    domain: str
    filenames: np.ndarray
    weights: np.ndarray
    summary: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    model: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def lookup(self, filenames: Sequence[str]) -> np.ndarray:
        """Returns float32 [len(filenames)], the weights of these images.

        Raises:
            UserError: an image has no weight; the message names the first.
        """
        try:
            rows = [self._rows[name] for name in filenames]
        except KeyError as error:
            raise UserError(
                f"{self.domain} weights: expected one for every example, found "
                f"none for {str(error.args[0])!r}"
            ) from None
        return self.weights[rows].astype(np.float32)

    @functools.cached_property
    def _rows(self) -> dict[str, int]:
        return {str(name): row for row, name in enumerate(self.filenames)}


def weights_path(directory: str | os.PathLike, domain: str) -> Path:
    """Returns the path of one domain's weights."""
    return Path(directory) / f"{domain}_weights.npz"


def has_weights(directory: str | os.PathLike) -> bool:
    """Whether both domains' weights are there."""
    return all(weights_path(directory, domain).exists() for domain in DOMAINS)


def save_weights(
    directory: str | os.PathLike, weights: ImportanceWeights
) -> None:
    """Writes one domain's npz and CSV files, atomically."""
    _check(weights, f"{weights.domain} weights")
    path = weights_path(directory, weights.domain)
    arrays: dict[str, Any] = {
        "filenames": np.asarray(weights.filenames, np.str_),
        "weights": np.asarray(weights.weights, np.float32),
        "domain": np.str_(weights.domain),
        "summary": np.str_(json.dumps(dict(weights.summary))),
        **{_MODEL + name: value for name, value in weights.model.items()},
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["filename", "weight"])
    rows = zip(weights.filenames, weights.weights, strict=True)
    writer.writerows((name, f"{weight:.9g}") for name, weight in rows)
    runs.write_atomically(path.with_suffix(".csv"), table.getvalue())
    runs.write_atomically(path, buffer.getvalue())


def load_weights(
    directory: str | os.PathLike, domain: str
) -> ImportanceWeights:
    """Returns one domain's weights.

    Raises:
        UserError: the file is missing, is of another kind or domain, or holds
            a weight that is negative or not finite.
    """
    path = weights_path(directory, domain)
    try:
        arrays = read_npz(path, _EXPECTED, _SCHEMA)
    except FileNotFoundError:
        raise UserError(
            f"{path}: expected {_EXPECTED}, found no file"
        ) from None
    weights = ImportanceWeights(
        domain=str(arrays["domain"]),
        filenames=arrays["filenames"],
        weights=arrays["weights"],
        summary=parse_json(
            str(arrays["summary"]),
            f"{path}, summary",
            "figures by name",
            _SUMMARY,
            allow_nan=True,
        ),
        model={
            name.removeprefix(_MODEL): value
            for name, value in arrays.items()
            if name.startswith(_MODEL)
        },
    )
    if weights.domain != domain:
        raise UserError(
            f"{path}: expected the weights of the {domain} domain, found those "
            f"of the {weights.domain}"
        )
    _check(weights, str(path))
    _check_table(weights, path.with_suffix(".csv"))
    return weights


def _check_table(weights: ImportanceWeights, path: Path) -> None:
    """Raises a UserError where the CSV says something else than the npz.

    The npz counts; whoever edits the other one must not believe otherwise.
    """
    if not path.exists():
        return
    text = path.read_text("utf-8-sig", errors="replace")
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    names = map(str, weights.filenames)
    expected = [
        [name, f"{weight:.9g}"]
        for name, weight in zip(names, weights.weights, strict=True)
    ]
    for row, wanted in itertools.zip_longest(rows[1:], expected):
        if row is None or wanted is None or not _same_row(row, wanted):
            raise UserError(
                f"{path}: expected the weights of the npz file beside it, "
                f"{_shown(wanted)}, found {_shown(row)}; the CSV is for "
                "people, and edits are not read: write the npz, or remove "
                "the CSV"
            )


def _shown(row: list[str] | None) -> str:
    # A quotation mark that was never closed makes a row of all the rest.
    return one_line(",".join(row or ["nothing more"]))


def _same_row(row: list[str], wanted: list[str]) -> bool:
    """Whether a row says the same; programs for tables round and pad."""
    if len(row) < 2 or row[0].strip() != wanted[0].strip():
        return False
    try:
        return math.isclose(float(row[1]), float(wanted[1]), rel_tol=1e-5)
    except ValueError:
        return False


def figure(weights: ImportanceWeights, name: str, default: float) -> float:
    """Returns a figure of the summary, the default in files too old for it."""
    value = weights.summary.get(name)
    return default if value is None else float(value)


def _check(weights: ImportanceWeights, where: str) -> None:
    values = np.asarray(weights.weights)
    names = np.asarray(weights.filenames)
    if len(values) != len(names) or not len(values):
        raise DataError(
            f"{where}: expected a weight a filename, found {len(values)} "
            f"weights and {len(names)} filenames"
        )
    bad = ~np.isfinite(values) | (values < 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"{where}: expected finite weights of 0 or more, found "
            f"{values[row]} for {str(names[row])!r}"
        )
    unique, counts = np.unique(names, return_counts=True)
    if (counts > 1).any():
        raise DataError(
            f"{where}: expected unique filenames, found "
            f"{str(unique[np.argmax(counts)])!r} {counts.max()} times"
        )
    total = float(np.sum(values, dtype=np.float64))
    mean_ratio = figure(weights, "mean_ratio", 1.0)
    mixture = figure(weights, "mixture", 0.0)
    for what, good, found in (
        ("a positive sum of weights", 0 < total < np.inf, total),
        ("a mean ratio above 0", 0 < mean_ratio < np.inf, mean_ratio),
        ("a mixture from 0 to 1", 0 <= mixture <= 1, mixture),
    ):
        if not good:
            raise DataError(f"{where}: expected {what}, found {found}")
