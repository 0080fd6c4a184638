"""Estimators compared, on tiny Gaussians and on scenes of sky and road."""

import dataclasses
import json

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from kliep_tf.errors import UserError
from kliep_tf.experiments.estimator_study.gaussians import PROBLEMS
from kliep_tf.experiments.estimator_study.plan import (
    EstimatorStudyConfig,
    methods,
    pairs,
)
from kliep_tf.experiments.estimators import study

NAMES = {
    "names": ("a", "b"),
    "source_records": ("s1", "s2"),
    "target_records": ("t1", "t2"),
}


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda one: one.title)
def test_the_formula_is_the_quotient_of_the_densities(problem):
    x = np.random.default_rng(0).normal(size=(5, problem.dim))
    mean = np.zeros(problem.dim)
    source = multivariate_normal(mean, 1.0)
    mean = mean.copy()
    mean[0] = problem.shift
    target = multivariate_normal(mean, problem.scale**2)
    expected = np.exp(target.logpdf(x) - source.logpdf(x))
    np.testing.assert_allclose(problem.ratio(x), expected, rtol=1e-9)


def test_gaussians_are_drawn_as_they_are_called():
    source, target = PROBLEMS[2].draw(4000, seed=1)
    moments = [
        (part.values.mean(), part.values.std()) for part in (source, target)
    ]
    np.testing.assert_allclose(moments, [(0, 1), (1, 0.5)], atol=0.05)


def test_methods_are_estimators_with_the_kernels_that_they_take():
    config = EstimatorStudyConfig(
        output_dir="",
        estimators=("kliep", "classifier"),
        kernels=("gaussian", "matern"),
    )
    assert [method.title for method in methods(config)] == [
        "kliep",
        "kliep, matern",
        "kliep, no floor",
        "kliep, no floor, matern",
        "classifier",
    ]
    free = methods(config)[2].settings(min_ess=0.3, seed=4)
    assert (free.min_ess, free.seed) == (0.0, 4)


def test_study_of_gaussians_and_records(
    source_records, target_records, tmp_path, capsys
):
    config = EstimatorStudyConfig(
        output_dir=str(tmp_path / "study"),
        names=("scenes",),
        source_records=(str(source_records),),
        target_records=(str(target_records),),
        estimators=("ulsif", "class_shares"),
        kernels=("gaussian",),
        num_points=20,
        num_seeds=2,
    )
    study(config)
    numbers = json.loads((tmp_path / "study" / "estimators.json").read_text())
    assert len(numbers["gaussians"]) == len(PROBLEMS)
    for problem in numbers["gaussians"]:
        # No features of Gaussians are class shares.
        assert list(problem["methods"]) == ["ulsif"]
        assert len(problem["methods"]["ulsif"]) == 2
        assert problem["true"][0]["error"] == pytest.approx([0, 0])
        assert problem["true"][0]["overlap_error"] == pytest.approx([0, 0])
    (scenes,) = numbers["pairs"]
    # Nothing is drawn, so one seed is enough.
    (shares,) = scenes["methods"]["class_shares"]
    assert shares["distance"]["source"] < scenes["equal"]["distance"]["source"]
    page = (tmp_path / "study" / "estimators.md").read_text()
    assert "| class_shares |" in page and "| no weights |" in page
    picture = (tmp_path / "study" / "estimators.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    capsys.readouterr()
    study(config)
    assert capsys.readouterr().out.endswith("already done\n")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"estimators": ("svm",)}, "--estimators=svm: expected some of kliep"),
        ({"kernels": ("box",)}, "--kernels=box: expected some of gaussian"),
        ({"num_points": 0}, "--num_points=0: expected --names"),
        (
            {"names": ("a",)},
            "--source_records=: expected one for each of the 1",
        ),
        (NAMES | {"target_scenes": ("x",)}, "--target_scenes=x: .* found 1"),
        (NAMES | {"labelled": ("few",)}, "--labelled=few: expected all or"),
        (NAMES, "--source_records=s1: expected"),
        ({"num_seeds": 0}, "--num_seeds=0"),
    ],
)
def test_unusable_flags_are_named(tmp_path, changes, message):
    config = EstimatorStudyConfig(output_dir=str(tmp_path / "study"))
    with pytest.raises(UserError, match=message):
        study(dataclasses.replace(config, **changes))
    assert not (tmp_path / "study").exists()


def test_each_pair_is_compared_under_each_number_of_labels():
    config = EstimatorStudyConfig(
        output_dir="", labelled=("all", "20"), **NAMES
    )
    assert [pair.title for pair in pairs(config)] == [
        "a",
        "a, 20 target images labelled",
        "b",
        "b, 20 target images labelled",
    ]
    assert pairs(config)[2].scenes == ("", "")
