"""Bandwidths of the relative ratio, scored on held-out parts of both samples.

The score is the held-out J. It is a proper score of the probability that a
point is of the target, a r: a width that tells held-out points apart with too
much confidence loses, so nothing has to keep the weights from collapsing.

Scores of neighbouring widths often differ by less than chance makes them. Then
the widest is taken: the rule of one standard error (Breiman et al.,
"Classification and regression trees", 1984, section 3.4.3).
"""

import numpy as np

from kliep_tf.density_ratio import blocks
from kliep_tf.density_ratio.cross_validation import draw_points, folds_of
from kliep_tf.density_ratio.relative_columns import (
    Columns,
    Ratios,
    Weights,
    mixture_means,
)
from kliep_tf.density_ratio.relative_optimum import Basis, RelativeOptions
from kliep_tf.density_ratio.samples import Sample, Samples

# A comparison of widths needs neither all points nor all centers nor the last
# digits.
_MOST_POINTS = 2048  # of each sample
_MOST_CENTERS = 63  # of each sample
_TOLERANCE = 1e-3
_LOG_ERROR = 1e-3


def score_bandwidths(
    samples: Samples,
    basis: Basis,
    widths: np.ndarray,
    options: RelativeOptions,
) -> np.ndarray:
    """Returns float64 [k, folds], the held-out J of each width, in nats."""
    part = _Part(samples, basis, widths.min(), options)

    def score(i: int) -> list[float]:
        chosen = part
        if not options.kernel.serves_all_bandwidths:
            chosen = _Part(samples, basis, widths[i], options)
        return chosen.score(options.kernel.rate(samples.coordinates, widths[i]))

    return np.array(list(blocks.in_order(score, range(len(widths)))))


def widest_of_the_best(scores: np.ndarray) -> int:
    """Returns the last row that may be as good as the best one.

    Its scores [k, folds] are lower than the best row's by no more than one
    standard error of the difference, fold by fold.
    """
    lower = scores[np.argmax(scores.mean(axis=1))] - scores
    error = lower.std(axis=1, ddof=1) / np.sqrt(lower.shape[1])
    return int(np.flatnonzero(lower.mean(axis=1) <= error)[-1])


class _Part:
    """The points, centers and folds that widths are compared on."""

    def __init__(
        self,
        samples: Samples,
        basis: Basis,
        bandwidth: float,
        options: RelativeOptions,
    ):
        rng = np.random.default_rng(options.seed)
        self._options = options
        sizes = len(samples.source), len(samples.target)
        self._num_folds = min(options.num_folds, *sizes)
        target, target_rows, self._target_folds, target_centers = self._draw(
            samples.target, basis.target_rows, rng
        )
        source, source_rows, self._source_folds, source_centers = self._draw(
            samples.source, basis.source_rows, rng
        )
        some = Basis.of(
            samples.source.points,
            samples.target.points,
            target_rows,
            source_rows,
        )
        self._of_target = some.of_target
        self._center_folds = np.concatenate([target_centers, source_centers])
        kernel, coordinates = options.kernel, samples.coordinates
        dtype = kernel.dtype_for(coordinates, bandwidth, _LOG_ERROR)
        self._to_target, self._to_source = (
            kernel.exponents(
                sample, some.centers, coordinates, dtype, bandwidth
            ).as_one_block()
            for sample in (target, source)
        )

    def _draw(
        self, sample: Sample, center_rows: np.ndarray, rng: np.random.Generator
    ) -> tuple[Sample, np.ndarray, np.ndarray, np.ndarray]:
        """Returns points, the rows of centers, and the folds of both."""
        rows = draw_points(len(sample), _MOST_POINTS, rng)
        if len(center_rows) > _MOST_CENTERS:
            chosen = rng.choice(len(center_rows), _MOST_CENTERS, replace=False)
            center_rows = np.sort(center_rows[chosen])
        all_rows = np.union1d(rows, center_rows)
        folds = folds_of(sample.points[all_rows], self._num_folds, rng)
        return (
            sample.take(rows),
            center_rows,
            folds[np.searchsorted(all_rows, rows)],
            folds[np.searchsorted(all_rows, center_rows)],
        )

    def score(self, rate: float) -> list[float]:
        """Returns the held-out J of each fold."""
        means = self._log_means(rate)
        folds = range(self._num_folds)
        return [self._score_fold(fold, means, rate) for fold in folds]

    def _log_means(self, rate: float) -> np.ndarray:
        """Returns [folds, b], log means over the mixture without each fold."""
        held_out = np.arange(self._num_folds)[:, None]
        return mixture_means(
            self._to_target.log_means_of_parts(
                self._target_folds != held_out, rate
            ),
            self._to_source.log_means_of_parts(
                self._source_folds != held_out, rate
            ),
            self._options.mixture,
        )

    def _score_fold(self, fold: int, means: np.ndarray, rate: float) -> float:
        number = len(self._center_folds)
        log_means = np.full(self._to_target.width, np.inf)
        inside = self._center_folds != fold
        log_means[:number] = np.where(inside, means[fold, :number], np.inf)
        log_means[number] = 0.0
        of_target = np.ones(len(log_means), bool)
        of_target[:number] = self._of_target
        columns = Columns(
            to_target=self._to_target,
            to_source=self._to_source,
            log_means=log_means,
            of_target=of_target,
            constant=number,
            mixture=self._options.mixture,
            rate=rate,
        )
        weights = Weights.of(
            self._target_folds != fold,
            self._source_folds != fold,
            self._options.mixture,
        )
        found = columns.solve(
            weights, self._options.solver, _TOLERANCE, 2.0 * _TOLERANCE
        )
        return self._held_out(found, fold)

    def _held_out(self, found: Ratios, fold: int) -> float:
        """Returns J over the fold, of ratios that leave nothing impossible.

        By Laplace's rule: the least probability of either domain is one in as
        many points as were fitted, and two.
        """
        a = self._options.mixture
        seen = np.sum(self._target_folds != fold)
        seen += np.sum(self._source_folds != fold)
        least = 1.0 / (seen + 2.0)
        own = found.target[0, self._target_folds == fold]
        reverse = found.source[1, self._source_folds == fold]
        own = np.clip(a * own, least, 1.0 - least) / a
        reverse = np.clip((1.0 - a) * reverse, least, 1.0 - least) / (1.0 - a)
        score = a * np.mean(np.log(own)) + (1.0 - a) * np.mean(np.log(reverse))
        return float(score)
