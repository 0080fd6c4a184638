import json

import numpy as np
import pytest

from kliep_tf.data.class_sets import ClassSet, LabelClass
from kliep_tf.experiments.comparison import rows
from kliep_tf.experiments.comparison.setting import make_setting
from kliep_tf.experiments.table1 import Table1Config
from tests.conftest import write_records
from tests.experiments.real_programs import SKY, VEGETATION


def judged(setting, matrix, cache):
    """Returns the numbers of an untranslated row with this matrix."""
    jobs = rows.judgements(setting, [rows.Row("source")], [0])
    directory = jobs["source", 0].output_dir(cache)
    directory.mkdir(parents=True)
    (directory / "report.json").write_text(
        json.dumps({"confusion_matrix": np.array(matrix).tolist()})
    )
    return rows.read_numbers(setting, jobs, cache)["source"]


def test_the_mean_is_over_the_labelled_classes(common, tmp_path):
    setting = make_setting(Table1Config(output_dir="x", **common))
    # 60 of 100 sky pixels are seen as sky, 40 as vegetation, of which there
    # is none: its IoU of 0 is no second class to average over.
    matrix = np.zeros((19, 19), int)
    matrix[SKY, [SKY, VEGETATION]] = 60, 40
    found = judged(setting, matrix, tmp_path)
    assert found["mean_iou"] == [pytest.approx(0.6)]
    assert found["sky"] == [pytest.approx(0.6)]
    assert np.isnan(found["vegetation"][0])


def test_classes_come_with_the_records(tmp_path, monkeypatch):
    names = ("ground", "plant", "air")
    classes = ClassSet(
        "three", tuple(LabelClass(name, (0, 0, 0)) for name in names)
    )
    records = write_records(
        tmp_path / "records", number=2, sky=0.5, bright=True, classes=classes
    )
    flags = {
        f"{role}_records": str(records) for role in ("source", "target", "val")
    }
    config = Table1Config(output_dir="x", **flags)
    setting = make_setting(config)
    # There is no sky: the tables leave it out.
    assert list(rows.consistency_measures(setting)) == [
        "mean_iou",
        "pixel_accuracy",
    ]
    matrix = [[8, 2, 0], [0, 0, 0], [0, 1, 9]]
    found = judged(setting, matrix, tmp_path)
    assert found["ground"] == [pytest.approx(0.8)]
    assert found["air"] == [pytest.approx(0.9)]
    assert found["mean_iou"] == [pytest.approx(0.85)]
    assert "sky_kept" not in found
    watched = Table1Config(
        output_dir="x",
        watched_label="air",
        watched_prediction="plant",
        **flags,
    )
    setting = make_setting(watched)
    again = judged(setting, matrix, tmp_path / "again")
    assert again["air_kept"] == [pytest.approx(0.9)]
    assert again["air_to_plant"] == [pytest.approx(0.1)]
