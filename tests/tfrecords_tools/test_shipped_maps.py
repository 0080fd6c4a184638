"""Each label map that ships, on a file made in the dataset's own encoding.

The values and their meanings are those that the datasets publish.
"""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kliep_tf.data import png
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.errors import UserError
from tfrecords_tools import label_maps, labels
from tfrecords_tools.label_maps import load_label_map

IGNORED = "ignored"
VOID = (0, 0, 0)

# By map: how its files store a pixel, and some of its published values.
PUBLISHED = {
    "gta5": ("palette", {7: "road", 23: "sky", 26: "car", 34: IGNORED}),
    "cityscapes": ("gray", {7: "road", 21: "vegetation", 33: "bicycle",
                            0: IGNORED, 18: IGNORED}),
    "cityscapes_train_ids": ("gray", {0: "road", 10: "sky", 18: "bicycle",
                                      255: IGNORED}),
    "bdd100k": ("gray", {0: "road", 8: "vegetation", 13: "car",
                         255: IGNORED}),
    "idd": ("gray", {0: "road", 3: "sidewalk", 12: "car", 33: "sky",
                     11: IGNORED, 39: IGNORED}),
    # The id of the class in the first of three channels of 16 bits.
    "synthia": ("red16", {3: "road", 1: "sky", 6: "vegetation", 17: "rider",
                          21: "wall", 0: IGNORED, 22: IGNORED}),
    "carla": ("red", {1: "road", 9: "vegetation", 11: "sky", 24: "road",
                      14: "car", 0: IGNORED, 28: IGNORED}),
    "carla_0_9_13": ("red", {7: "road", 6: "road", 13: "sky", 10: "car",
                             22: "terrain", 3: IGNORED}),
    "carla_colors": ("rgb", {(128, 64, 128): "road", (157, 234, 50): "road",
                             (152, 251, 152): "terrain", VOID: IGNORED}),
    "carla_0_9_13_colors": ("rgb", {(100, 40, 40): "fence", VOID: IGNORED,
                                    (145, 170, 100): "terrain"}),
    "camvid": ("rgb", {(128, 128, 128): "sky", (128, 0, 0): "building",
                       (192, 192, 128): "pole", (64, 64, 0): "person",
                       (0, 128, 192): "rider", VOID: IGNORED}),
    "virtual_kitti_2": ("rgb", {(210, 0, 200): "terrain", (0, 139, 139): "car",
                                (0, 199, 0): "vegetation", VOID: IGNORED,
                                (90, 240, 0): "vegetation"}),
    "mapillary_vistas_1_2": ("palette", {13: "road", 27: "sky", 17: "building",
                                         30: "vegetation", 65: IGNORED}),
}  # fmt: skip
# All values that occur in the dataset's files.
NUM_VALUES = {
    "gta5": 36,
    "cityscapes": 36,
    "cityscapes_train_ids": 20,
    "bdd100k": 20,
    "idd": 41,
    "synthia": 23,
    "carla": 29,
    "carla_0_9_13": 23,
    "carla_colors": 29,
    "carla_0_9_13_colors": 23,
    "camvid": 32,
    "virtual_kitti_2": 15,
    "mapillary_vistas_1_2": 66,
}


def write(path, kind, values, label_map):
    """Writes one row of pixels as the dataset does."""
    if kind == "red16":
        # The second channel numbers the instances.
        pixels = [[(value, 4097 + n, 0) for n, value in enumerate(values)]]
        encoded = tf.io.encode_png(tf.constant(pixels, tf.uint16))
        path.write_bytes(encoded.numpy())
        return
    if kind == "rgb":
        pixels = np.array([values], np.uint8)
    elif kind == "red":
        pixels = np.array([[(v, 7, 9, 255) for v in values]], np.uint8)
    else:
        pixels = np.array([values], np.uint8)
    image = Image.fromarray(pixels)
    if kind == "palette":
        palette = np.zeros((256, 3), np.uint8)
        for value, color in label_map.colors:
            palette[value] = (color >> 16, color >> 8 & 255, color & 255)
        image.putpalette(palette.ravel().tolist())
    image.save(path)


def read(path, label_map):
    with Image.open(path) as image:
        image.load()
        header = png.parse_header(path.read_bytes())
        size = image.size[::-1]
        return labels.read_train_ids(image, path, header, label_map, size)


def test_every_shipped_map_is_tried():
    assert list(PUBLISHED) == list(NUM_VALUES)
    assert sorted(PUBLISHED) == label_maps.shipped_maps()


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_values_become_their_classes(tmp_path, name):
    kind, published = PUBLISHED[name]
    label_map = load_label_map(name)
    path = tmp_path / "label.png"
    write(path, kind, list(published), label_map)
    names = [*CITYSCAPES_CLASSES.names, *[IGNORED] * 237]
    found = [names[value] for value in read(path, label_map)[0]]
    assert found == list(published.values())


@pytest.mark.parametrize("name", PUBLISHED)
def test_all_values_are_listed_and_classes_are_those_of_cityscapes(name):
    label_map = load_label_map(name)
    assert len(label_map.values) == NUM_VALUES[name]
    assert label_map.classes == CITYSCAPES_CLASSES


@pytest.mark.parametrize("name", ["synthia", "carla", "idd"])
def test_a_value_beyond_the_published_ones_is_refused(tmp_path, name):
    kind, _ = PUBLISHED[name]
    label_map = load_label_map(name)
    path = tmp_path / "label.png"
    write(path, kind, [0, 99], label_map)
    with pytest.raises(UserError, match=f"label map {name}, found 99"):
        read(path, label_map)


def test_tags_of_another_version_of_carla_are_refused_by_their_colors(
    tmp_path,
):
    path = tmp_path / "label.png"
    write(path, "rgb", [(100, 40, 40)], None)  # fence, before 0.9.14
    with pytest.raises(UserError, match="the 29 colors of the label map carla"):
        read(path, load_label_map("carla_colors"))
