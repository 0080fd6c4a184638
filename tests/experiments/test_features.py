import csv
import dataclasses
import json

import numpy as np
import pytest

from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.errors import UserError
from kliep_tf.experiments.feature_study.plan import FeatureStudyConfig
from kliep_tf.experiments.features import study
from tests.conftest import respelled

SKY = CITYSCAPES_CLASSES.index("sky")


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
    study(respelled(config, tmp_path))
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
        ({"features": ()}, "--features=: expected some of labels"),
        ({"settings": ()}, "--settings=: expected some of nwj_0"),
        (
            {"features": ("labels", "embedding")},
            "expected --embedding_weights with embedding, found none",
        ),
        (
            {"features": ("segmenter_translated",)},
            "expected --translated_records with segmenter_translated",
        ),
        ({"settings": ("best",)}, "--settings=best: expected some of nwj_0"),
        ({"source_scenes": "a.csv"}, "--target_scenes=: expected both"),
        ({"segmenter_steps": 0}, "--segmenter_steps=0: expected 1 or more"),
        ({"embedding_weights": "/absent.h5"}, "=/absent.h5: expected a local"),
    ],
)
def test_unusable_flags_are_named(config, changes, message):
    with pytest.raises(UserError, match=message):
        study(dataclasses.replace(config, **changes))


def test_features_of_the_second_target_must_be_left(config):
    config = dataclasses.replace(
        config,
        translated_records=config.source_records,
        features=("segmenter_translated",),
    )
    with pytest.raises(UserError, match="--second_target_records can be"):
        study(config)
