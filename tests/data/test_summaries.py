import json

import pytest

from kliep_tf.data import records, summaries
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.data.summaries import class_set_of
from kliep_tf.errors import UserError
from tests.conftest import write_records
from tests.data.test_class_sets import THREE


def write(directory, **options):
    """Writes two examples; returns the path of their shard."""
    arguments = {"number": 2, "sky": 0.5, "bright": True, "num_shards": 1}
    write_records(directory, **{**arguments, **options})
    split = options.get("split", "train")
    return str(directory / records.shard_name(split, 0, 1))


def test_dataset_json_carries_the_classes(tmp_path):
    path = write(tmp_path, classes=THREE)
    assert class_set_of([path]) == THREE
    assert summaries.read_summary(tmp_path, "train").classes == THREE


def test_dataset_json_without_classes_means_cityscapes(tmp_path):
    path = write(tmp_path, classes=THREE)
    file = tmp_path / "dataset.json"
    content = json.loads(file.read_text())
    del content["splits"]["train"]["classes"]
    file.write_text(json.dumps(content))
    assert class_set_of([path]) == CITYSCAPES_CLASSES


def test_records_without_dataset_json_are_of_cityscapes_classes(tmp_path):
    path = write(tmp_path, classes=THREE)
    (tmp_path / "dataset.json").unlink()
    assert class_set_of([path]) == CITYSCAPES_CLASSES


def test_damaged_classes_are_one_line(tmp_path):
    path = write(tmp_path, classes=THREE)
    file = tmp_path / "dataset.json"
    content = json.loads(file.read_text())
    content["splits"]["train"]["classes"]["classes"][0] = "ground"
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"dataset\.json.*expected classes"):
        class_set_of([path])


def test_datasets_of_other_classes_are_both_named(tmp_path):
    one = write(tmp_path / "one", classes=THREE)
    other = write(tmp_path / "other")
    with pytest.raises(
        UserError, match=r"other/train.*3 classes of.*one/train"
    ):
        class_set_of([one, other])


def test_splits_of_one_directory_must_agree(tmp_path):
    train = write(tmp_path, classes=THREE)
    val = write(tmp_path, split="val")
    assert class_set_of([train]) == THREE
    with pytest.raises(UserError, match=r"val: expected the 3 classes"):
        class_set_of([train, val])


def test_unlabelled_images_agree_with_any_classes(tmp_path):
    images = write(tmp_path / "images", labelled=False)
    labelled = write(tmp_path / "labelled", classes=THREE)
    assert class_set_of([images, labelled]) == THREE
    assert class_set_of([images]) == CITYSCAPES_CLASSES


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("image_sizes", {"32xabc": 2}, "by size, such as 512x1024"),
        ("image_sizes", {"32x48": "two"}, "a whole number, found 'two'"),
        ("image_sizes", 3, "expected an object, found 3"),
        ("shards", {"train-00000-of-00001.tfrecord": "00000"}, "a list"),
        ("shards", {"train-00000-of-00001.tfrecord": [7]}, "text, found 7"),
        ("labelled", "all", "a whole number, found 'all'"),
        ("labelled", -1, "number of labelled images, found -1"),
    ],
)
def test_damaged_entries_are_one_line(tmp_path, key, value, message):
    path = write(tmp_path)
    file = tmp_path / "dataset.json"
    content = json.loads(file.read_text())
    content["splits"]["train"][key] = value
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=rf"dataset\.json.*{message}") as error:
        class_set_of([path])
    assert "\n" not in str(error.value)


def test_json_too_deep_to_read_is_one_line(tmp_path):
    path = write(tmp_path)
    (tmp_path / "dataset.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match="expected a summary"):
        class_set_of([path])


def test_images_without_labels_or_dataset_json_agree_with_any_classes(tmp_path):
    images = write(tmp_path / "images", labelled=False)
    (tmp_path / "images" / "dataset.json").unlink()
    labelled = write(tmp_path / "labelled", classes=THREE)
    assert class_set_of([labelled, images]) == THREE
    assert class_set_of([images]) == CITYSCAPES_CLASSES


def test_key_of_a_label_is_that_of_the_schema():
    assert summaries._LABEL_KEY.decode() == records.LABEL_ENCODED
