"""Scores of bandwidths on held-out data.

The usual likelihood cross-validation holds out the target alone; in more than a
few dimensions the narrowest width then wins. Here both samples are split, and
the held-out parts are scored by the bound of Nguyen, Wainwright and Jordan
(IEEE Trans. Inf. Theory 56, 2010): mean log w(target) - mean w(source) + 1.
Centers from the held-out part of the target are left out of the fit.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from kliep_tf.density_ratio import blocks, optimum
from kliep_tf.density_ratio.exponents import Exponents
from kliep_tf.density_ratio.options import Options
from kliep_tf.density_ratio.result import SelectionTable
from kliep_tf.density_ratio.samples import Samples

# A comparison of widths needs neither all points nor all centers nor the
# last digits.
_MOST_POINTS = 4096
_MOST_CENTERS = 127
_TOLERANCE = 1e-3
_LOG_ERROR = 1e-3


@dataclasses.dataclass(frozen=True)
class Centers:
    """Kernel centers.

    Attributes:
        points: [b, d].
        rows: [b] int, the target row of each; None where this is not known.
    """

    points: np.ndarray
    rows: np.ndarray | None

    def some(self, size: int, rng: np.random.Generator) -> "Centers":
        """Returns at most `size` of them."""
        if len(self.points) <= size:
            return self
        chosen = np.sort(rng.choice(len(self.points), size, replace=False))
        rows = None if self.rows is None else self.rows[chosen]
        return Centers(np.asarray(self.points[chosen]), rows)

    def rows_in(self, target: np.ndarray) -> np.ndarray:
        """Returns int [b], the target row of each, -1 where it is none."""
        if self.rows is not None:
            return self.rows
        of_row = {hash(row.tobytes()): i for i, row in enumerate(target)}
        points = self.points.astype(target.dtype)
        return np.array([of_row.get(hash(row.tobytes()), -1) for row in points])


def cross_validate(
    samples: Samples,
    centers: Centers,
    widths: np.ndarray,
    options: Options,
) -> SelectionTable:
    """Returns score, ESS and J of each width, on at most 127 centers.

    All folds share one set of exponents, and all widths too where the kernel
    allows it.
    """
    kernel = options.kernel
    shared = None
    if kernel.serves_all_bandwidths:
        shared = _Part.draw(samples, centers, widths.min(), options)

    def row(i: int) -> tuple[float, float, float]:
        part = shared or _Part.draw(samples, centers, widths[i], options)
        return part.row(kernel.rate(samples.coordinates, widths[i]), options)

    rows = list(blocks.in_order(row, range(len(widths))))
    return SelectionTable(widths, *np.array(rows).T)


@dataclasses.dataclass(frozen=True)
class _Part:
    """The points and centers that widths are compared on."""

    to_source: Exponents
    to_target: Exponents
    source_folds: np.ndarray  # [n_s]
    target_folds: np.ndarray  # [n_t]
    center_folds: np.ndarray  # [b], -1 for a center that is no target point
    num_folds: int

    @classmethod
    def draw(
        cls,
        samples: Samples,
        centers: Centers,
        bandwidth: float,
        options: Options,
    ) -> "_Part":
        """Draws points, centers and folds: the same at every bandwidth.

        Exponents of narrower kernels than `bandwidth` may need more precision.
        """
        rng = np.random.default_rng(options.seed)
        source, target = samples.source, samples.target.points
        num_folds = min(options.num_folds, len(source), len(target))
        some = centers.some(_MOST_CENTERS, rng)
        some_source = source.take(draw_points(len(source), _MOST_POINTS, rng))
        target_rows = draw_points(len(target), _MOST_POINTS, rng)
        some_target = samples.target.take(target_rows)
        # Centers that are target points can be held out with their fold.
        center_rows = some.rows_in(target)
        rows = np.union1d(target_rows, center_rows[center_rows >= 0])
        folds = folds_of(target[rows], num_folds, rng)
        center_folds = folds[np.searchsorted(rows, center_rows) % len(rows)]
        center_folds = np.where(center_rows >= 0, center_folds, -1)
        kernel, coordinates = options.kernel, samples.coordinates
        dtype = kernel.dtype_for(coordinates, bandwidth, _LOG_ERROR)
        to_source, to_target = (
            kernel.exponents(
                sample, some.points, coordinates, dtype, bandwidth
            ).as_one_block()
            for sample in (some_source, some_target)
        )
        return cls(
            to_source=to_source,
            to_target=to_target,
            source_folds=folds_of(some_source.points, num_folds, rng),
            target_folds=folds[np.searchsorted(rows, target_rows)],
            center_folds=center_folds,
            num_folds=num_folds,
        )

    def row(
        self, inverse_width: float, options: Options
    ) -> tuple[float, float, float]:
        """Returns the score, ESS and J of one width."""
        *log_means, log_means_of_all = self._log_means(inverse_width, options)
        whole = self._fit(inverse_width, options, log_means_of_all)
        ess = optimum.effective_share(whole.log_source)
        scores = []
        for fold, log_means_of_rest in enumerate(log_means):
            fit = self._fit(
                inverse_width, options, log_means_of_rest, fold, whole.a
            )
            scores.append(self._score(fit, fold, options))
        return float(np.mean(scores)), ess, float(whole.log_target.mean())

    def _score(self, fit: "_Fit", fold: int, options: Options) -> float:
        """Returns the held-out score of one fold, in nats."""
        score = np.mean(fit.log_target[self.target_folds == fold])
        if options.selection == "nwj":
            held_out = fit.log_source[self.source_folds == fold]
            with np.errstate(over="ignore"):
                score += 1.0 - np.mean(np.exp(held_out))
        return float(score)

    def _fit(
        self,
        inverse_width: float,
        options: Options,
        log_means: np.ndarray,
        fold: int | None = None,
        start: np.ndarray | None = None,
    ) -> "_Fit":
        """Returns the fit without `fold`; None leaves nothing out.

        `start` are the coefficients of such a fit.
        """
        columns = optimum.solve_columns(
            self.to_target,
            log_means,
            _log_share(self.target_folds != fold),
            inverse_width,
            options.solver,
            tolerance=_TOLERANCE,
            screen=start is not None,
            start=start,
        )
        log_alpha = optimum.log_coefficients(columns.log_a, log_means)
        log_target = columns.log_ratio
        if not np.isfinite(log_target).all():
            log_target = self.to_target.log_sums_over_centers(
                log_alpha, inverse_width
            )
        log_source = self.to_source.log_sums_over_centers(
            log_alpha, inverse_width
        )
        return _Fit(np.exp(columns.log_a), log_source, log_target)

    def _log_means(self, inverse_width: float, options: Options) -> np.ndarray:
        """Returns [folds + 1, width], the columns' log source means.

        Of the source without each fold, and of all of it; +inf for centers
        that are held out, and for columns that are not there.
        """
        folds = np.arange(self.num_folds + 1)
        inside = self.source_folds != folds[:, None]
        if options.selection == "lcv":
            inside[:] = True
        log_means = optimum.with_constant(
            self.to_source.log_means_of_parts(inside, inverse_width),
            len(self.center_folds),
            options.constant_basis,
        )
        for means, fold in zip(log_means, folds, strict=True):
            held_out = np.flatnonzero(self.center_folds == fold)
            if np.isfinite(np.delete(means, held_out)).any():
                means[held_out] = np.inf
        return log_means


class _Fit(NamedTuple):
    """One fit and what it says of every point drawn, held out or not."""

    a: np.ndarray  # [width], on the simplex
    log_source: np.ndarray  # [n_s], log w
    log_target: np.ndarray  # [n_t], log w


def folds_of(
    points: np.ndarray, num_folds: int, rng: np.random.Generator
) -> np.ndarray:
    """Returns int [N], the fold of each point; equal points share one."""
    keys: dict[int, int] = {}
    groups = np.array(
        [keys.setdefault(hash(row.tobytes()), len(keys)) for row in points]
    )
    if len(keys) < num_folds:
        groups = np.arange(len(points))
    folds = rng.permutation(np.arange(groups.max() + 1) % num_folds)
    return folds[groups]


def draw_points(size: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """Returns the rows of all points, or of `most` that are drawn."""
    if size <= most:
        return np.arange(size)
    return np.sort(rng.choice(size, most, replace=False))


def _log_share(inside: np.ndarray) -> np.ndarray:
    """Returns the log weights that share 1 among the points inside."""
    return np.where(inside, -np.log(inside.sum()), -np.inf)
