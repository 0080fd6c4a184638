import csv
import dataclasses
import json

import numpy as np
import pytest

from kliep_tf.data.features import Features
from kliep_tf.errors import UserError
from kliep_tf.experiments import features_cells, features_page, features_plan
from kliep_tf.experiments.features import study
from kliep_tf.experiments.features_plan import FeatureStudyConfig

SKY, ROAD = 10, 0
_DOMAINS = ("source", "target")


def _shares(*skies: float) -> np.ndarray:
    """[N, 19]: this much sky above a road."""
    shares = np.zeros((len(skies), 19))
    shares[:, SKY] = skies
    shares[:, ROAD] = 1.0 - shares[:, SKY]
    return shares


def _names(number: int) -> np.ndarray:
    return np.array([f"{row:05d}" for row in range(number)])


JUDGE = features_cells.Judge(
    filenames=_names(2),
    shares=_shares(0.8, 0.2),
    other_shares=_shares(0.35)[0],
    true_ratio=np.array([0.5, 1.5]),
)


def test_equal_weights_are_judged():
    found = features_cells.equal_weights(JUDGE)
    # Sky (0.8 + 0.2) / 2 = 0.5; the other domain has 0.35.
    assert found["sky"] == pytest.approx(0.5)
    assert found["share_distance"] == pytest.approx(0.15)
    assert found["ess"] == pytest.approx(1.0)
    # ((1 - 0.5)^2 + (1 - 1.5)^2) / 2
    assert found["normalised_error"] == pytest.approx(0.25)
    assert found["rank_correlation"] == 0.0  # no order at all


def test_the_true_ratio_is_judged_perfect():
    found = features_cells.true_weights(JUDGE)
    # Sky (0.5 * 0.8 + 1.5 * 0.2) / 2 = 0.35.
    assert found["share_distance"] == pytest.approx(0.0)
    assert found["rank_correlation"] == pytest.approx(1.0)
    assert found["normalised_error"] == pytest.approx(0.0)


def test_cell_recovers_a_ratio_that_is_known():
    # Sky of the source is uniform, that of the target of density 2 (1 - sky);
    # both taken at quantiles, so that there is no noise.
    quantiles = (np.arange(80) + 0.5) / 80
    sky = {"source": quantiles, "target": 1 - np.sqrt(1 - quantiles)}
    ratio = 2 * (1 - quantiles)
    features, judges = [], []
    for domain, other in (("source", "target"), ("target", "source")):
        values = _shares(*sky[domain])
        features.append(Features(_names(80), values, np.arange(19)))
        true = ratio if domain == "source" else None
        judges.append(
            features_cells.Judge(
                _names(80), values, _shares(*sky[other]).mean(0), true
            )
        )
    setting = features_plan.Setting("wide", "1 x median", width=1.0)
    found = features_cells.run_cell(
        features_plan.LABELS, setting, tuple(features), tuple(judges), seed=0
    )
    assert found["source"]["rank_correlation"] > 0.95
    assert found["source"]["width"] == pytest.approx(1.0)
    assert found["source"]["decided_by"] == "given"
    for domain, judge in zip(("source", "target"), judges, strict=True):
        before = features_cells.equal_weights(judge)["share_distance"]
        assert found[domain]["share_distance"] < before / 2


def test_features_of_other_images_are_refused():
    features = Features(_names(3), _shares(0.1, 0.2, 0.3), np.arange(19))
    setting = features_plan.Setting("wide", "1 x median", width=1.0)
    with pytest.raises(UserError, match="features of the images judged"):
        features_cells.run_cell(
            features_plan.LABELS, setting, (features,) * 2, (JUDGE,) * 2, 0
        )


@pytest.fixture
def config(source_records, target_records, tmp_path):
    return FeatureStudyConfig(
        output_dir=str(tmp_path / "study"),
        source_records=str(source_records),
        target_records=str(target_records),
        second_target_records=str(target_records),
        features=("labels", "thumbnail"),
        settings=("width_1",),
    )


def _with_scenes(config, tmp_path):
    """The config with a scenes.csv a domain, of made-up ratios."""
    for domain in ("source", "target"):
        features = np.load(tmp_path / "study/features" / f"judge-{domain}.npz")
        with open(tmp_path / f"{domain}.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(
                ["filename", "density_ratio", "inverse_density_ratio"]
            )
            for name, shares in zip(
                features["filenames"], features["values"], strict=True
            ):
                writer.writerow([name, 1.1 - shares[SKY], 0.1 + shares[SKY]])
    return dataclasses.replace(
        config,
        output_dir=str(tmp_path / "again"),
        source_scenes=str(tmp_path / "source.csv"),
        target_scenes=str(tmp_path / "target.csv"),
    )


def test_study_is_written_once_and_judges_by_true_ratios(
    config, tmp_path, capsys
):
    study(config)
    page = (tmp_path / "study" / "features.md").read_text()
    assert "--features=labels,thumbnail" in page
    assert "The least distance without any label of the target" in page
    picture = (tmp_path / "study" / "features.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    numbers = json.loads((tmp_path / "study" / "features.json").read_text())
    assert list(numbers["target"]["cells"]) == ["labels", "thumbnail"]
    # Both targets are one here.
    assert numbers["target"]["cells"] == numbers["second_target"]["cells"]
    capsys.readouterr()
    study(config)
    assert capsys.readouterr().out.endswith("already done\n")

    study(_with_scenes(config, tmp_path))
    numbers = json.loads((tmp_path / "again" / "features.json").read_text())
    labels = numbers["target"]["cells"]["labels"]["width_1"]
    for domain in ("source", "target"):
        # The ratio falls with the sky in one domain and rises in the other.
        assert labels[domain]["rank_correlation"] > 0.9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": ("colours",)}, "--features=colours: expected some of"),
        ({"settings": ("best",)}, "--settings=best: expected some of nwj_0"),
        ({"source_scenes": "a.csv"}, "--target_scenes=: expected both"),
        ({"segmenter_steps": 0}, "--segmenter_steps=0: expected 1 or more"),
        ({"embedding_weights": "/absent.h5"}, "=/absent.h5: expected a local"),
    ],
)
def test_unusable_flags_are_named(config, changes, message):
    with pytest.raises(UserError, match=message):
        study(dataclasses.replace(config, **changes))


def test_what_needs_more_files_is_left_out(config):
    everything = dataclasses.replace(config, features=None)
    names = [v.name for v in features_plan.variants(everything, "target")]
    assert names == [
        "labels",
        "layout",
        "segmenter",
        "segmenter_plain",
        "thumbnail",
    ]
    more = dataclasses.replace(
        everything, translated_records="records", embedding_weights="file"
    )
    added = [v.name for v in features_plan.variants(more, "target")]
    assert set(added) - set(names) == {
        "segmenter_translated",
        "segmenter_both_translated",
        "embedding",
    }
    # The translation is one into the first target's looks.
    second = [v.name for v in features_plan.variants(more, "second_target")]
    assert "segmenter_translated" not in second


def test_best_sentence_leaves_target_labels_out():
    def cell(value):
        return {domain: {"rank_correlation": value} for domain in _DOMAINS}

    target = {
        "true": {},
        "cells": {
            "labels": {"nwj_20": cell(0.9)},
            "segmenter": {"nwj_20": cell(0.7), "nwj_30": cell(0.8)},
            "thumbnail": {"nwj_20": cell(0.2)},
        },
    }
    sentence = features_page.best_sentence(target)
    assert "0.800, by segmenter, nwj, ESS >= 30 %." in sentence
