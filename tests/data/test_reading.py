import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data import records, summaries
from kliep_tf.data.pipeline import LabelledImages
from kliep_tf.data.png import encode_png
from kliep_tf.data.reading import (
    equal_size_batches,
    has_labels,
    holds_a_label,
    labelled_examples,
    read_all,
    require_labelled_pixels,
    require_labels,
)
from kliep_tf.errors import DataError, UserError


def _example(number: int, height: int) -> LabelledImages:
    return LabelledImages(
        image=np.full((height, 2, 3), number, np.uint8),
        label=np.full((height, 2, 1), number, np.uint8),
        filename=str(number).encode(),
        weight=np.float32(number),
    )


def test_batches_hold_neighbours_of_one_size_in_order():
    heights = [4, 4, 4, 5, 4, 4]
    examples = [_example(row, height) for row, height in enumerate(heights)]
    batches = list(equal_size_batches(iter(examples), batch_size=2))
    names = [batch.filename.tolist() for batch in batches]
    assert names == [[b"0", b"1"], [b"2"], [b"3"], [b"4", b"5"]]
    assert batches[0].image.shape == (2, 4, 2, 3)
    assert batches[2].label.shape == (1, 5, 2, 1)
    assert batches[3].weight.tolist() == [4.0, 5.0]


def test_labels_of_another_size_begin_a_batch():
    first, second = _example(0, 4), _example(1, 4)
    second = second._replace(label=second.label[:2])
    batches = list(equal_size_batches(iter([first, second]), batch_size=2))
    assert [batch.label.shape for batch in batches] == [
        (1, 4, 2, 1),
        (1, 2, 2, 1),
    ]


def test_no_examples_make_no_batches():
    assert list(equal_size_batches(iter([]), batch_size=2)) == []


def _write(directory, labels):
    """Writes one example a label; returns the shard."""
    path = directory / records.shard_name("train", 0, 1)
    examples = [
        records.encode_example(
            b"", filename=f"frame_{row}", height=1, width=1, label=label
        )
        for row, label in enumerate(labels)
    ]
    records.write_shard(path, examples)
    return str(path)


def test_labelled_records_pass(tmp_path):
    require_labels([_write(tmp_path, [b"png", b"png"])], "records")


@pytest.mark.parametrize("row", [0, 2])
def test_one_unlabelled_example_is_found_without_a_summary(tmp_path, row):
    labels = [b"png"] * 3
    labels[row] = None
    path = _write(tmp_path, labels)
    with pytest.raises(UserError, match=f"--records: .* in 'frame_{row}'"):
        require_labels([path], "records")


def test_first_example_may_lie_behind_an_empty_shard(tmp_path):
    (tmp_path / "empty.tfrecord").write_bytes(b"")
    path = _write(tmp_path, [None])
    with pytest.raises(UserError, match="in 'frame_0'"):
        require_labels([str(tmp_path / "empty.tfrecord"), path], "records")


def test_summary_speaks_for_all_examples(tmp_path):
    path = _write(tmp_path, [b"png", None])
    summary = summaries.SplitSummary(
        dataset="own",
        split="train",
        shards={records.shard_name("train", 0, 1): ["frame_0", "frame_1"]},
        image_sizes={"1x1": 2},
        labelled=1,
        class_pixel_shares={},
    )
    summaries.write_summary(tmp_path, summary)
    with pytest.raises(UserError, match="found 1 of 2 without a label"):
        require_labels([path], "records")


def test_damage_is_told_in_one_line():
    dataset = tf.data.Dataset.from_tensor_slices([b"no image"])
    dataset = dataset.map(tf.io.decode_png)
    with pytest.raises(UserError, match="--records: expected") as raised:
        list(read_all(dataset, "records"))
    assert "\n" not in str(raised.value)


def test_labelled_examples_have_a_labelled_pixel(tmp_path):
    """Labels of nothing but the ignore label say nothing."""
    image = tf.io.encode_png(np.zeros((4, 6, 3), np.uint8)).numpy()
    ignored = np.full((4, 6, 1), 255, np.uint8)
    known = ignored.copy()
    known[3, 5] = 7
    labels = (known, None, ignored)
    path = tmp_path / "train-00000-of-00001.tfrecord"
    records.write_shard(
        path,
        [
            records.encode_example(
                image,
                filename=str(number),
                height=4,
                width=6,
                label=None
                if label is None
                else tf.io.encode_png(label).numpy(),
            )
            for number, label in enumerate(labels)
        ],
    )
    found = labelled_examples([str(path)])
    assert found.tolist() == [True, False, False]


def test_labels_of_ignored_pixels_alone_are_refused(tmp_path):
    image = tf.io.encode_png(np.zeros((1, 2, 3), np.uint8)).numpy()
    paths = []
    for number, values in enumerate([(255, 255), (255, 0)]):
        label = tf.io.encode_png(
            np.reshape(np.array(values, np.uint8), (1, 2, 1))
        ).numpy()
        path = tmp_path / f"train-{number:05d}-of-00002.tfrecord"
        example = records.encode_example(
            image, filename=str(number), height=1, width=2, label=label
        )
        records.write_shard(path, [example])
        paths.append(str(path))
    require_labelled_pixels(paths, "train_records")
    with pytest.raises(UserError, match="--train_records: expected labelled"):
        require_labelled_pixels(paths[:1], "train_records")


def _street(name: str, labelled: bool) -> bytes:
    image = encode_png(np.zeros((8, 16, 3), np.uint8))
    label = encode_png(np.zeros((8, 16), np.uint8)) if labelled else None
    return records.encode_example(
        image, filename=name, height=8, width=16, label=label
    )


def test_a_shard_without_a_summary_may_be_labelled_in_part(tmp_path):
    path = tmp_path / "train-00000-of-00001.tfrecord"
    records.write_shard(path, [_street(n, n == "b") for n in "abc"])
    assert holds_a_label(str(path)) and not has_labels([str(path)])
    records.write_shard(path, [_street(n, False) for n in "abc"])
    assert not holds_a_label(str(path))


def test_damage_is_no_missing_label(tmp_path):
    path = tmp_path / "train-00000-of-00001.tfrecord"
    records.write_shard(path, [_street(n, True) for n in "abc"])
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="record 0"):
        has_labels([str(path)])
