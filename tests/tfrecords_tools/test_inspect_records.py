import dataclasses
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kliep_tf.data import png, records, summaries
from kliep_tf.errors import UserError
from tests.data.test_class_sets import THREE
from tests.tfrecords_tools.conversions import attach
from tests.tfrecords_tools.raw_folders import frame_pixels
from tfrecords_tools import inspection
from tfrecords_tools.inspect_records import (
    InspectRecordsConfig,
    inspect_records,
)


def encode(filename, **changes):
    image, label = frame_pixels(1)
    values = {
        "image": png.encode_png(image),
        "height": 4,
        "width": 6,
        "label": png.encode_png(label % 19),
        **changes,
    }
    return records.encode_example(
        values.pop("image"), filename=filename, **values
    )


def damaged_png():
    """Pillow decodes it, TensorFlow does not."""
    data = bytearray(png.encode_png(frame_pixels(1)[0]))
    data[data.index(b"IEND") - 5] ^= 1
    return bytes(data)


def huge_jpeg():
    """A small JPEG whose header says 65,535 x 65,535 pixels."""
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4)).save(buffer, "JPEG")
    data = bytearray(buffer.getvalue())
    size = data.index(b"\xff\xc0") + 5
    data[size : size + 4] = b"\xff" * 4
    return bytes(data)


def inspect(records_dir, **flags):
    config = InspectRecordsConfig(str(records_dir), num_workers=0, **flags)
    inspect_records(config)


def test_whole_records_are_described(
    records_dir, weights_dir, tmp_path, capsys
):
    attach(records_dir, weights_dir, tmp_path / "out")
    inspect(tmp_path / "out")
    printed = capsys.readouterr().out
    assert "nothing is broken" in printed
    assert "records      9 in 2 shards" in printed
    assert "4x6 (9)" in printed
    assert "png (9)" in printed
    assert "labelled     9" in printed
    # Frames 1 2 3 5 6 8 9 10 11 have weights number / 6.5.
    numbers = np.array([1, 2, 3, 5, 6, 8, 9, 10, 11])
    ess = numbers.sum() ** 2 / np.sum(numbers**2)
    assert f"mean {numbers.mean() / 6.5:.4g}" in printed
    assert f"{ess / 9:.1%}" in printed


def test_class_shares_equal_those_of_dataset_json(records_dir):
    paths = sorted(map(str, records_dir.glob("*.tfrecord")))
    found = inspection.inspect(paths, num_workers=1)
    shares = found.class_pixels / found.class_pixels.sum()
    summary = summaries.read_summary(records_dir, "all")
    np.testing.assert_allclose(
        shares, list(summary.class_pixel_shares.values())
    )
    assert not found.problems


@pytest.mark.parametrize("spelled", ["jpg", "JPG", ".jpeg", "image/jpeg"])
def test_formats_may_be_spelled_differently(tmp_path, capsys, spelled):
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4)).save(buffer, "JPEG")
    shard = tmp_path / "train-00000-of-00001.tfrecord"
    example = encode("a", image=buffer.getvalue(), image_format=spelled)
    records.write_shard(shard, [example])
    inspect(shard)
    assert "formats      jpeg (1)" in capsys.readouterr().out


def test_filename_that_is_no_utf8_is_named(tmp_path, capsys):
    shard = tmp_path / "train-00000-of-00001.tfrecord"
    example = encode("caf_").replace(b"caf_", b"caf\xe9")
    records.write_shard(shard, [encode("a"), example])
    with pytest.raises(UserError, match="1 problems"):
        inspect(shard)
    assert r"found b'caf\xe9'" in capsys.readouterr().out


def test_labels_are_checked_against_the_classes_of_the_records(
    tmp_path, capsys
):
    shard = tmp_path / "train-00000-of-00001.tfrecord"
    records.write_shard(shard, [encode("a")])  # train ids 0 to 18
    summary = summaries.SplitSummary(
        dataset="own",
        split="train",
        shards={shard.name: ["a"]},
        image_sizes={"4x6": 1},
        labelled=1,
        class_pixel_shares={},
        classes=THREE,
    )
    summaries.write_summary(tmp_path, summary)
    with pytest.raises(UserError, match="1 problems"):
        inspect(shard)
    printed = capsys.readouterr().out
    assert "classes      3 (three)" in printed
    assert "expected train ids 0..2 and 255 in the label, found 3" in printed


def one_bit_png():
    buffer = io.BytesIO()
    Image.new("1", (6, 4)).save(buffer, "PNG")
    return buffer.getvalue()


def gray_jpeg():
    buffer = io.BytesIO()
    Image.new("L", (6, 4)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"image": b"no image"}, "whole image"),
        ({"image": png.encode_png(np.zeros((4, 5, 3), np.uint8))}, "4x5"),
        ({"image": damaged_png()}, "checksum of IDAT"),
        ({"image": huge_jpeg()}, "whole image"),
        ({"image_format": "jpeg"}, "format 'jpeg'"),
        ({"label": b"\x89PNG"}, "whole label"),
        ({"label": png.encode_png(np.zeros((2, 3), np.uint8))}, "2x3"),
        ({"label": png.encode_png(np.zeros((4, 6, 3), np.uint8))}, "mode RGB"),
        ({"label": png.encode_png(np.full((4, 6), 19, np.uint8))}, "found 19"),
        ({"label": one_bit_png()}, "found mode 1, 1 bits"),
        ({"label": gray_jpeg()}, "found mode L, JPEG"),
        ({"importance_weight": float("nan")}, "found nan"),
    ],
)
def test_broken_examples_are_named(tmp_path, capsys, changes, reason):
    shard = tmp_path / "train-00000-of-00001.tfrecord"
    records.write_shard(shard, [encode("first"), encode("bad", **changes)])
    with pytest.raises(UserError, match="1 problems, the first in train-0000"):
        inspect(shard)
    (line,) = [
        line
        for line in capsys.readouterr().out.splitlines()
        if "record 1 (bad): " in line
    ]
    assert shard.name in line
    assert reason in line


def test_doubled_filenames_are_named(tmp_path, capsys):
    shard = tmp_path / "train-00000-of-00001.tfrecord"
    records.write_shard(shard, [encode("a"), encode("b"), encode("a")])
    with pytest.raises(UserError):
        inspect(shard, quick=True)
    assert "record 2 (a): expected a filename of its own" in (
        capsys.readouterr().out
    )


def test_shards_of_two_directories_may_have_the_same_name(tmp_path, capsys):
    for folder, names in (("a", "xy"), ("b", "zu")):
        shard = tmp_path / folder / "train-00000-of-00001.tfrecord"
        shard.parent.mkdir()
        records.write_shard(shard, [encode(name) for name in names])
        summary = summaries.SplitSummary(
            dataset="own",
            split="train",
            shards={shard.name: list(names)},
            image_sizes={"4x6": 2},
            labelled=2,
            class_pixel_shares={},
        )
        summaries.write_summary(shard.parent, summary)
    inspect(tmp_path / "*" / "train-*")
    printed = capsys.readouterr().out
    assert "nothing is broken" in printed
    assert str(tmp_path / "b" / "train-00000-of-00001.tfrecord") in printed


def test_reading_goes_on_behind_a_damaged_record(tmp_path, capsys):
    shard = tmp_path / "train-00000-of-00001.tfrecord"
    examples = [encode(name) for name in ("a", "b", "c", "d")]
    records.write_shard(shard, examples)
    data = bytearray(shard.read_bytes())
    # Each record is framed by 12 bytes before and 4 behind.
    data[16 + len(examples[0]) + 12 + 20] ^= 1
    shard.write_bytes(data)
    found = inspection.inspect([str(shard)], num_workers=0)
    (problem,) = found.problems
    assert (problem.position, problem.filename) == (1, "")
    assert "checksum" in problem.reason
    assert sum(found.image_sizes.values()) == 3
    assert found.shard_counts == {str(shard): 4}


def test_a_cut_off_shard_is_named(tmp_path):
    shard = tmp_path / "train-00000-of-00001.tfrecord"
    records.write_shard(shard, [encode("a"), encode("b")])
    shard.write_bytes(shard.read_bytes()[:-50])
    found = inspection.inspect([str(shard)], num_workers=0)
    (problem,) = found.problems
    assert problem.position == 1
    assert "the file's end" in problem.reason


@pytest.mark.parametrize("left", [5, 11])
def test_a_shard_cut_inside_a_header_is_named(tmp_path, left):
    shard = tmp_path / "train-00000-of-00001.tfrecord"
    examples = [encode("a"), encode("b")]
    records.write_shard(shard, examples)
    shard.write_bytes(shard.read_bytes()[: 16 + len(examples[0]) + left])
    found = inspection.inspect([str(shard)], num_workers=0)
    (problem,) = found.problems
    assert problem.position == 1
    assert "expected a TFRecord" in problem.reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"labelled": 3}, "expected 9 labelled images, as in the records"),
        ({"image_sizes": {"8x12": 12}}, "found 8x12: 12"),
    ],
)
def test_dataset_json_that_counts_otherwise_is_named(
    records_dir, change, reason
):
    summary = summaries.read_summary(records_dir, "all")
    paths = sorted(map(str, records_dir.glob("*.tfrecord")))
    assert not inspection.inspect(paths, num_workers=0).problems
    summaries.write_summary(records_dir, dataclasses.replace(summary, **change))
    (problem,) = inspection.inspect(paths, num_workers=0).problems
    assert problem.shard == "dataset.json"
    assert reason in problem.reason


def test_dataset_json_that_lists_other_filenames_is_named(records_dir):
    summary = summaries.read_summary(records_dir, "all")
    shards = {
        shard: list(reversed(names)) for shard, names in summary.shards.items()
    }
    summaries.write_summary(
        records_dir, dataclasses.replace(summary, shards=shards)
    )
    paths = sorted(map(str, records_dir.glob("*.tfrecord")))
    found = inspection.inspect(paths, num_workers=0, decode=False)
    assert len(found.problems) == 2
    assert "dataset.json" in found.problems[0].reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"this is no TFRecord file at all", "expected a TFRecord"),
        (None, "key image/encoded, found somebody/else"),
        (b"", "expected examples, found none"),
    ],
)
def test_records_of_another_kind_are_refused(tmp_path, content, reason):
    shard = tmp_path / "train-00000-of-00001.tfrecord"
    if content is None:
        feature = {"somebody/else": tf.train.Feature()}
        example = tf.train.Example(features=tf.train.Features(feature=feature))
        records.write_shard(shard, [example.SerializeToString()])
    else:
        shard.write_bytes(content)
    with pytest.raises(UserError, match=reason):
        inspect(shard)
