import dataclasses
import functools

import numpy as np
import pytest

from kliep_tf.data.features import Features
from kliep_tf.data.weights import load_weights, save_weights
from kliep_tf.density_ratio import report
from kliep_tf.density_ratio.estimators import ESTIMATORS
from kliep_tf.density_ratio.options import FitSettings
from kliep_tf.density_ratio.scaling import SCALINGS
from kliep_tf.density_ratio.weighting import fit_both_directions, ratio_at
from kliep_tf.errors import UserError

NAMES = np.array(["sky", "road", "car"])


def _features(number: int, mean, seed: int) -> Features:
    rng = np.random.default_rng(seed)
    # Columns of very different spread, so that no scaling is another.
    values = rng.normal(mean, 1.0, (number, 3)) * (1.0, 10.0, 0.1)
    names = np.array([f"{seed}_{row}" for row in range(number)])
    return Features(names, values.astype(np.float32), NAMES)


@functools.cache
def _fit(scaling: str, **settings):
    return fit_both_directions(
        _features(60, 0.0, 1),
        _features(50, 0.7, 2),
        scaling,
        FitSettings(**settings),
    )


def _normal(number: int, mean: float, seed: int) -> Features:
    rng = np.random.default_rng(seed)
    names = np.array([f"{seed}_{row}" for row in range(number)])
    return Features(names, rng.normal(mean, 1.0, (number, 1)), np.array(["x"]))


def _fit_some(max_images: int | None):
    """Weights of N(0, 1) towards N(.5, 1) and back."""
    return fit_both_directions(
        _normal(3000, 0.0, 1),
        _normal(1200, 0.5, 2),
        "raw",
        FitSettings(num_centers=50, bandwidth=1.0),
        max_images=max_images,
    )


def _by_hand(path, values: np.ndarray) -> np.ndarray:
    """The ratio from a weights file by its arrays and NumPy alone."""
    model = {
        key.removeprefix("model/"): value
        for key, value in np.load(path).items()
        if key.startswith("model/")
    }
    scaled = (values - model["scaling_offset"]) / model["scaling_divisor"]
    if "scaling_components" in model:
        scaled = scaled @ model["scaling_components"]
    differences = scaled[:, None] - model["centers"][None]
    squares = np.sum(differences.astype(np.float64) ** 2, axis=-1)
    kernel = np.exp(-squares / (2 * model["bandwidth"] ** 2))
    return np.exp(model["offset"]) * (
        kernel @ model["alpha"] + model["constant"]
    )


@pytest.mark.parametrize("scaling", SCALINGS)
def test_new_images_get_weights_from_the_file_without_fitting(
    scaling, tmp_path
):
    for fitted in _fit(scaling, bandwidth=1.0):
        save_weights(tmp_path, fitted.weights)
    new = _features(7, 0.3, 3)
    for domain in ("source", "target"):
        kept = load_weights(tmp_path, domain)
        found = ratio_at(kept, new)
        expected = _by_hand(tmp_path / f"{domain}_weights.npz", new.values)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-7)
        assert found.std() > 0


def test_ratio_at_the_fitted_images_is_their_weight():
    source = _features(60, 0.0, 1)
    fitted, _ = _fit("raw", bandwidth=1.0)
    np.testing.assert_allclose(
        ratio_at(fitted.weights, source), fitted.weights.weights, rtol=1e-4
    )


def test_features_of_another_kind_are_refused():
    fitted, _ = _fit("raw", bandwidth=1.0)
    other = dataclasses.replace(
        _features(4, 0.0, 3), names=np.array(["red", "green", "blue"])
    )
    with pytest.raises(UserError, match=r"'sky' to 'car', found 3, 'red' to"):
        ratio_at(fitted.weights, other)


def test_a_fit_on_some_images_weighs_all_of_them():
    fitted = _fit_some(max_images=1000)
    for one, mean in zip(fitted, (0.0, 0.5), strict=True):
        assert one.weights.weights.mean() == pytest.approx(1.0, abs=1e-5)
        # Both are normal with one spread, so that the log ratio is a line.
        images = _normal(4000, mean, seed=9)
        ratio = ratio_at(one.weights, images)
        log_ratio = 0.5 * images.values[:, 0] - 0.125
        truth = np.exp(log_ratio if mean == 0.0 else -log_ratio)
        assert np.corrcoef(ratio, truth)[0, 1] > 0.9
    text = report.describe(*fitted, None)
    assert "3000, 1000 fitted" in text
    assert "1200, 1000 fitted" in text


def test_a_fit_takes_all_images_of_a_domain_that_has_no_more():
    every = _fit_some(max_images=None)
    for one, same in zip(every, _fit_some(max_images=3000), strict=True):
        np.testing.assert_array_equal(one.weights.weights, same.weights.weights)
    assert "fitted" not in report.describe(*every, None)


def test_report_says_what_decided_the_width_and_the_floor_s_warning():
    source, target = _fit("raw", min_ess=0.9)
    text = report.describe(source, target, None)
    assert "(ess_floor)" in text
    assert "note (source): bandwidth: min_ess=0.9 decided" in text
    assert "| features " in text
    assert "3, raw" in text


def test_report_says_to_how_few_columns_features_came():
    rng = np.random.default_rng(0)
    # Two directions carry everything: four columns become two.
    mixing = rng.normal(size=(2, 4))
    source, target = (
        Features(
            np.array([f"{seed}_{row}" for row in range(30)]),
            (rng.normal(seed, 1, (30, 2)) @ mixing).astype(np.float64),
            np.array(list("abcd")),
        )
        for seed in (0, 1)
    )
    settings = FitSettings(bandwidth=1.0)
    fitted = fit_both_directions(source, target, "pca", settings)
    assert "4, pca to 2" in report.describe(*fitted, None)


def test_figure_shows_the_choice_of_both_widths(tmp_path, monkeypatch):
    titles = []
    original = report.Figure.savefig

    def savefig(figure, *arguments, **options):
        titles.extend(axes.get_title() for axes in figure.axes)
        return original(figure, *arguments, **options)

    monkeypatch.setattr(report.Figure, "savefig", savefig)
    source, target = _fit("raw", bandwidth=1.0)
    report.draw(source, target, None, tmp_path / "weights.png")
    assert (tmp_path / "weights.png").read_bytes().startswith(b"\x89PNG")
    assert "w: bandwidth 1, given" in titles
    assert "psi: bandwidth 1, given" in titles


def test_domains_without_anything_in_common_are_told():
    shares = np.array([[1.0, 0.0, 0.0]], np.float32)
    source = Features(np.array(["s"]), shares, NAMES)
    target = Features(np.array(["t"]), shares[:, ::-1], NAMES)
    with pytest.raises(
        UserError, match="--estimator=class_shares: expected source images that"
    ):
        fit_both_directions(
            source,
            target,
            "raw",
            FitSettings(),
            estimator=ESTIMATORS["class_shares"],
        )


def test_a_senseless_number_of_images_is_named():
    with pytest.raises(UserError, match=r"^max_images: expected a whole"):
        fit_both_directions(
            _normal(9, 0.0, 1),
            _normal(9, 0.5, 2),
            "raw",
            FitSettings(bandwidth=1.0),
            max_images=0,
        )
