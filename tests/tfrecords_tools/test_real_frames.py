"""Real frames against their source files, pixel for pixel."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfrecords_tools.convert_cityscapes import (
    ConvertCityscapesConfig,
    convert_cityscapes,
)
from tfrecords_tools.convert_gta5 import ConvertGta5Config, convert_gta5

REAL = Path(__file__).resolve().parents[2].parent / "shared/data/real"

pytestmark = pytest.mark.skipif(
    not REAL.is_dir(), reason="needs frames of the real datasets"
)

# Cityscapes' evaluated ids in the order of their train ids.
EVALUATED = 7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33  # fmt: skip  # noqa: E501


def expected_train_ids(path, height=None, width=None):
    label_ids = np.array(Image.open(path))
    assert label_ids.ndim == 2
    if height:
        rows = (np.arange(height) + 0.5) * label_ids.shape[0] / height
        columns = (np.arange(width) + 0.5) * label_ids.shape[1] / width
        label_ids = label_ids[np.floor(rows).astype(int)]
        label_ids = label_ids[:, np.floor(columns).astype(int)]
    train_ids = np.full(label_ids.shape, 255)
    for train_id, label_id in enumerate(EVALUATED):
        train_ids[label_ids == label_id] = train_id
    return train_ids


def check(examples, label_paths, image_paths, height=None, width=None):
    assert sorted(examples) == sorted(label_paths)
    for name, example in examples.items():
        label = decode(example["image/segmentation/class/encoded"])
        expected = expected_train_ids(label_paths[name], height, width)
        np.testing.assert_array_equal(label, expected)
        image = decode(example["image/encoded"])
        assert image.shape == (*label.shape, 3)
        assert (example["image/height"], example["image/width"]) == label.shape
        source = Image.open(image_paths[name]).convert("RGB")
        if height is None:
            np.testing.assert_array_equal(image, np.asarray(source))
        else:
            # Any area resize keeps each channel's mean.
            means = np.asarray(source).mean((0, 1)), image.mean((0, 1))
            np.testing.assert_allclose(*means, atol=0.5)


def decode(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def some_of(root, split, tmp_path):
    """Returns a tree of eight frames at most, and their labels."""
    _, images = cityscapes_paths(root, split)
    for name in sorted(images)[:8]:
        for path in root.glob(f"*/{split}/*/{name}_*.png"):
            link = tmp_path / "some" / path.relative_to(root)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    return tmp_path / "some"


def cityscapes_paths(root, split):
    images = {
        path.name.removesuffix("_leftImg8bit.png"): path
        for path in root.glob(f"leftImg8bit/{split}/*/*.png")
    }
    labels = {
        path.name.removesuffix("_gtFine_labelIds.png"): path
        for path in root.glob(f"gtFine/{split}/*/*.png")
    }
    return labels, images


@pytest.mark.parametrize("size", [(None, None), (256, 512)])
def test_gta5(tmp_path, parse, size):
    root = REAL / "gta5"
    height, width = (side or 0 for side in size)
    convert_gta5(
        ConvertGta5Config(
            input_dir=str(root),
            output_dir=str(tmp_path / "out"),
            image_height=height,
            image_width=width,
            num_workers=0,
        )
    )
    labels, images = (
        {path.stem: path for path in root.glob(f"{folder}/*.png")}
        for folder in ("labels", "images")
    )
    check(parse(tmp_path / "out"), labels, images, *size)


@pytest.mark.parametrize(
    ("dataset", "split", "size"),
    [
        ("cityscapes", "train", (256, 512)),
        ("cityscapes", "train", (None, None)),
        ("camvid", "train", (256, 512)),
        ("camvid", "val", (256, 512)),
        ("camvid", "val", (None, None)),
    ],
)
def test_cityscapes_layout(tmp_path, parse, dataset, split, size):
    root = some_of(REAL / dataset, split, tmp_path)
    height, width = (side or 0 for side in size)
    convert_cityscapes(
        ConvertCityscapesConfig(
            input_dir=str(root),
            output_dir=str(tmp_path / "out"),
            split=split,
            image_height=height,
            image_width=width,
            num_workers=0,
        )
    )
    labels, images = cityscapes_paths(root, split)
    check(parse(tmp_path / "out"), labels, images, *size)
