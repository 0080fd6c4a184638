"""Which bandwidth: cross-validation with both samples split, and a floor.

Keeping the source whole, as the usual likelihood cross-validation does, lets
the narrowest width win in more than a few dimensions. Here the held-out parts
of both samples are scored by the bound of Nguyen, Wainwright and Jordan (IEEE
Trans. Inf. Theory 56, 2010): mean log w(target) - mean w(source) + 1. Centers
from the held-out part of the target are left out of the fit.
"""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np

from kliep_tf.density_ratio import inputs, kernels, optimum
from kliep_tf.density_ratio.result import SelectionTable
from kliep_tf.errors import UserError

SCORES = ("nwj", "lcv")
# Times the median distance between target points.
GRID = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.4, 2.0)
# Cross-validation compares widths; it needs neither all points nor all
# centers nor the last digits.
_MOST_POINTS = 8192
_MOST_CENTERS = 127
_TOLERANCE = 1e-4
_LOG_ERROR = 1e-3
_WIDENING = 1.5
_MOST_WIDENINGS = 40


@dataclasses.dataclass(frozen=True)
class Options:
    """How widths are compared; see `fit_kliep`."""

    score: str
    num_folds: int
    min_ess: float
    constant_basis: bool
    solver: optimum.Solver
    seed: int

    def check(self) -> None:
        """Raises a UserError for a value out of range."""
        if self.score not in SCORES:
            raise UserError(
                f"selection: expected one of {', '.join(SCORES)}, found "
                f"{self.score!r}"
            )
        if int(self.num_folds) != self.num_folds or self.num_folds < 2:
            raise UserError(
                "num_folds: expected a whole number of at least 2, found "
                f"{self.num_folds!r}"
            )
        if not 0 <= self.min_ess < 1:
            raise UserError(
                f"min_ess: expected a fraction from 0 to below 1, found "
                f"{self.min_ess!r}"
            )


@dataclasses.dataclass(frozen=True)
class Centers:
    """Kernel centers.

    Attributes:
        points: [b, d].
        rows: [b] int, the target row of each, -1 where it is none.
    """

    points: np.ndarray
    rows: np.ndarray

    def some(self, size: int, rng: np.random.Generator) -> "Centers":
        """Returns at most `size` of them."""
        if len(self.points) <= size:
            return self
        chosen = np.sort(rng.choice(len(self.points), size, replace=False))
        return Centers(np.asarray(self.points[chosen]), self.rows[chosen])


@dataclasses.dataclass(frozen=True)
class Selected:
    """The bandwidth, its optimum over all centers, and why."""

    bandwidth: float
    optimum: optimum.Optimum
    decided_by: str
    table: SelectionTable


def fit_given(
    samples: optimum.Samples,
    centers: Centers,
    bandwidth: float,
    options: Options,
) -> Selected:
    """Returns the optimum at a bandwidth that the caller has chosen."""
    options.check()
    found = _fit(samples, centers, bandwidth, options)
    if found.ess < options.min_ess:
        warnings.warn(
            f"bandwidth {bandwidth:.4g}: {_effective(found, samples)}, less "
            f"than min_ess={options.min_ess:g} of them",
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
    samples: optimum.Samples,
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
            finite number above 0; an option is out of range.
    """
    options.check()
    widths = _candidates(samples, bandwidths)
    table = cross_validate(samples, centers, widths, options)
    scores = np.where(np.isnan(table.scores), -np.inf, table.scores)
    best = int(np.argmax(scores))
    # A width below the floor on part of the centers is not tried on all.
    allowed = table.ess >= options.min_ess
    tried: dict[int, optimum.Optimum] = {}
    choice = int(np.argmax(np.where(allowed, scores, -np.inf)))
    if not allowed.any():
        choice = len(widths) - 1
    while choice < len(widths):
        tried[choice] = _fit(samples, centers, widths[choice], options)
        if tried[choice].ess >= options.min_ess:
            break
        wider = list(range(choice + 1, len(widths)))
        if (
            not wider
            and bandwidths is None
            and (len(widths) < len(GRID) + _MOST_WIDENINGS)
        ):
            widths = np.append(widths, _WIDENING * widths[-1])
            wider = [len(widths) - 1]
        if not wider:
            choice = max(tried, key=lambda i: tried[i].ess)
            break
        choice = wider[0]
    found = tried[choice]
    table = _with_fits(table, widths, tried)
    if choice != best:
        _warn_of_floor(widths, best, choice, table, found, samples, options)
    decided_by = "score" if choice == best else "ess_floor"
    return Selected(float(widths[choice]), found, decided_by, table)


def cross_validate(
    samples: optimum.Samples,
    centers: Centers,
    widths: np.ndarray,
    options: Options,
) -> SelectionTable:
    """Returns score, ESS and J of each width, on at most 127 centers.

    All widths and folds share one set of squared distances.
    """
    rng = np.random.default_rng(options.seed)
    part = _Part.draw(samples, centers, widths, options, rng)
    scores, sizes, likelihoods = [], [], []
    for width in widths:
        inverse_width = samples.frame.inverse_width(width)
        log_source, log_target = part.fit(inverse_width, options, None)
        weights = np.exp(log_source - log_source.max())
        sizes.append(weights.sum() ** 2 / (weights**2).sum() / len(weights))
        likelihoods.append(log_target.mean())
        folds = range(part.num_folds)
        scores.append(
            np.mean([part.score(inverse_width, options, f) for f in folds])
        )
    return SelectionTable(
        widths, np.array(scores), np.array(sizes), np.array(likelihoods)
    )


@dataclasses.dataclass(frozen=True)
class _Part:
    """The points and centers that widths are compared on."""

    to_source: kernels.SquaredDistances
    to_target: kernels.SquaredDistances
    source_folds: np.ndarray  # [n_s]
    target_folds: np.ndarray  # [n_t]
    center_folds: np.ndarray  # [b], -1 for a center that is no target point
    num_folds: int

    @classmethod
    def draw(cls, samples, centers, widths, options, rng) -> "_Part":
        """Draws points, centers and folds."""
        source, target = samples.source, samples.target
        num_folds = min(options.num_folds, len(source), len(target))
        folds = rng.permutation(np.arange(len(target)) % num_folds)
        some = centers.some(_MOST_CENTERS, rng)
        center_folds = np.where(some.rows >= 0, folds[some.rows], -1)
        source_rows = _draw_rows(len(source), rng)
        target_rows = _draw_rows(len(target), rng)
        dtype = samples.frame.dtype_for(widths.min(), _LOG_ERROR)
        return cls(
            to_source=kernels.SquaredDistances(
                source[source_rows], some.points, samples.frame, dtype
            ),
            to_target=kernels.SquaredDistances(
                target[target_rows], some.points, samples.frame, dtype
            ),
            source_folds=rng.permutation(
                np.arange(len(source_rows)) % num_folds
            ),
            target_folds=folds[target_rows],
            center_folds=center_folds,
            num_folds=num_folds,
        )

    def fit(self, inverse_width, options, fold) -> tuple:
        """Returns log w over all source and target points here.

        Fitted without `fold`; None leaves nothing out.
        """
        inside = self.source_folds != fold
        if options.score == "lcv":
            inside[:] = True
        log_means = optimum.source_means(
            self.to_source,
            len(self.center_folds),
            inverse_width,
            options.constant_basis,
            _log_share(inside),
        )
        if fold is not None:
            held_out = np.flatnonzero(self.center_folds == fold)
            log_means[held_out] = np.inf
        columns = optimum.solve_columns(
            self.to_target,
            log_means,
            _log_share(self.target_folds != fold),
            inverse_width,
            options.solver,
            tolerance=_TOLERANCE,
            certify=False,
        )
        log_alpha = optimum.log_coefficients(columns.log_a, log_means)
        return (
            self.to_source.row_sums(log_alpha, inverse_width),
            self.to_target.row_sums(log_alpha, inverse_width),
        )

    def score(self, inverse_width, options, fold) -> float:
        """Returns the held-out score of one fold, in nats."""
        log_source, log_target = self.fit(inverse_width, options, fold)
        score = np.mean(log_target[self.target_folds == fold])
        if options.score == "nwj":
            held_out = log_source[self.source_folds == fold]
            with np.errstate(over="ignore"):
                score += 1.0 - np.mean(np.exp(held_out))
        return float(score)


def _draw_rows(size: int, rng) -> np.ndarray:
    if size <= _MOST_POINTS:
        return np.arange(size)
    return np.sort(rng.choice(size, _MOST_POINTS, replace=False))


def _log_share(inside: np.ndarray) -> np.ndarray:
    """Returns the log weights that share 1 among the points inside."""
    return np.where(inside, -np.log(inside.sum()), -np.inf)


def _candidates(samples, bandwidths) -> np.ndarray:
    for points, name in (
        (samples.source, "source"),
        (samples.target, "target"),
    ):
        if len(points) < 2:
            raise UserError(
                f"{name}: expected at least 2 rows to select a bandwidth, "
                f"found {len(points)}; give a bandwidth"
            )
    if bandwidths is None:
        median = kernels.median_distance(
            samples.source, samples.target, samples.frame
        )
        return median * np.array(GRID)
    widths = [inputs.require_positive(w, "bandwidths") for w in bandwidths]
    if not widths:
        raise UserError("bandwidths: expected at least one, found none")
    return np.unique(widths)


def _fit(samples, centers, bandwidth, options) -> optimum.Optimum:
    return optimum.find_optimum(
        samples,
        centers.points,
        bandwidth,
        solver=options.solver,
        constant_basis=options.constant_basis,
        rng=np.random.default_rng(options.seed),
    )


def _with_fits(table, widths, tried) -> SelectionTable:
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


def _warn_of_floor(widths, best, choice, table, found, samples, options):
    warnings.warn(
        f"bandwidth: the best score is at {widths[best]:.4g} with an effective "
        f"sample size of {100 * table.ess[best]:.2g} % of the source; chose "
        f"{widths[choice]:.4g} for min_ess={options.min_ess:g}: "
        f"{_effective(found, samples)}",
        stacklevel=4,
    )


def _effective(found: optimum.Optimum, samples: optimum.Samples) -> str:
    size = len(samples.source)
    return (
        f"an effective sample size of {found.ess * size:.3g} of {size} "
        "source points"
    )
