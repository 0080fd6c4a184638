"""Cityscapes beside gtFine: coarse labels, polygons, fog and rain."""

import json

import numpy as np
import pytest
from cityscapesscripts.helpers.annotation import Annotation
from cityscapesscripts.helpers.labels import labels as their_labels
from cityscapesscripts.preparation.json2labelImg import createLabelImage
from PIL import Image

from kliep_tf.data import summaries
from kliep_tf.errors import UserError
from tests.tfrecords_tools.raw_folders import (
    decode,
    frame_pixels,
    write_cityscapes_frame,
)
from tfrecords_tools import polygons
from tfrecords_tools.convert_cityscapes import (
    ConvertCityscapesConfig,
    convert_cityscapes,
)

STEM = "aachen_000000_000019"
LABEL = "image/segmentation/class/encoded"
# A car on a road that reaches beyond the image, on it a plate; a deleted tree.
SCENE = {
    "imgHeight": 4,
    "imgWidth": 6,
    "objects": [
        {"label": "sky", "polygon": [[0, 0], [5, 0], [5, 1], [0, 1]]},
        {"label": "road", "polygon": [[0, 2], [9, 2], [9, 9], [0, 9]]},
        {"label": "cargroup", "polygon": [[1, 1], [3, 1], [3, 3], [1, 3]]},
        {"label": "license plate", "polygon": [[2, 2], [2, 2], [3, 3]]},
        {
            "label": "vegetation",
            "polygon": [[0, 0], [5, 0], [5, 3], [0, 3]],
            "deleted": 1,
        },
        {"label": "parking", "polygon": [[5, 3], [5, 3], [5, 3]]},
    ],
}
# Sky 10, road 0, car 13; parking is not evaluated.
DRAWN = [
    [10, 10, 10, 10, 10, 10],
    [10, 13, 13, 13, 10, 10],
    [0, 13, 13, 13, 0, 0],
    [0, 13, 13, 13, 0, 255],
]


@pytest.fixture
def city(tmp_path):
    write_cityscapes_frame(
        tmp_path / "city", "train", "aachen", STEM, *frame_pixels(0)
    )
    return tmp_path / "city"


def convert(city, **flags):
    out = city.parent / "out"
    convert_cityscapes(
        ConvertCityscapesConfig(
            **{
                "input_dir": str(city),
                "output_dir": str(out),
                "num_workers": 0,
                **flags,
            }
        )
    )
    return out


def write_polygons(city, folder="gtFine", split="train", scene=SCENE):
    path = city / folder / split / "aachen" / f"{STEM}_{folder}_polygons.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(scene if isinstance(scene, str) else json.dumps(scene))
    return path


def test_polygons_serve_where_label_images_are_missing(city, parse):
    write_polygons(city)
    (label_ids,) = city.glob("gtFine/train/aachen/*.png")
    label_ids.unlink()
    out = convert(city)
    np.testing.assert_array_equal(decode(parse(out)[STEM][LABEL]), DRAWN)


def test_label_images_count_more_than_polygons(city, parse):
    write_polygons(city)
    label = decode(parse(convert(city))[STEM][LABEL])
    assert (label != DRAWN).any()


def test_polygons_are_drawn_as_cityscapesscripts_draws_them(tmp_path):
    rng = np.random.default_rng(0)
    names = [one.name for one in their_labels]
    objects = [
        {
            "label": names[rng.integers(len(names))]
            + "group" * int(rng.integers(2)),
            "polygon": rng.integers(-9, 70, [rng.integers(2, 9), 2]).tolist(),
        }
        for _ in range(200)
    ]
    text = json.dumps({"imgHeight": 40, "imgWidth": 60, "objects": objects})
    theirs = Annotation()
    theirs.fromJsonText(text)
    path = tmp_path / "x_polygons.json"
    path.write_text(text)
    np.testing.assert_array_equal(
        polygons.draw_label_ids(path),
        np.asarray(createLabelImage(theirs, "ids")),
    )


def test_coarse_labels_of_train_extra(city, parse):
    image, label = frame_pixels(5)
    write_cityscapes_frame(city, "train_extra", "aachen", STEM, image)
    folder = city / "gtCoarse" / "train_extra" / "aachen"
    folder.mkdir(parents=True)
    Image.fromarray(np.where(label > 6, 7, 0).astype(np.uint8)).save(
        folder / f"{STEM}_gtCoarse_labelIds.png"
    )
    with pytest.raises(UserError, match="--labels=coarse reads gtCoarse"):
        convert(city, split="train_extra")
    out = convert(city, split="train_extra", labels="coarse")
    found = decode(parse(out, "train_extra-*")[STEM][LABEL])
    np.testing.assert_array_equal(found, np.where(label > 6, 0, 255))


def write_variant(city, folder, variant, number):
    path = city / folder / "train" / "aachen" / f"{STEM}_leftImg8bit_"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(frame_pixels(number)[0]).save(f"{path}{variant}.png")


def test_images_in_fog_and_rain_have_the_labels_of_their_frame(city, parse):
    # A frame of which there is no image in fog is no frame left out.
    other = "aachen_000001_000019"
    write_cityscapes_frame(city, "train", "aachen", other, *frame_pixels(3))
    rain = "rain_alpha_0.01_beta_0.005_dropsize_0.01_pattern_1"
    write_variant(city, "leftImg8bit_foggy", "foggy_beta_0.01", 1)
    write_variant(city, "leftImg8bit_foggy", "foggy_beta_0.02", 2)
    write_variant(city, "leftImg8bit_foggyDBF", "foggy_beta_0.02", 4)
    write_variant(city, "leftImg8bit_rain", rain, 5)
    plain = decode(parse(convert(city))[STEM][LABEL])
    cases = {
        "foggy_beta_0.02": {"foggy_beta_0.02": 2},
        "foggy_*": {"foggy_beta_0.01": 1, "foggy_beta_0.02": 2},
        "foggyDBF_beta_0.02": {"foggy_beta_0.02": 4},
        "rain_*": {rain: 5},
    }
    for count, (variant, expected) in enumerate(cases.items()):
        out = city.parent / str(count)
        convert(city, variant=variant, output_dir=str(out))
        examples = parse(out)
        assert set(examples) == {f"{STEM}_{name}" for name in expected}
        for name, number in expected.items():
            example = examples[f"{STEM}_{name}"]
            np.testing.assert_array_equal(
                decode(example["image/encoded"]), frame_pixels(number)[0]
            )
            np.testing.assert_array_equal(decode(example[LABEL]), plain)
        assert summaries.read_summary(out, "train").skipped == []


@pytest.mark.parametrize(
    ("scene", "message"),
    [
        ("{", "expected polygons of Cityscapes"),
        ({"imgHeight": 4, "imgWidth": 6}, "expected polygons of Cityscapes"),
        (
            SCENE | {"objects": [{"label": "sky", "polygon": [[0, 0]]}]},
            "expected polygons of Cityscapes",
        ),
        (
            SCENE | {"objects": [{"label": "moon", "polygon": [[0, 0]] * 3}]},
            "object 0: expected a label of Cityscapes such as road, found",
        ),
    ],
)
def test_what_is_no_annotation_is_told_in_one_line(tmp_path, scene, message):
    path = write_polygons(tmp_path, scene=scene)
    with pytest.raises(UserError, match=message) as error:
        polygons.draw_label_ids(path)
    assert "\n" not in str(error.value)


def test_polygons_of_another_size_leave_the_frame_out(city, capsys):
    (label_ids,) = city.glob("gtFine/train/aachen/*.png")
    label_ids.unlink()
    write_polygons(city, scene=SCENE | {"imgWidth": 7})
    with pytest.raises(UserError, match="image is 4x6, label is 4x7"):
        convert(city)


def test_missing_variants_are_told_in_one_line(city):
    with pytest.raises(UserError, match=r"leftImg8bit_foggy/train: expected"):
        convert(city, variant="foggy_beta_0.02")
    write_variant(city, "leftImg8bit_foggy", "foggy_beta_0.01", 1)
    with pytest.raises(UserError, match=r"_foggy_beta_0.02.png, found none"):
        convert(city, variant="foggy_beta_0.02")
