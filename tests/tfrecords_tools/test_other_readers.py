"""Records as other projects read them, by their features and file names.

tensorflow/models research/deeplab/datasets/data_generator.py, and deeplab2
data/data_utils.py with data/dataset.py.
"""

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data import records
from kliep_tf.errors import UserError
from tests.tfrecords_tools.conversions import convert
from tests.tfrecords_tools.raw_folders import frame_pixels
from tests.tfrecords_tools.test_converters import to_train_ids
from tfrecords_tools.inspect_records import (
    InspectRecordsConfig,
    inspect_records,
)

STRING = tf.io.FixedLenFeature((), tf.string)
INT = tf.io.FixedLenFeature((), tf.int64)


def read_as_deeplab(directory, split):
    """Yields name, image and label of the files named {split}-*."""
    files = tf.io.gfile.glob(f"{directory}/{split}-*")
    for data in tf.data.TFRecordDataset(files):
        found = tf.io.parse_single_example(
            data,
            {
                "image/encoded": STRING,
                "image/filename": STRING,
                "image/format": tf.io.FixedLenFeature((), tf.string, "jpeg"),
                "image/height": INT,
                "image/width": INT,
                "image/segmentation/class/encoded": STRING,
                "image/segmentation/class/format": tf.io.FixedLenFeature(
                    (), tf.string, "png"
                ),
            },
        )
        label = found["image/segmentation/class/encoded"]
        yield (
            found["image/filename"].numpy().decode(),
            tf.image.decode_png(found["image/encoded"], channels=3).numpy(),
            tf.image.decode_png(label, channels=1).numpy()[..., 0],
        )


def read_as_deeplab2(files):
    """Yields name, image and panoptic label [H, W] of these files."""
    for data in tf.data.TFRecordDataset(files):
        found = tf.io.parse_single_example(
            data,
            {
                "image/encoded": STRING,
                "image/filename": STRING,
                "image/format": STRING,
                "image/height": INT,
                "image/width": INT,
                "image/channels": INT,
                "image/segmentation/class/encoded": STRING,
            },
        )
        label = tf.io.decode_raw(
            found["image/segmentation/class/encoded"], tf.int32
        )
        size = tf.stack([found["image/height"], found["image/width"]])
        yield (
            found["image/filename"].numpy().decode(),
            tf.io.decode_image(found["image/encoded"], channels=3).numpy(),
            tf.reshape(label, size).numpy(),
        )


def test_deeplab_finds_its_split_and_reads_it(gta5_dir, tmp_path):
    convert(gta5_dir, tmp_path / "out", shard_prefix="train_fine")
    examples = list(read_as_deeplab(tmp_path / "out", "train_fine"))
    assert len(examples) == 9
    for name, image, label in examples:
        expected_image, label_ids = frame_pixels(int(name))
        np.testing.assert_array_equal(image, expected_image)
        np.testing.assert_array_equal(label, to_train_ids(label_ids))


def test_programs_here_find_the_split_by_its_prefix(gta5_dir, tmp_path, capsys):
    convert(gta5_dir, tmp_path / "out", shard_prefix="train_fine")
    inspect_records(
        InspectRecordsConfig(records=str(tmp_path / "out"), num_workers=0)
    )
    assert "nothing is broken" in capsys.readouterr().out
    convert(gta5_dir, tmp_path / "out", shard_prefix="train_fine")
    assert "train_fine is already done" in capsys.readouterr().out
    with pytest.raises(UserError, match="--shard_prefix=a/b: expected letters"):
        convert(gta5_dir, tmp_path / "two", shard_prefix="a/b")


def test_deeplab2_reads_class_times_1000(gta5_dir, tmp_path):
    convert(gta5_dir, tmp_path / "out", format="deeplab2")
    files = records.resolve_records(tmp_path / "out", "records")
    examples = list(read_as_deeplab2(files))
    assert len(examples) == 9
    for name, image, label in examples:
        expected_image, label_ids = frame_pixels(int(name))
        np.testing.assert_array_equal(image, expected_image)
        # Semantic label and instance; 255 is ignored there, too.
        np.testing.assert_array_equal(label // 1000, to_train_ids(label_ids))
        np.testing.assert_array_equal(label % 1000, 0)


def test_labels_of_deeplab2_are_refused_here(gta5_dir, tmp_path):
    from kliep_tf.data import pipeline, reading

    convert(gta5_dir, tmp_path / "out", format="deeplab2")
    files = records.resolve_records(tmp_path / "out", "records")
    with pytest.raises(UserError, match="no PNG, as deeplab2's labels are"):
        list(reading.read_all(pipeline.make_image_dataset(files), "records"))
