"""Records of three classes of their own: trained on, evaluated, drawn."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from kliep_tf import runs
from kliep_tf.data import summaries
from kliep_tf.data.class_sets import (
    CITYSCAPES_CLASSES,
    ClassSet,
    LabelClass,
)
from kliep_tf.errors import UserError
from kliep_tf.evaluate import EvaluateConfig, evaluate
from kliep_tf.segmentation.inference import load_segmenter
from kliep_tf.segmentation.signatures import segmenter_classes
from kliep_tf.train_segmenter import TrainSegmenterConfig, train_segmenter

CLASSES = ClassSet(
    "warehouse",
    (
        LabelClass("floor", (90, 90, 90), (4,)),
        LabelClass("shelf", (150, 100, 80), (5, 6)),
        LabelClass("robot", (170, 30, 40), (9,)),
    ),
    ignore_label=250,
)


def _write(write_records, directory, classes):
    """Two frames whose red channel is 100 times the class."""
    label = np.repeat(np.arange(3, dtype=np.uint8), 4)[None].repeat(8, 0)
    frame = np.repeat(100 * label[..., None], 3, axis=-1)
    ignored = label.copy()
    ignored[:4] = classes.ignore_label
    frames = [(frame, label), (frame, ignored)]
    summary = summaries.SplitSummary(
        dataset=classes.name,
        split="train",
        shards={"train-00000-of-00001.tfrecord": ["frame_000", "frame_001"]},
        image_sizes={"8x12": 2},
        labelled=2,
        class_pixel_shares={},
        classes=classes,
    )
    write_records(directory, frames)
    summaries.write_summary(directory, summary)
    return str(directory)


@pytest.fixture(scope="module")
def trained(write_records, tmp_path_factory) -> TrainSegmenterConfig:
    directory = tmp_path_factory.mktemp("warehouse")
    config = TrainSegmenterConfig(
        train_records=_write(write_records, directory / "records", CLASSES),
        val_records=str(directory / "records"),
        run_dir=str(directory / "run"),
        network="small",
        steps=30,
        batch_size=2,
        learning_rate=0.05,
        color_jitter=0.0,
    )
    train_segmenter(config)
    return config


def test_segmenter_learns_the_classes_of_its_records(trained):
    model = f"{trained.run_dir}/{runs.SAVED_MODEL}"
    assert segmenter_classes(model) == CLASSES
    segmenter = load_segmenter(model, CLASSES)
    colors = np.repeat(np.arange(3) * 100, 3).reshape(1, 1, 3, 3)
    shares = segmenter(colors.astype(np.uint8))
    np.testing.assert_array_equal(np.argmax(shares, -1), [[[0, 1, 2]]])


def test_report_shows_these_classes_and_none_of_cityscapes(trained, tmp_path):
    evaluate(
        EvaluateConfig(
            segmenter=f"{trained.run_dir}/{runs.SAVED_MODEL}",
            records=trained.train_records,
            output_dir=str(tmp_path),
            write_predictions=True,
            watched_label="robot",
            watched_prediction="shelf",
        )
    )
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["num_pixels"] == 8 * 12 + 4 * 12  # half a frame is ignored
    assert list(found["per_class_iou"]) == ["floor", "shelf", "robot"]
    assert found["mean_iou"] > 0.7  # but for the borders
    assert found["watched_confusion"]["kept"] == 1.0
    assert "per_category_iou" not in found
    text = (tmp_path / "report.md").read_text()
    assert "| robot predicted as shelf | 0.00 |" in text
    assert "category" not in text and "sky" not in text
    ids = np.asarray(Image.open(tmp_path / "predictions/frame_000_pred.png"))
    assert sorted(set(ids.ravel())) == [4, 5, 9]


def test_classes_that_the_records_lack_are_named(trained, tmp_path):
    config = EvaluateConfig(
        segmenter=f"{trained.run_dir}/{runs.SAVED_MODEL}",
        records=trained.train_records,
        output_dir=str(tmp_path / "report"),
        watched_label="tree",
    )
    with pytest.raises(UserError, match=r"class of warehouse .*found 'tree'"):
        evaluate(config)


def test_other_classes_are_not_mixed(trained, write_records, tmp_path):
    streets = _write(write_records, tmp_path / "streets", CITYSCAPES_CLASSES)
    config = EvaluateConfig(
        segmenter=f"{trained.run_dir}/{runs.SAVED_MODEL}",
        records=streets,
        output_dir=str(tmp_path / "report"),
    )
    with pytest.raises(UserError, match="found a segmenter of other classes"):
        evaluate(config)
    mixed = dataclasses.replace(
        trained, val_records=streets, run_dir=str(tmp_path / "run")
    )
    with pytest.raises(UserError, match="--val_records: expected the 3"):
        train_segmenter(mixed)
