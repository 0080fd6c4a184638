import csv
import dataclasses
import json

import matplotlib.image
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kliep_tf import evaluate as program
from kliep_tf import runs
from kliep_tf.data import records
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.data.confusions import load_confusions
from kliep_tf.data.png import encode_png
from kliep_tf.errors import UserError
from kliep_tf.evaluate import EvaluateConfig, evaluate
from kliep_tf.segmentation.evaluation import count_images
from tests.conftest import respelled

CLASS_NAMES = CITYSCAPES_CLASSES.names
ROAD, SKY = CLASS_NAMES.index("road"), CLASS_NAMES.index("sky")


def _frame(prediction, label) -> tuple[np.ndarray, np.ndarray]:
    image = np.repeat(np.asarray(prediction, np.uint8)[..., None], 3, -1)
    return image, np.asarray(label, np.uint8)


FRAMES = (
    _frame([[SKY, SKY], [ROAD, ROAD]], [[SKY, SKY], [ROAD, 255]]),
    # Of another size: one sky pixel of three is taken for road.
    _frame([[SKY, SKY, ROAD]] * 1, [[SKY, SKY, SKY]]),
    _frame([[SKY, SKY, SKY]], [[255, 255, 255]]),
)


@pytest.fixture(scope="module")
def report(red_is_the_class, write_records, tmp_path_factory):
    directory = tmp_path_factory.mktemp("evaluation")
    records_dir = write_records(directory / "records", FRAMES)
    config = EvaluateConfig(
        segmenter=str(red_is_the_class),
        records=str(records_dir),
        output_dir=str(directory / "report"),
    )
    evaluate(config)
    return config, directory / "report"


def test_scores_by_hand(report):
    found = json.loads((report[1] / "report.json").read_text())
    # sky: 4 right of 5 labelled, 4 predicted; road: 1 right, 2 predicted
    sky, road = 4 / (5 + 4 - 4), 1 / (1 + 2 - 1)
    assert found["per_class_iou"]["sky"] == pytest.approx(sky)
    assert found["per_class_iou"]["road"] == pytest.approx(road)
    assert found["mean_iou"] == pytest.approx((sky + road) / 2)
    assert found["pixel_accuracy"] == pytest.approx(5 / 6)
    assert found["class_pixel_shares"]["sky"] == pytest.approx(5 / 6)
    assert found["confusion_matrix"][SKY][ROAD] == 1
    assert found["num_images"] == 3
    assert found["num_images_without_labelled_pixel"] == 1
    absent = set(CLASS_NAMES) - {"sky", "road"}
    assert {found["per_class_iou"][name] for name in absent} == {None}


def test_every_frame_is_scored(report):
    with open(report[1] / "frames.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["filename"] for row in rows] == [
        "frame_000",
        "frame_001",
        "frame_002",
    ]
    # frame 1: sky 2 / 3, road 0 / 1
    assert float(rows[1]["mean_iou"]) == pytest.approx(1 / 3, rel=1e-5)
    assert rows[2]["mean_iou"] == "nan"


def test_report_names_what_it_is_about(report):
    config, directory = report
    text = (directory / "report.md").read_text()
    assert config.segmenter in text and config.records in text
    assert "| sky | 80.00 | 83.33 |" in text
    assert "| bus | absent | 0.00 |" in text
    for name in ("confusion.png", "best.png", "worst.png"):
        assert name in text
        assert matplotlib.image.imread(directory / name).std() > 0


def test_measures_have_the_names_that_others_use(report):
    text = (report[1] / "report.md").read_text()
    # sky: 4 right of 5 labelled, road: 1 right of 1, 6 labelled pixels.
    for row in (
        "| PixelAcc | 83.33 |",  # 5 / 6
        "| ClassAcc | 90.00 |",  # (4 / 5 + 1 / 1) / 2
        "| mIoU | 65.00 |",  # (4 / 5 + 1 / 2) / 2
        "| fwIoU | 75.00 |",  # 5 / 6 * 4 / 5 + 1 / 6 * 1 / 2
        "| sky predicted as sky | 80.00 |",
        "| sky predicted as vegetation | 0.00 |",
    ):
        assert row in text, row


def test_ceiling_stands_beside_the_scores(report, write_records, tmp_path):
    translated = write_records(
        tmp_path / "records", [_frame([[ROAD, SKY]], [[SKY, SKY]])]
    )
    config = dataclasses.replace(
        report[0],
        records=str(translated),
        output_dir=str(tmp_path / "report"),
        ceiling=str(report[1]),
    )
    evaluate(config)
    text = (tmp_path / "report" / "report.md").read_text()
    assert "| PixelAcc | 50.00 | 83.33 |" in text
    assert "| sky predicted as sky | 50.00 | 80.00 |" in text
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    assert found["ceiling"]["records"] == report[0].records


def test_ceiling_of_another_segmenter_is_refused(report, tmp_path):
    module = tf.Module()
    module.serve = tf.function(
        lambda images: tf.zeros(tf.shape(images)[:3], tf.int32),
        [tf.TensorSpec([None, None, None, 3], tf.uint8)],
    )
    tf.saved_model.save(module, str(tmp_path / "model"), module.serve)
    config = dataclasses.replace(
        report[0],
        segmenter=str(tmp_path / "model"),
        output_dir=str(tmp_path / "report"),
        ceiling=str(report[1]),
    )
    with pytest.raises(UserError, match="evaluation of the same segmenter"):
        evaluate(config)
    config = dataclasses.replace(config, ceiling="/nowhere")
    with pytest.raises(UserError, match=r"/nowhere: expected a config\.json"):
        evaluate(config)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"watched_label": "road"}, "--watched_label=road, found sky"),
        ({"flip": True}, "--flip=True, found False"),
        ({"scales": ("1", "2")}, r"--scales=\['1', '2'\], found \['1'\]"),
    ],
)
def test_ceiling_of_other_figures_is_refused(
    changes, message, report, tmp_path
):
    config = dataclasses.replace(
        report[0],
        output_dir=str(tmp_path / "report"),
        ceiling=str(report[1]),
        **changes,
    )
    with pytest.raises(UserError, match=message):
        evaluate(config)


def test_report_has_a_row_for_a_table(report):
    lines = (report[1] / "report.md").read_text().splitlines()
    header = next(
        n for n, line in enumerate(lines) if line.endswith("| mIoU |")
    )
    names = [cell.strip() for cell in lines[header].split("|")[2:-1]]
    assert names == [*CLASS_NAMES, "mIoU"]
    row = [cell.strip() for cell in lines[header + 2].split("|")[2:-1]]
    values = dict(zip(names, row, strict=True))
    # sky 4 / 5, road 1 / 2, their mean 0.65; all others are absent.
    assert values["sky"] == "80.0" and values["road"] == "50.0"
    assert values["mIoU"] == "65.0" and values["bus"] == "-"


def test_every_frames_matrix_is_kept(report):
    frames = load_confusions(report[1] / "frames.npz")
    assert frames.filenames.tolist() == ["frame_000", "frame_001", "frame_002"]
    assert frames.matrices[1, SKY, SKY] == 2
    assert frames.matrices[1, SKY, ROAD] == 1
    assert frames.matrices[2].sum() == 0
    assert not (report[1] / "partial.npz").exists()


def test_interrupted_evaluation_continues(
    report, red_is_the_class, tmp_path, monkeypatch
):
    config = dataclasses.replace(
        report[0], output_dir=str(tmp_path / "report"), batch_size=1
    )

    class Killed(BaseException):
        """Nothing catches it: like a kill, it leaves no time to save."""

    seen = []
    monkeypatch.setattr(program, "_SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(program, "count_images", _dying_after(2, Killed, seen))
    with pytest.raises(Killed):
        evaluate(config)
    assert seen == ["frame_000", "frame_001"]
    seen.clear()
    monkeypatch.setattr(program, "count_images", _dying_after(99, Killed, seen))
    evaluate(config)
    assert seen == ["frame_002"]  # the others were not counted again
    for name in ("report.json", "frames.csv"):
        whole = (report[1] / name).read_text()
        assert (tmp_path / "report" / name).read_text() == whole


def _dying_after(number, error, seen):
    def counting(*arguments):
        for part in count_images(*arguments):
            if len(seen) == number:
                raise error
            seen.append(str(part.filenames[0]))
            yield part

    return counting


def test_predictions_are_label_ids(report, tmp_path):
    config = dataclasses.replace(
        report[0], output_dir=str(tmp_path / "report"), write_predictions=True
    )
    evaluate(config)
    files = sorted((tmp_path / "report" / "predictions").iterdir())
    assert [file.name for file in files] == [
        f"frame_00{number}_pred.png" for number in range(3)
    ]
    # Road is label id 7, sky 23.
    np.testing.assert_array_equal(Image.open(files[0]), [[23, 23], [7, 7]])


@pytest.mark.parametrize("scales", [("0",), ("one",), ("1", "-2"), ("nan",)])
def test_senseless_scales_are_named(scales, report, tmp_path):
    config = dataclasses.replace(
        report[0], output_dir=str(tmp_path / "report"), scales=scales
    )
    with pytest.raises(UserError, match=r"--scales=.*expected numbers above 0"):
        evaluate(config)


def test_lost_report_is_written_again(report, capsys):
    path = report[1] / "report.md"
    text = path.read_text()
    path.unlink()
    evaluate(report[0])
    assert path.read_text() == text


def test_label_of_another_size_than_its_image_is_refused(
    red_is_the_class, tmp_path
):
    """They show the same only where somebody resized them so."""
    image, label = FRAMES[0]
    path = tmp_path / "train-00000-of-00001.tfrecord"
    example = records.encode_example(
        encode_png(image),
        filename="doubled",
        height=2,
        width=2,
        label=encode_png(label.repeat(2, 0).repeat(2, 1)),
    )
    records.write_shard(path, [example])
    config = EvaluateConfig(
        segmenter=str(red_is_the_class),
        records=str(path),
        output_dir=str(tmp_path / "report"),
    )
    with pytest.raises(UserError, match=r"'doubled': .* 2x2, found 4x4"):
        evaluate(config)


def test_second_run_finds_it_done_by_any_path(report, tmp_path, capsys):
    evaluate(respelled(report[0], tmp_path))
    assert "already done" in capsys.readouterr().out
    assert runs.read_config(report[1])["results"]["mean_iou"] > 0


@pytest.mark.parametrize(
    "frames, labelled, message",
    [
        (FRAMES[:1], False, "expected labelled examples"),
        (FRAMES[2:], True, "expected labelled pixels"),
        (
            [_frame([[ROAD]], [[33]])],
            True,
            r"train ids 0\.\.18 and 255 in the label, found 33",
        ),
    ],
)
def test_unusable_labels_are_refused(
    frames, labelled, message, red_is_the_class, write_records, tmp_path
):
    directory = write_records(tmp_path / "records", frames, labelled)
    config = EvaluateConfig(
        segmenter=str(red_is_the_class),
        records=str(directory),
        output_dir=str(tmp_path / "report"),
    )
    with pytest.raises(UserError, match=message):
        evaluate(config)
    assert not (tmp_path / "report" / "report.json").exists()


def test_damaged_image_is_one_line(red_is_the_class, tmp_path):
    path = tmp_path / "train-00000-of-00001.tfrecord"
    example = records.encode_example(
        b"no image",
        filename="broken",
        height=1,
        width=1,
        label=encode_png(np.zeros((1, 1), np.uint8)),
    )
    records.write_shard(path, [example])
    config = EvaluateConfig(
        segmenter=str(red_is_the_class),
        records=str(path),
        output_dir=str(tmp_path / "report"),
    )
    with pytest.raises(UserError, match="one in 'broken'") as raised:
        evaluate(config)
    assert "\n" not in str(raised.value)
