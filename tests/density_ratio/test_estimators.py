import functools

import numpy as np
import pytest

from kliep_tf.data.features import Features
from kliep_tf.data.weightings import effective_sample_size, overlap
from kliep_tf.data.weights import ImportanceWeights, load_weights, save_weights
from kliep_tf.density_ratio import options, report
from kliep_tf.density_ratio.estimators import ESTIMATORS
from kliep_tf.density_ratio.options import FitSettings
from kliep_tf.density_ratio.weighting import fit_both_directions, ratio_at

pytestmark = pytest.mark.filterwarnings("ignore:bandwidth")

SETTINGS = FitSettings(num_centers=20, min_ess=0.2)
both = pytest.mark.parametrize("name", ESTIMATORS)


def shares(prefix, number, concentration, seed):
    """Returns class shares of images, which suit every estimator."""
    values = np.random.default_rng(seed).dirichlet(concentration, number)
    names = np.array([f"{prefix}{row}" for row in range(number)])
    return Features(
        names, values.astype(np.float32), np.array(["sky", "road", "car"])
    )


SOURCE = shares("s", 60, [4, 3, 2], 0)
TARGET = shares("t", 45, [2, 3, 4], 1)


@functools.cache
def fit(name):
    return fit_both_directions(
        SOURCE, TARGET, "raw", SETTINGS, ESTIMATORS[name]
    )


def test_every_estimator_is_described():
    assert list(options.ESTIMATORS) == list(ESTIMATORS)


@both
def test_weights_have_mean_one_and_bring_the_domains_nearer(name):
    source, target = fit(name)
    for fitted, own, other in (
        (source, SOURCE, TARGET),
        (target, TARGET, SOURCE),
    ):
        weights = fitted.weights.weights
        assert weights.min() >= 0
        assert weights.mean() == pytest.approx(1.0, abs=1e-4)
        assert fitted.ess == pytest.approx(effective_sample_size(weights))
        before = np.abs(own.values.mean(0) - other.values.mean(0)).sum()
        weighted = weights @ own.values / len(weights)
        after = np.abs(weighted - other.values.mean(0)).sum()
        assert after < before


@both
def test_new_images_get_weights_from_the_file(name, tmp_path):
    for fitted, own in zip(fit(name), (SOURCE, TARGET), strict=True):
        save_weights(tmp_path, fitted.weights)
        kept = load_weights(tmp_path, fitted.weights.domain)
        np.testing.assert_allclose(
            ratio_at(kept, own), fitted.weights.weights, rtol=1e-4, atol=1e-6
        )


@both
def test_report_and_figure_show_what_there_is(name, tmp_path):
    source, target = fit(name)
    text = report.describe(source, target, None)
    assert f" {name} |" in text
    certified = name in ("kliep", "relative_kliep")
    assert ("duality gap" in text) == certified
    report.draw(source, target, None, tmp_path / "weights.png")
    assert (tmp_path / "weights.png").read_bytes().startswith(b"\x89PNG")


def test_relative_weights_of_both_domains_are_one_fit():
    source, target = fit("relative_kliep")
    assert source.weights.summary["duality_gap"] <= 1e-6
    # r at most 2, and r and 2 - r at the same images.
    there = ratio_at(source.weights, SOURCE)
    there *= source.weights.summary["mean_ratio"]
    back = ratio_at(target.weights, SOURCE)
    back *= target.weights.summary["mean_ratio"]
    assert there.max() <= 2
    np.testing.assert_allclose(there + back, 2, atol=1e-6)


def weights_of(values, **summary):
    names = np.array([f"{row}" for row in range(len(values))])
    return ImportanceWeights("source", names, np.asarray(values), summary)


def test_overlap_weights_by_hand():
    # w = p_t / p_s of 1/3, 1 and 3: 2 w / (1 + w) is 1/2, 1 and 3/2.
    plain = np.array([1 / 3, 1, 3])
    expected = np.array([0.5, 1.0, 1.5])
    np.testing.assert_allclose(overlap(weights_of(plain)), expected)
    # The same of ratios to any mixture, whatever mean they were given.
    for mixture in (0.0, 0.2, 0.5):
        relative = plain / (1 - mixture + mixture * plain)
        mean = relative.mean()
        found = overlap(
            weights_of(relative / mean, mixture=mixture, mean_ratio=mean)
        )
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_relative_weights_are_overlap_weights_already():
    source, _ = fit("relative_kliep")
    np.testing.assert_allclose(
        overlap(source.weights), source.weights.weights, rtol=1e-5
    )
