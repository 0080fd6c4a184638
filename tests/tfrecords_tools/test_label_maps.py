"""What label maps say, and label files that tools have packed anew."""

import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kliep_tf.data import png
from kliep_tf.errors import UserError
from tests.tfrecords_tools.raw_folders import (
    write_cityscapes_frame,
    write_gta5_frame,
)
from tfrecords_tools import labels
from tfrecords_tools.convert_cityscapes import (
    ConvertCityscapesConfig,
    convert_cityscapes,
)
from tfrecords_tools.convert_gta5 import ConvertGta5Config, convert_gta5
from tfrecords_tools.label_maps import load_label_map

# Road, vegetation, sky, a static thing and a license plate of GTA5.
LABEL = np.array([[7, 21, 23], [4, 7, 34]], np.uint8)
TRAIN_IDS = [[0, 8, 10], [255, 0, 255]]
COLORS = {
    7: (128, 64, 128),
    21: (107, 142, 35),
    23: (70, 130, 180),
    4: (20, 20, 20),
    34: (0, 0, 142),
}


def read(image, name="gta5"):
    """Returns the train ids of an image, once it is a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    data = buffer.getvalue()
    with Image.open(io.BytesIO(data)) as file:
        file.load()
        return labels.read_train_ids(
            file,
            "label.png",
            png.parse_header(data),
            load_label_map(str(name)),
            (image.height, image.width),
        ).tolist()


def with_palette(indices, colors):
    image = Image.fromarray(np.asarray(indices, np.uint8))
    image.putpalette(np.asarray(colors, np.uint8).ravel().tolist())
    return image


def renumbered(label, color_of):
    """As an optimiser does: entries in order of appearance, no other ones."""
    ids = list(dict.fromkeys(label.ravel().tolist()))
    indices = np.vectorize(ids.index)(label)
    return with_palette(indices, [color_of(one) for one in ids])


def test_cityscapes_map_is_that_of_cityscapesscripts():
    table = pytest.importorskip("cityscapesscripts.helpers.labels").labels
    known = dict(load_label_map("cityscapes").values)
    for one in table:
        if one.id >= 0:
            assert known[one.id] == one.trainId % 256


# Palettes


def test_palette_of_the_dataset_itself():
    palette = np.zeros((256, 3))
    for index, color in COLORS.items():
        palette[index] = color
    assert read(with_palette(LABEL, palette)) == TRAIN_IDS


def test_renumbered_palette_is_read_by_its_colors():
    # The plate's colour is that of cars; renumbered, they are told apart no
    # more.
    image = renumbered(LABEL, COLORS.get)
    assert read(image) == [[0, 8, 10], [255, 0, 13]]


def test_gray_ids_that_became_a_palette_are_read_by_their_grays():
    image = renumbered(LABEL, lambda one: (one, one, one))
    assert read(image) == TRAIN_IDS


def test_palette_of_grays_in_their_own_places():
    ramp = [(value, value, value) for value in range(256)]
    assert read(with_palette(LABEL, ramp)) == TRAIN_IDS


def test_palette_of_colors_that_mean_nothing_leaves_the_ids():
    colors = np.random.default_rng(0).integers(200, 256, (256, 3))
    assert read(with_palette(LABEL, colors)) == TRAIN_IDS


def test_palette_that_colors_other_ids_is_refused():
    palette = np.full((256, 3), (1, 2, 3))
    palette[7] = COLORS[23]  # the road has the colour of the sky
    with pytest.raises(UserError, match=r"label.png: .*at 7 the color #4682"):
        read(with_palette(LABEL, palette))


# Train ids in place of label ids


def convert(tmp_path, label, **flags):
    write_gta5_frame(
        tmp_path / "gta5", "00001", np.zeros((2, 3, 3), np.uint8), label
    )
    Image.fromarray(label).save(tmp_path / "gta5" / "labels" / "00001.png")
    convert_gta5(
        ConvertGta5Config(
            input_dir=str(tmp_path / "gta5"),
            output_dir=str(tmp_path / "out"),
            num_workers=0,
            **flags,
        )
    )


def test_train_ids_in_place_of_label_ids_are_refused(tmp_path):
    label = np.array(TRAIN_IDS, np.uint8)
    with pytest.raises(UserError, match=r"sky 23\), found only 0, 8, 10, 255"):
        convert(tmp_path, label)
    assert not (tmp_path / "out").exists()


def test_label_map_says_that_they_are_train_ids(tmp_path, parse):
    convert(
        tmp_path,
        np.array(TRAIN_IDS, np.uint8),
        label_map="cityscapes_train_ids",
    )
    (example,) = parse(tmp_path / "out").values()
    label = tf.io.decode_png(example["image/segmentation/class/encoded"])
    assert label[..., 0].numpy().tolist() == TRAIN_IDS


def test_train_ids_are_refused_under_the_names_of_cityscapes_too(tmp_path):
    write_cityscapes_frame(
        tmp_path / "city",
        "train",
        "aachen",
        "aachen_000000_000019",
        np.zeros((2, 3, 3), np.uint8),
        np.array(TRAIN_IDS, np.uint8),
    )
    config = ConvertCityscapesConfig(
        input_dir=str(tmp_path / "city"),
        output_dir=str(tmp_path / "out"),
        num_workers=0,
    )
    with pytest.raises(UserError, match="found only 0, 8, 10, 255"):
        convert_cityscapes(config)


@pytest.mark.parametrize(
    "ids", [[0, 7, 8], [0, 1, 2, 3], [4, 7, 23], [7, 9, 26]]
)
def test_few_label_ids_are_not_taken_for_train_ids(tmp_path, ids):
    label = np.resize(np.array(ids, np.uint8), (2, 3))
    convert(tmp_path, label)


# Encodings


def test_ids_of_16_bits(tmp_path):
    (tmp_path / "map.csv").write_text("id,class\n300,road\n7,sky\n")
    image = Image.fromarray(np.array([[300, 7]], np.uint16))
    assert read(image, tmp_path / "map.csv") == [[0, 1]]


def test_ids_in_a_red_channel_of_8_bits(tmp_path):
    (tmp_path / "map.csv").write_text("red,class\n3,road\n7,sky\n")
    pixels = np.array([[[3, 200, 9], [7, 0, 0]]], np.uint8)
    assert read(Image.fromarray(pixels), tmp_path / "map.csv") == [[0, 1]]


def test_ids_in_a_red_channel_of_16_bits(tmp_path):
    """Pillow keeps the high bytes alone, in which every id is 0."""
    (tmp_path / "map.csv").write_text("red,class\n3,road\n7,sky\n300,car\n")
    pixels = np.array([[[3, 9, 1], [7, 65535, 0]], [[300, 1, 0], [3, 3, 3]]])
    path = tmp_path / "label.png"
    encoded = tf.io.encode_png(tf.constant(pixels, tf.uint16)).numpy()
    path.write_bytes(encoded)
    with Image.open(path) as image:
        train_ids = labels.read_train_ids(
            image,
            path,
            png.parse_header(encoded),
            load_label_map(str(tmp_path / "map.csv")),
            (2, 2),
        )
    assert train_ids.tolist() == [[0, 1], [2, 0]]


@pytest.mark.parametrize("kind", ["RGB", "RGBA", "P"])
def test_colors(tmp_path, kind):
    rows = [
        {"color": [128, 64, 128], "class": "road"},
        {"color": "#4682b4", "class": "sky"},
        {"color": "0 0 0", "class": ""},
    ]
    (tmp_path / "map.json").write_text(json.dumps(rows))
    colors = [COLORS[23], COLORS[7], (0, 0, 0)]
    image = with_palette([[0, 1, 2]], colors)
    image = image if kind == "P" else image.convert(kind)
    assert read(image, tmp_path / "map.json") == [[1, 0, 255]]


def test_color_that_the_map_does_not_list_is_named(tmp_path):
    (tmp_path / "map.csv").write_text("color,class\n128 64 128,road\n")
    image = Image.new("RGB", (2, 1), (129, 64, 128))
    with pytest.raises(UserError, match=r"the 1 colors of .*found #814080"):
        read(image, tmp_path / "map.csv")


# Files


def test_class_without_a_value_has_its_number(tmp_path):
    (tmp_path / "map.csv").write_text(
        "id,class\n7,road\n,train\n23,sky\n8,road"
    )
    found = load_label_map(str(tmp_path / "map.csv"))
    assert found.classes.names == ("road", "train", "sky")
    assert dict(found.values) == {7: 0, 23: 2, 8: 0}
    assert len({one.color for one in found.classes.classes}) == 3


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "a table of label values"),
        ("a.csv", "id,name\n1,road\n", "the columns class and one of id"),
        (
            "a.csv",
            "id,class\n-1,road\n",
            r"row 1: expected an id .*'-1'",
        ),
        ("a.csv", "id,class\n1,a\n65536,b\n", "row 2: .* 0 to 65535"),
        ("a.csv", "id,class\n1,a\n1,b\n", "found 1 repeated"),
        ("a.csv", "color,class\n1 2,a\n", "expected a color .* found '1 2'"),
        ("a.csv", "color,class\n#12345g,a\n", "expected a color"),
        ("a.csv", "id,red,class\n1,1,a\n", "one of id, red and color"),
        ("a.json", "{", "CSV or JSON, found no JSON"),
        ("a.json", '{"id": 1}', "a table of label values"),
        ("a.json", "[" * 100_000, "CSV or JSON, found values nested"),
    ],
)
def test_mistakes_in_a_map_are_one_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message) as error:
        load_label_map(str(tmp_path / name))
    assert "\n" not in str(error.value)


def test_map_whose_classes_cannot_be_is_named(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("id,class\n" + "".join(f"{i},c{i}\n" for i in range(300)))
    with pytest.raises(UserError, match=r"mine\.csv: classes of mine: "):
        load_label_map(str(path))
