"""Which bandwidth: the best held-out score that keeps enough of the source.

Even with both samples split, a narrow width can win that leaves the weight on
few points; so the effective sample size has a floor (`min_ess`), and a warning
says when it decides.
"""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np

from kliep_tf.density_ratio import inputs
from kliep_tf.density_ratio.cross_validation import Centers, cross_validate
from kliep_tf.density_ratio.kliep_optimum import find_optimum
from kliep_tf.density_ratio.optimum import Optimum
from kliep_tf.density_ratio.options import Options
from kliep_tf.density_ratio.result import SelectionTable
from kliep_tf.density_ratio.samples import Samples, median_distance
from kliep_tf.errors import UserError

# Times the median distance between target points.
GRID = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.4, 2.0)
_WIDENING = 1.5
_MOST_WIDENINGS = 40


@dataclasses.dataclass(frozen=True)
class Selected:
    """The bandwidth, its optimum over all centers, and why."""

    bandwidth: float
    optimum: Optimum
    decided_by: str
    table: SelectionTable


def fit_given(
    samples: Samples,
    centers: Centers,
    bandwidth: float,
    options: Options,
) -> Selected:
    """Returns the optimum at a bandwidth that the caller has chosen."""
    found = find_optimum(samples, centers.points, bandwidth, options)
    if found.ess < options.min_ess:
        warnings.warn(
            f"bandwidth {bandwidth:.4g}: {found.ess * len(samples.source):.4g} "
            f"of the {len(samples.source)} weighted points are effective, less "
            f"than min_ess={options.min_ess:g}",
            stacklevel=3,
        )
    table = SelectionTable(
        bandwidths=np.array([bandwidth]),
        scores=np.array([np.nan]),
        ess=np.array([found.ess]),
        log_likelihoods=np.array([found.log_likelihood]),
    )
    return Selected(bandwidth, found, "given", table)


def select_bandwidth(
    samples: Samples,
    centers: Centers,
    bandwidths: Sequence[float] | None,
    options: Options,
) -> Selected:
    """Returns the best-scored bandwidth that keeps the ESS floor.

    The floor is applied to the final fit, over all centers: where it fails
    there the next wider candidate is fitted. Where no candidate of the default
    grid keeps it, the grid is continued upwards.

    Raises:
        UserError: fewer than two points in a sample; a candidate is not a
            finite number above 0.
    """
    widths = candidate_bandwidths(samples, bandwidths)
    table = cross_validate(samples, centers, widths, options)
    best = best_of(table.scores)
    # A width that fails on some of the centers is not tried on all.
    allowed = table.ess >= options.min_ess
    choice = len(widths) - 1
    if allowed.any():
        choice = best_of(np.where(allowed, table.scores, -np.inf))
    fits: dict[int, Optimum] = {}
    while True:
        fits[choice] = find_optimum(
            samples, centers.points, widths[choice], options
        )
        if fits[choice].ess >= options.min_ess:
            break
        if choice + 1 == len(widths):
            if bandwidths is not None or choice > len(GRID) + _MOST_WIDENINGS:
                choice = max(fits, key=lambda i: fits[i].ess)
                break
            widths = np.append(widths, _WIDENING * widths[-1])
        choice += 1
    table = _with_fits(table, widths, fits)
    kept = fits[choice].ess >= options.min_ess
    decided_by = "score" if choice == best and kept else "ess_floor"
    if decided_by == "ess_floor":
        _warn_of_floor(table, best, choice, samples, options)
    return Selected(float(widths[choice]), fits[choice], decided_by, table)


def best_of(scores: np.ndarray) -> int:
    """Returns the index of the highest score, the widest of equals."""
    scores = np.where(np.isnan(scores), -np.inf, scores)
    return len(scores) - 1 - int(np.argmax(scores[::-1]))


def candidate_bandwidths(
    samples: Samples, bandwidths: Sequence[float] | None
) -> np.ndarray:
    """Returns the candidates, narrowest first; None means the default grid.

    Raises:
        UserError: fewer than two points in a sample; a candidate is not a
            finite number above 0.
    """
    for sample, name in (
        (samples.source, "source"),
        (samples.target, "target"),
    ):
        if len(sample) < 2:
            raise UserError(
                f"{name}: expected at least 2 rows to select a bandwidth, "
                f"found {len(sample)}; give a bandwidth"
            )
    if bandwidths is None:
        median = median_distance(samples)
        return median * np.array(GRID)
    if np.ndim(bandwidths) != 1:
        raise UserError(
            f"bandwidths: expected a list of numbers, found {bandwidths!r}"
        )
    widths = [inputs.require_positive(w, "bandwidths") for w in bandwidths]
    if not widths:
        raise UserError("bandwidths: expected at least one, found none")
    return np.unique(widths)


def _with_fits(
    table: SelectionTable, widths: np.ndarray, tried: dict[int, Optimum]
) -> SelectionTable:
    """Returns the table with the final fits' own ESS and J."""
    added = len(widths) - len(table.bandwidths)
    unknown = np.full(added, np.nan)
    ess = np.append(table.ess, unknown)
    likelihoods = np.append(table.log_likelihoods, unknown)
    for i, fit in tried.items():
        ess[i], likelihoods[i] = fit.ess, fit.log_likelihood
    return SelectionTable(
        widths, np.append(table.scores, unknown), ess, likelihoods
    )


def _warn_of_floor(
    table: SelectionTable,
    best: int,
    choice: int,
    samples: Samples,
    options: Options,
) -> None:
    size = len(samples.source)
    warnings.warn(
        f"bandwidth: min_ess={options.min_ess:g} decided. The best score is at "
        f"{table.bandwidths[best]:.4g}, where {table.ess[best] * size:.4g} of "
        f"the {size} weighted points are effective; chose "
        f"{table.bandwidths[choice]:.4g}, where {table.ess[choice] * size:.4g} "
        "are",
        stacklevel=4,
    )
