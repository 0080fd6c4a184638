from pathlib import Path

import numpy as np
import pytest

from kliep_tf.data import weights
from tests import processes
from tests.tfrecords_tools.conversions import convert
from tests.tfrecords_tools.raw_folders import (
    frame_pixels,
    write_cityscapes_frame,
    write_gta5_frame,
)


@pytest.fixture
def run_program():
    """Runs `python -m MODULE --flag=value ...` as a user does."""

    def run(module, **flags):
        words = [f"--{name}={value}" for name, value in flags.items()]
        return processes.run(["-m", f"tfrecords_tools.{module}", *words])

    return run


@pytest.fixture
def gta5_dir(tmp_path):
    """Nine 4x6 frames with every palette index 0..34; 4 and 7 are missing."""
    root = tmp_path / "gta5"
    for number in (1, 2, 3, 5, 6, 8, 9, 10, 11):
        write_gta5_frame(root, f"{number:05d}", *frame_pixels(number))
    return root


@pytest.fixture
def cityscapes_dir(tmp_path):
    """A 4x6 frame of each of two cities, in the split train."""
    root = tmp_path / "cityscapes"
    for number, city in enumerate(("aachen", "bochum")):
        image, label = frame_pixels(number)
        stem = f"{city}_000000_000019"
        write_cityscapes_frame(root, "train", city, stem, image, label)
    return root


@pytest.fixture
def records_dir(gta5_dir, tmp_path):
    """The frames of gta5_dir as records, in two shards."""
    convert(gta5_dir, tmp_path / "records", num_shards=2)
    return tmp_path / "records"


@pytest.fixture
def weights_dir(tmp_path):
    """Weights that rise with the frame's number, listed backwards."""
    numbers = np.arange(12, 0, -1)
    importance = weights.ImportanceWeights(
        domain="source",
        filenames=np.array([f"{number:05d}" for number in numbers]),
        weights=(numbers / numbers.mean()).astype(np.float32),
    )
    (tmp_path / "weights").mkdir()
    weights.save_weights(tmp_path / "weights", importance)
    return tmp_path / "weights"


@pytest.fixture
def parse():
    """Parses shards with the keys as DeepLab writes them, not with ours."""
    import tensorflow as tf

    keys = {
        "image/encoded": tf.io.FixedLenFeature((), tf.string),
        "image/filename": tf.io.FixedLenFeature((), tf.string),
        "image/format": tf.io.FixedLenFeature((), tf.string),
        "image/height": tf.io.FixedLenFeature((), tf.int64),
        "image/width": tf.io.FixedLenFeature((), tf.int64),
        "image/channels": tf.io.FixedLenFeature((), tf.int64),
    }
    label_keys = {
        "image/segmentation/class/encoded": tf.io.FixedLenFeature(
            (), tf.string
        ),
        "image/segmentation/class/format": tf.io.FixedLenFeature((), tf.string),
    }

    def parse_shards(directory, pattern="*.tfrecord", labels=True):
        examples = {}
        for path in sorted(Path(directory).glob(pattern)):
            for data in tf.data.TFRecordDataset(str(path)):
                wanted = {**keys, **(label_keys if labels else {})}
                parsed = tf.io.parse_single_example(data, wanted)
                name = parsed["image/filename"].numpy().decode()
                assert name not in examples
                examples[name] = {
                    key: value.numpy() for key, value in parsed.items()
                }
        return examples

    return parse_shards
