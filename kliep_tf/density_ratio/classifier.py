"""The ratio from a classifier's odds, and from mean class shares.

What people use instead of a density-ratio estimator, for comparison.
"""

import dataclasses
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kliep_tf.density_ratio.inputs import as_features, require_same_columns
from kliep_tf.errors import UserError

_STRENGTHS = tuple(10.0**power for power in range(-4, 3))
_FOLDS = 5
_LARGEST_LOG = 600.0
_SHARE_ERROR = 1e-3


@dataclasses.dataclass(frozen=True)
class LinearLogRatio:
    """log(p_target / p_source) = x . coefficients + intercept.

    Attributes:
        coefficients: [d] float64.
        intercept: float.
    """

    coefficients: np.ndarray
    intercept: float

    def ratio(self, x: np.ndarray) -> np.ndarray:
        """Returns float64 [N] at `x` [N, d]."""
        logs = np.asarray(x, np.float64) @ self.coefficients + self.intercept
        return np.exp(np.clip(logs, -_LARGEST_LOG, _LARGEST_LOG))


def fit_classifier(source: Any, target: Any, seed: int = 0) -> LinearLogRatio:
    """Returns the odds of a calibrated logistic regression.

    It tells target from source, both counting equally, with a strength of
    regularisation that is cross-validated. The held-out scores are then
    calibrated by a second regression (Platt, 1999). The odds of a calibrated
    classifier are the density ratio (Bickel, Brueckner and Scheffer,
    "Discriminative learning under covariate shift", JMLR 10, 2009).

    Args:
        source: features [N_s, d], five at least.
        target: features [N_t, d], five at least.
        seed: of the folds.

    Raises:
        UserError: the features are no such arrays.
    """
    source, target = (
        as_features(source, "source"),
        as_features(target, "target"),
    )
    require_same_columns(source, "source", target, "target")
    for name, sample in (("source", source), ("target", target)):
        if len(sample) < _FOLDS:
            raise UserError(
                f"{name}: expected at least {_FOLDS} rows for a classifier, "
                f"found {len(sample)}"
            )
    x = np.concatenate([source, target]).astype(np.float64)
    labels = np.repeat([0, 1], [len(source), len(target)])
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    pipeline = make_pipeline(
        StandardScaler(),
        LogisticRegressionCV(
            Cs=_STRENGTHS,
            cv=folds,
            class_weight="balanced",
            scoring="neg_log_loss",
            max_iter=1000,
            l1_ratios=(0.0,),
            use_legacy_attributes=False,
        ),
    )
    scores = cross_val_predict(
        pipeline, x, labels, cv=folds, method="decision_function"
    )
    # Hardly regularised: two numbers of very many scores.
    calibration = LogisticRegression(C=1e6, class_weight="balanced")
    calibration.fit(scores[:, None], labels)
    scaler, classifier = (step for _, step in pipeline.fit(x, labels).steps)
    # Scores that fit the domains the wrong way round say nothing.
    slope = max(float(calibration.coef_[0, 0]), 0.0)
    coefficients = classifier.coef_[0] / scaler.scale_
    intercept = classifier.intercept_[0] - scaler.mean_ @ coefficients
    return LinearLogRatio(
        slope * coefficients,
        float(slope * intercept + calibration.intercept_[0]),
    )


@dataclasses.dataclass(frozen=True)
class ShareRatio:
    """The ratio of mean class shares, by the classes that an image shows.

    Attributes:
        ratios: [C] float64, mean target share over mean source share.
    """

    ratios: np.ndarray

    def ratio(self, x: np.ndarray) -> np.ndarray:
        """Returns float64 [N]: sum_c share_c ratios_c of shares [N, C]."""
        return np.asarray(x, np.float64) @ self.ratios


def fit_class_shares(source: Any, target: Any) -> ShareRatio:
    """Returns the ratio of mean class shares; its mean over the source is 1.

    A class that the source never shows has the ratio 0.

    Args:
        source: class shares [N_s, C].
        target: class shares [N_t, C].

    Raises:
        UserError: they are no shares: negative, or rows that do not sum to 1.
    """
    source, target = (
        as_features(source, "source"),
        as_features(target, "target"),
    )
    require_same_columns(source, "source", target, "target")
    for name, shares in (("source", source), ("target", target)):
        wrong = np.abs(shares.sum(axis=1) - 1.0) > _SHARE_ERROR
        if wrong.any() or shares.min() < 0:
            raise UserError(
                "--estimator=class_shares: expected class shares that sum to "
                f"1, unscaled, found other features in the {name}; choose "
                "--features=class_histogram or segmenter_histogram and "
                "--scaling=raw"
            )
    means = source.mean(axis=0, dtype=np.float64)
    others = target.mean(axis=0, dtype=np.float64)
    ratios = np.divide(others, means, np.zeros(len(means)), where=means > 0)
    return ShareRatio(ratios)
