import json

import numpy as np
import pytest

from kliep_tf.data.datasets import NUM_CLASSES
from kliep_tf.experiments.comparison import recipes, rows
from kliep_tf.experiments.table1 import Table1Config
from tests.experiments.finished_programs import SKY, VEGETATION


def test_the_mean_is_over_the_labelled_classes(common, tmp_path):
    setting = recipes.make_setting(Table1Config(output_dir="x", **common))
    row = rows.same_images_row("source", setting.source, 1)
    jobs = rows.judgements(setting, [row])
    directory = jobs["source", 0].output_dir(tmp_path)
    directory.mkdir(parents=True)
    # 60 of 100 sky pixels are seen as sky, 40 as vegetation, of which there
    # is none: its IoU of 0 is no second class to average over.
    matrix = np.zeros((NUM_CLASSES, NUM_CLASSES), int)
    matrix[SKY, [SKY, VEGETATION]] = 60, 40
    report = {"confusion_matrix": matrix.tolist()}
    (directory / "report.json").write_text(json.dumps(report))
    found = rows.read_numbers(jobs, tmp_path)["source"]
    assert found["mean_iou"] == [pytest.approx(0.6)]
    assert found["sky"] == [pytest.approx(0.6)]
    assert np.isnan(found["vegetation"][0])
