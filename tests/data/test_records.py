import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data import records
from kliep_tf.errors import DataError, UserError
from tests.conftest import write_records

# The key table as DeepLab's reader has it (research/deeplab,
# datasets/data_generator.py), written out here and not taken from the library.
DEEPLAB_KEYS = {
    "image/encoded": tf.io.FixedLenFeature((), tf.string),
    "image/filename": tf.io.FixedLenFeature((), tf.string),
    "image/format": tf.io.FixedLenFeature((), tf.string),
    "image/height": tf.io.FixedLenFeature((), tf.int64),
    "image/width": tf.io.FixedLenFeature((), tf.int64),
    "image/segmentation/class/encoded": tf.io.FixedLenFeature((), tf.string),
    "image/segmentation/class/format": tf.io.FixedLenFeature((), tf.string),
}


def example(filename="a", **options):
    return records.encode_example(
        b"image", filename=filename, height=2, width=3, **options
    )


def test_example_has_deeplabs_keys():
    parsed = tf.io.parse_single_example(example(label=b"label"), DEEPLAB_KEYS)
    assert parsed["image/encoded"] == b"image"
    assert parsed["image/filename"] == b"a"
    assert parsed["image/format"] == b"png"
    assert (parsed["image/height"], parsed["image/width"]) == (2, 3)
    assert parsed["image/segmentation/class/encoded"] == b"label"
    assert parsed["image/segmentation/class/format"] == b"png"


def test_unlabelled_example_has_no_segmentation_keys():
    features = tf.train.Example.FromString(example()).features.feature
    assert not [key for key in features if "segmentation" in key]


def test_parse_gives_back_what_was_encoded():
    parsed = records.parse_example(example(importance_weight=1.5))
    assert parsed[records.ENCODED] == b"image"
    assert parsed[records.IMPORTANCE_WEIGHT] == 1.5
    assert parsed[records.LABEL_ENCODED] == b""


def test_absent_weight_is_nan():
    weight = records.parse_example(example())[records.IMPORTANCE_WEIGHT]
    assert np.isnan(weight)


def test_appended_weight_changes_nothing_else():
    before = example(label=b"label")
    after = records.append_weight(before, 2.5)
    assert records.parse_example(after)[records.IMPORTANCE_WEIGHT] == 2.5
    removed = tf.train.Example.FromString(after)
    del removed.features.feature["image/importance_weight"]
    assert removed == tf.train.Example.FromString(before)


def test_replaced_image_keeps_unknown_keys():
    before = tf.train.Example.FromString(example(label=b"label"))
    before.features.feature["mine"].int64_list.value.append(7)
    after = records.replace_image(before.SerializeToString(), b"new", "jpeg")
    features = tf.train.Example.FromString(after).features.feature
    assert features["mine"].int64_list.value[0] == 7
    assert features["image/encoded"].bytes_list.value[0] == b"new"
    assert features["image/format"].bytes_list.value[0] == b"jpeg"
    assert features["image/segmentation/class/encoded"].bytes_list.value[0] == (
        b"label"
    )


def test_shard_is_read_back_and_leaves_no_other_file(tmp_path):
    path = tmp_path / "train-00000-of-00001.tfrecord"
    assert records.write_shard(path, [b"one", b"two"]) == 2
    assert list(records.read_shard(path)) == [b"one", b"two"]
    assert list(tmp_path.iterdir()) == [path]


def test_interrupted_shard_never_gets_its_name(tmp_path):
    def interrupted():
        yield b"one"
        raise KeyboardInterrupt

    path = tmp_path / "train-00000-of-00001.tfrecord"
    with pytest.raises(KeyboardInterrupt):
        records.write_shard(path, interrupted())
    assert not list(tmp_path.glob("train-*"))


def touch(directory, *names):
    for name in names:
        (directory / name).write_bytes(b"")


def test_directory_and_glob_name_the_same_shards(tmp_path):
    write_records(tmp_path, number=2, sky=0.5, bright=True)
    by_directory = records.resolve_records(tmp_path, "records")
    by_glob = records.resolve_records(f"{tmp_path}/train-*", "records")
    assert by_directory == by_glob
    assert len(by_directory) == 2


def test_directory_of_two_splits_asks_for_one(tmp_path):
    touch(
        tmp_path, "train-00000-of-00001.tfrecord", "val-00000-of-00001.tfrecord"
    )
    with pytest.raises(UserError, match=r"train, val.*train-\*"):
        records.resolve_records(tmp_path, "records")


def test_missing_shard_of_a_set_is_named(tmp_path):
    touch(tmp_path, "train-00000-of-00003.tfrecord")
    with pytest.raises(UserError, match="train-00001-of-00003"):
        records.resolve_records(tmp_path, "records")


def test_glob_by_shard_number_may_take_some(tmp_path):
    touch(tmp_path, "train-00000-of-00003.tfrecord")
    assert records.resolve_records(f"{tmp_path}/train-00000*", "records")


def test_file_that_is_named_like_a_glob_is_taken_by_its_name(tmp_path):
    touch(tmp_path, "mine[1].tfrecord")
    path = str(tmp_path / "mine[1].tfrecord")
    assert records.resolve_records(path, "records") == [path]


@pytest.mark.parametrize("name", ["", "/no/such/place", "/no/such/glob-*"])
def test_nothing_found_is_an_error_that_names_the_flag(name):
    with pytest.raises(UserError, match="--source_records"):
        records.resolve_records(name, "source_records")


def test_shard_that_was_emptied_is_refused(tmp_path):
    write_records(tmp_path, number=4, sky=0.5, bright=True)
    path = tmp_path / "train-00001-of-00002.tfrecord"
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"2 records .* found an empty file"):
        records.resolve_records(tmp_path, "records")
    # Frames may be fewer than shards: dataset.json then lists none.
    write_records(tmp_path, number=1, sky=0.5, bright=True)
    assert len(records.resolve_records(tmp_path, "records")) == 2
