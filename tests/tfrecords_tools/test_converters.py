import io
import shutil

import numpy as np
import pytest
import scipy.io
from PIL import Image

from kliep_tf.data import summaries
from kliep_tf.errors import UserError
from tests.tfrecords_tools.conversions import convert, convert_city
from tests.tfrecords_tools.raw_folders import (
    frame_pixels,
    shard_bytes,
    write_cityscapes_frame,
    write_gta5_frame,
)

# Cityscapes' table, written out: label id -> train id.
TRAIN_IDS = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9,
    23: 10, 24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18,
}  # fmt: skip


def decode(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def to_train_ids(label_ids):
    mapped = [TRAIN_IDS.get(int(value), 255) for value in label_ids.ravel()]
    return np.reshape(mapped, label_ids.shape)


# GTA5


def test_gta5_records_hold_what_the_folder_holds(gta5_dir, tmp_path, parse):
    convert(gta5_dir, tmp_path / "out", num_shards=2)
    examples = parse(tmp_path / "out")
    numbers = (1, 2, 3, 5, 6, 8, 9, 10, 11)  # gaps and all
    assert sorted(examples) == [f"{number:05d}" for number in numbers]
    for number in numbers:
        example = examples[f"{number:05d}"]
        image, label_ids = frame_pixels(number)
        np.testing.assert_array_equal(decode(example["image/encoded"]), image)
        np.testing.assert_array_equal(
            decode(example["image/segmentation/class/encoded"]),
            to_train_ids(label_ids),
        )
        assert example["image/format"] == b"png"
        assert example["image/segmentation/class/format"] == b"png"
        assert (example["image/height"], example["image/width"]) == (4, 6)
        assert example["image/channels"] == 3


def test_dataset_json_lists_filenames_in_record_order(
    gta5_dir, tmp_path, parse
):
    convert(gta5_dir, tmp_path / "out", num_shards=3)
    summary = summaries.read_summary(tmp_path / "out", "all")
    for shard, names in summary.shards.items():
        assert list(parse(tmp_path / "out", shard)) == names
    assert list(summary.shards) == sorted(shard_bytes(tmp_path / "out"))
    assert summary.num_examples == summary.labelled == 9
    assert summary.image_sizes == {"4x6": 9}


def test_class_shares_are_those_of_evaluated_pixels(gta5_dir, tmp_path):
    convert(gta5_dir, tmp_path / "out")
    summary = summaries.read_summary(tmp_path / "out", "all")
    labels = [frame_pixels(n)[1] for n in (1, 2, 3, 5, 6, 8, 9, 10, 11)]
    counts = np.bincount(np.ravel(labels), minlength=35)
    evaluated = sum(counts[label_id] for label_id in TRAIN_IDS)
    assert summary.class_pixel_shares["road"] == counts[7] / evaluated
    assert summary.class_pixel_shares["bicycle"] == counts[33] / evaluated
    assert sum(summary.class_pixel_shares.values()) == pytest.approx(1)


def test_same_bytes_again_and_with_two_workers(gta5_dir, tmp_path):
    convert(gta5_dir, tmp_path / "zero", num_shards=2)
    convert(gta5_dir, tmp_path / "one", num_shards=2, num_workers=1)
    convert(gta5_dir, tmp_path / "two", num_shards=2, num_workers=2)
    expected = shard_bytes(tmp_path / "zero")
    assert len(expected) == 2
    assert shard_bytes(tmp_path / "one") == expected
    assert shard_bytes(tmp_path / "two") == expected


def test_order_is_shuffled_by_the_seed(gta5_dir, tmp_path, parse):
    orders = []
    for seed in (0, 1):
        convert(gta5_dir, tmp_path / str(seed), seed=seed, num_shards=1)
        orders.append(list(parse(tmp_path / str(seed))))
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1]
    assert sorted(orders[0]) not in orders


def test_frames_whose_sizes_differ_are_skipped_by_name(
    gta5_dir, tmp_path, parse, capsys
):
    image, _ = frame_pixels(7)
    write_gta5_frame(gta5_dir, "00007", image, np.zeros((3, 6), np.uint8))
    convert(gta5_dir, tmp_path / "out")
    assert "00007" not in parse(tmp_path / "out")
    summary = summaries.read_summary(tmp_path / "out", "all")
    assert summary.skipped == [
        {
            "file": "images/00007.png",
            "reason": "image is 4x6, label is 3x6",
        }
    ]
    printed = capsys.readouterr().out
    assert "skipped images/00007.png: image is 4x6, label is 3x6" in printed
    assert "skipped 1 files" in printed


def test_frames_without_image_or_label_are_skipped_by_name(
    gta5_dir, tmp_path, parse
):
    (gta5_dir / "labels" / "00001.png").unlink()
    (gta5_dir / "images" / "00002.png").unlink()
    convert(gta5_dir, tmp_path / "out")
    assert len(parse(tmp_path / "out")) == 7
    skipped = summaries.read_summary(tmp_path / "out", "all").skipped
    assert skipped == [
        {"file": "images/00001.png", "reason": "has no label"},
        {"file": "labels/00002.png", "reason": "has no image"},
    ]


def test_dot_files_are_no_frames(gta5_dir, tmp_path, parse):
    (gta5_dir / "images" / "._00001.png").write_bytes(b"Mac OS X")
    convert(gta5_dir, tmp_path / "out")
    assert len(parse(tmp_path / "out")) == 9


def test_endings_may_be_in_upper_case(gta5_dir, tmp_path, parse):
    for path in (gta5_dir / "images").iterdir():
        path.rename(path.with_suffix(".PNG"))
    convert(gta5_dir, tmp_path / "out")
    assert len(parse(tmp_path / "out")) == 9
    shutil.copy(gta5_dir / "images/00001.PNG", gta5_dir / "images/00001.png")
    with pytest.raises(UserError, match=r"00001\.png: .*00001\.PNG too"):
        convert(gta5_dir, tmp_path / "two")


def test_splits_come_from_split_mat_and_share_a_directory(
    gta5_dir, tmp_path, parse
):
    # Frame 4 is missing from the folder, as in some copies.
    ids = {"trainIds": [[3], [1], [4]], "valIds": [[2]], "testIds": [[5]]}
    scipy.io.savemat(
        gta5_dir / "split.mat",
        {name: np.array(values) for name, values in ids.items()},
    )
    for split in ("train", "val"):
        convert(gta5_dir, tmp_path / "out", split=split, num_shards=1)
    assert sorted(parse(tmp_path / "out", "train-*")) == ["00001", "00003"]
    assert sorted(parse(tmp_path / "out", "val-*")) == ["00002"]
    for split, count in (("train", 2), ("val", 1)):
        summary = summaries.read_summary(tmp_path / "out", split)
        assert summary.num_examples == count


def test_resized_records_and_jpeg(gta5_dir, tmp_path, parse):
    convert(
        gta5_dir,
        tmp_path / "out",
        image_height=2,
        image_width=3,
        image_format="jpeg",
    )
    for name, example in parse(tmp_path / "out").items():
        assert example["image/format"] == b"jpeg"
        assert example["image/encoded"].startswith(b"\xff\xd8")
        assert decode(example["image/encoded"]).shape == (2, 3, 3)
        label = decode(example["image/segmentation/class/encoded"])
        # Of each 2x2 block nearest takes the pixel at its lower right.
        expected = to_train_ids(frame_pixels(int(name))[1])[1::2, 1::2]
        np.testing.assert_array_equal(label, expected)


def test_enlarging_is_said_once(gta5_dir, tmp_path, capsys):
    convert(gta5_dir, tmp_path / "out", image_height=8, image_width=12)
    printed = capsys.readouterr().out
    assert printed.count("enlarged") == 1
    assert "9 of 9 frames are smaller than 8x12" in printed


def test_a_finished_conversion_is_left_alone(gta5_dir, tmp_path, capsys):
    convert(gta5_dir, tmp_path / "out")
    before = {
        path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()
    }
    before.pop(tmp_path / "out" / ".lock")
    # As a kill leaves it that comes before the last line.
    left = tmp_path / "out" / ".all-00000-of-00001.tfrecord.json"
    left.write_text("{}")
    convert(gta5_dir, tmp_path / "out", num_workers=1)
    assert "already done" in capsys.readouterr().out
    assert not left.exists()
    for path, time_written in before.items():
        assert path.stat().st_mtime_ns == time_written


def test_a_lost_shard_is_written_again(gta5_dir, tmp_path):
    convert(gta5_dir, tmp_path / "out", num_shards=2)
    expected = shard_bytes(tmp_path / "out")
    (tmp_path / "out" / "all-00001-of-00002.tfrecord").unlink()
    convert(gta5_dir, tmp_path / "out", num_shards=2)
    assert shard_bytes(tmp_path / "out") == expected


def test_other_arguments_do_not_overwrite(gta5_dir, tmp_path):
    convert(gta5_dir, tmp_path / "out", seed=1)
    expected = shard_bytes(tmp_path / "out")
    with pytest.raises(UserError, match="seed"):
        convert(gta5_dir, tmp_path / "out", seed=2)
    assert shard_bytes(tmp_path / "out") == expected


# Cityscapes


def test_cityscapes_filenames_and_labels(cityscapes_dir, tmp_path, parse):
    convert_city(cityscapes_dir, tmp_path / "out")
    examples = parse(tmp_path / "out", "train-*")
    assert sorted(examples) == [
        "aachen_000000_000019",
        "bochum_000000_000019",
    ]
    image, label_ids = frame_pixels(1)
    example = examples["bochum_000000_000019"]
    np.testing.assert_array_equal(decode(example["image/encoded"]), image)
    np.testing.assert_array_equal(
        decode(example["image/segmentation/class/encoded"]),
        to_train_ids(label_ids),
    )


def test_train_id_files_serve_where_label_ids_are_missing(
    cityscapes_dir, tmp_path, parse
):
    image, _ = frame_pixels(2)
    train_ids = np.full((4, 6), 255, np.uint8)
    train_ids[0] = 0, 1, 2, 7, 11, 18
    stem = "bonn_000000_000019"
    write_cityscapes_frame(
        cityscapes_dir, "train", "bonn", stem, image, train_ids, "labelTrainIds"
    )
    convert_city(cityscapes_dir, tmp_path / "out")
    label = parse(tmp_path / "out")[stem]["image/segmentation/class/encoded"]
    np.testing.assert_array_equal(decode(label), train_ids)


def test_records_without_labels(cityscapes_dir, tmp_path, parse):
    import tensorflow as tf

    shutil.rmtree(cityscapes_dir / "gtFine")
    convert_city(cityscapes_dir, tmp_path / "out", labels="none")
    assert len(parse(tmp_path / "out", labels=False)) == 2
    (path,) = (tmp_path / "out").glob("*.tfrecord")
    for data in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        assert b"image/segmentation" not in data
    summary = summaries.read_summary(tmp_path / "out", "train")
    assert (summary.num_examples, summary.labelled) == (2, 0)
    assert summary.class_pixel_shares == {}


def test_a_frame_without_a_label_is_skipped_by_name(
    cityscapes_dir, tmp_path, parse
):
    write_cityscapes_frame(
        cityscapes_dir, "train", "aachen", "aachen_1_1", frame_pixels(3)[0]
    )
    convert_city(cityscapes_dir, tmp_path / "out")
    assert len(parse(tmp_path / "out")) == 2
    (skipped,) = summaries.read_summary(tmp_path / "out", "train").skipped
    assert skipped["file"].endswith("train/aachen/aachen_1_1_leftImg8bit.png")
    assert skipped["reason"] == "has no label"


def test_a_frame_without_a_label_is_kept_where_asked(cityscapes_dir, tmp_path):
    write_cityscapes_frame(
        cityscapes_dir, "train", "aachen", "aachen_1_1", frame_pixels(3)[0]
    )
    convert_city(cityscapes_dir, tmp_path / "out", keep_unlabelled=True)
    summary = summaries.read_summary(tmp_path / "out", "train")
    assert (summary.num_examples, summary.labelled) == (3, 2)
    assert summary.skipped == []


# Interruption
