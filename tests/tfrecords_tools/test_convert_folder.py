import os

import numpy as np
import pytest
from PIL import Image

from kliep_tf.data import summaries
from kliep_tf.errors import UserError
from tests.tfrecords_tools.raw_folders import decode, frame_pixels
from tfrecords_tools.convert_folder import ConvertFolderConfig, convert_folder

# Ground, things and sky; 9 is known and means none of them.
THREE = "id,class,color\n7,ground,128 64 128\n8,ground,\n11,things,#464646\n"
THREE += "23,sky,70 130 180\n9,,\n"
IDS = np.array([7, 8, 11, 23, 9], np.uint8)
TRAIN_IDS = [0, 0, 1, 2, 255]


@pytest.fixture
def drive(tmp_path):
    """Two sequences of JPEG images and one-channel labels, names apart."""
    for sequence in ("one", "two"):
        for number in range(2):
            seed = number + 2 * (sequence == "two")
            image, _ = frame_pixels(seed)
            label = IDS[np.random.default_rng(seed).integers(0, 5, (4, 6))]
            folder = tmp_path / "drive" / sequence
            for kind in ("rgb", "seg"):
                (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / "rgb" / f"{number}_rgb.JPG")
            Image.fromarray(label).save(folder / "seg" / f"{number}_seg.png")
    (tmp_path / "three.csv").write_text(THREE)
    return tmp_path / "drive"


def convert(drive, **flags):
    values = {
        "images": str(drive / "**" / "*_rgb.JPG"),
        "labels": str(drive / "**" / "*_seg.png"),
        "join": "(?P<key>[^/]+)_(rgb|seg)[.]",
        "label_map": str(drive.parent / "three.csv"),
        "output_dir": str(drive.parent / "out"),
        "num_workers": 0,
    }
    convert_folder(ConvertFolderConfig(**{**values, **flags}))
    return drive.parent / "out"


def one_sequence(drive, **flags):
    globs = {kind: str(drive / "one" / kind / "*") for kind in ("rgb", "seg")}
    return convert(
        drive, **{"images": globs["rgb"], "labels": globs["seg"], **flags}
    )


def test_images_and_labels_are_joined_and_mapped(drive, parse):
    examples = parse(one_sequence(drive))
    assert sorted(examples) == ["0", "1"]
    for name, example in examples.items():
        label = np.asarray(
            Image.open(drive / "one" / "seg" / f"{name}_seg.png")
        )
        wanted = dict(zip(IDS.tolist(), TRAIN_IDS, strict=True))
        np.testing.assert_array_equal(
            decode(example["image/segmentation/class/encoded"]),
            np.vectorize(wanted.get)(label),
        )
        image = Image.open(drive / "one" / "rgb" / f"{name}_rgb.JPG")
        np.testing.assert_array_equal(
            decode(example["image/encoded"]), np.asarray(image)
        )


def test_dataset_json_holds_the_classes_of_the_map(drive):
    summary = summaries.read_summary(one_sequence(drive), "train")
    assert summary.classes.names == ("ground", "things", "sky")
    assert summary.classes.classes[0].raw_ids == (7, 8)
    assert summary.classes.classes[1].color == (70, 70, 70)
    assert list(summary.class_pixel_shares) == ["ground", "things", "sky"]
    assert (summary.dataset, summary.labelled) == ("one", 2)


def test_equal_names_in_two_folders_need_a_join(drive, parse):
    with pytest.raises(UserError, match=r"'0' at .*one/rgb/0_rgb.JPG too"):
        convert(drive)
    for sequence in ("one", "two"):
        for path in (drive / sequence).glob("*/*"):
            kind, number = path.parent.name, path.name[0]
            path.rename(drive / f"{sequence}_{number}_{kind}{path.suffix}")
    out = convert(drive, images=str(drive / "*_rgb.JPG"),
                  labels=str(drive / "*_seg.png"))  # fmt: skip
    assert sorted(parse(out)) == ["one_0", "one_1", "two_0", "two_1"]


def test_folders_in_a_key_become_part_of_the_filename(drive, parse):
    out = convert(
        drive, labels="", label_map="", join=r"(?P<key>(one|two)/rgb/\d)"
    )
    names = sorted(parse(out, labels=False))
    assert names == ["one_rgb_0", "one_rgb_1", "two_rgb_0", "two_rgb_1"]
    assert summaries.read_summary(out, "train").labelled == 0


def test_pairs_come_from_a_csv_file(drive, parse):
    (drive / "pairs.csv").write_text(
        "image,label\ntwo/rgb/0_rgb.JPG,two/seg/0_seg.png\n"
        "one/rgb/1_rgb.JPG,one/seg/1_seg.png\n"
    )
    out = convert(
        drive, images="", labels="", join="", pairs=str(drive / "pairs.csv")
    )
    assert sorted(parse(out)) == ["0_rgb", "1_rgb"]


def test_frames_without_image_or_label_are_skipped_by_name(drive, capsys):
    (drive / "one" / "seg" / "0_seg.png").rename(
        drive / "one" / "seg" / "9_seg.png"
    )
    out = one_sequence(drive)
    skipped = summaries.read_summary(out, "train").skipped
    assert skipped == [
        {"file": "rgb/0_rgb.JPG", "reason": "has no label"},
        {"file": "seg/9_seg.png", "reason": "has no image"},
    ]


def test_orientation_of_exif_is_honoured_and_said(drive, parse, capsys):
    image = Image.new("RGB", (6, 4), "red")
    image.paste("blue", (0, 0, 6, 1))  # the top row as stored
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: the top goes to the right
    path = drive / "one" / "rgb" / "0_rgb.png"
    image.save(path, exif=exif)
    image.save(path.with_suffix(".webp"), exif=exif, lossless=True)
    out = convert(
        drive, images=str(path.with_suffix(".webp")), labels="", label_map=""
    )
    (example,) = parse(out, labels=False).values()
    pixels = decode(example["image/encoded"])
    assert pixels.shape == (6, 4, 3)
    assert (pixels[:, -1] == (0, 0, 255)).all()
    assert (pixels[:, 0] == (255, 0, 0)).all()
    assert "1 of 1 images are turned upright" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["L", "LA", "RGBA", "P", "1", "I;16"])
def test_other_kinds_of_images_become_rgb(drive, parse, kind):
    gray = np.array([[0, 255], [255, 0]], np.uint8)
    if kind == "I;16":
        image = Image.fromarray(gray.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(gray).convert(kind)
    image.save(drive / "x.tiff")
    out = convert(drive, images=str(drive / "x.tiff"), labels="", label_map="",
                  join="")  # fmt: skip
    pixels = decode(parse(out, labels=False)["x"]["image/encoded"])
    np.testing.assert_array_equal(pixels, np.stack([gray] * 3, -1))


def test_jpeg_that_keeps_its_size_keeps_its_bytes(drive, parse):
    examples = parse(one_sequence(drive, image_format="jpeg"))
    for name, example in examples.items():
        path = drive / "one" / "rgb" / f"{name}_rgb.JPG"
        assert example["image/encoded"] == path.read_bytes()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"images": ""}, "one of --images and --pairs, found neither"),
        ({"pairs": "a.csv"}, "found both"),
        ({"label_map": ""}, "--label_map is missing"),
        ({"label_map": "gta6"}, "a CSV or JSON file or one of .*gta5"),
        ({"images": "nowhere/*.png"}, "nowhere is no folder"),
        ({"join": "("}, "a regular expression"),
        ({"join": "(rgb)"}, r"a group \(\?P<key>"),
        ({"join": "(?P<key>x+)"}, "expected a match in .*, found none"),
        ({"join": ""}, "labels with the keys of images, found '0_seg'"),
        ({"split": "a/b"}, "--split=a/b"),
    ],
)
def test_mistakes_are_told_in_one_line(drive, flags, message):
    with pytest.raises(UserError, match=message) as error:
        one_sequence(drive, **flags)
    assert "\n" not in str(error.value)
    assert not (drive.parent / "out").exists()


def test_label_map_is_known_by_what_it_says(drive, monkeypatch):
    out = one_sequence(drive)
    before = {path: path.read_bytes() for path in out.glob("*.tfrecord")}
    monkeypatch.chdir(drive.parent)
    map_file = drive.parent / "three.csv"
    os.utime(map_file, (1e9, 1e9))
    one_sequence(drive, label_map="./three.csv")
    map_file.rename("same.csv")
    map_file.write_text(THREE.replace("sky", "air"))
    with pytest.raises(UserError, match="label map has changed"):
        one_sequence(drive)
    with pytest.raises(UserError, match=r"label map has changed.*same[.]csv"):
        # Of the same name it would be a copy.
        one_sequence(drive, label_map="same.csv")
    assert before == {path: path.read_bytes() for path in before}


def test_glob_finds_endings_of_either_case(drive, parse):
    Image.open(drive / "one" / "rgb" / "0_rgb.JPG").save(
        drive / "one" / "rgb" / "2_rgb.jpg"
    )
    out = convert(drive, images=str(drive / "one" / "**" / "*.jpg"), labels="",
                  label_map="", join="")  # fmt: skip
    assert sorted(parse(out, labels=False)) == ["0_rgb", "1_rgb", "2_rgb"]


def test_jpeg_labels_are_refused(drive):
    for path in (drive / "one" / "seg").iterdir():
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    with pytest.raises(UserError, match=r"0_seg\.jpg: .*without loss.*a JPEG"):
        one_sequence(drive)


def test_a_cut_off_jpeg_is_found_before_anything_is_written(drive):
    path = drive / "one" / "rgb" / "0_rgb.JPG"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"0_rgb\.JPG: expected a whole JPEG"):
        one_sequence(drive)
    assert not (drive.parent / "out").exists()


def test_file_name_that_is_no_utf8_is_told_in_one_line(drive):
    folder = bytes(drive / "one" / "rgb")
    try:
        os.rename(folder + b"/0_rgb.JPG", folder + b"/caf\xe9_rgb.JPG")
    except OSError:
        pytest.skip("this file system keeps such names out itself")
    with pytest.raises(UserError, match=r"in UTF-8, found b'caf\\xe9_rgb") as e:
        one_sequence(drive, labels="", label_map="")
    str(e.value).encode()
    assert not (drive.parent / "out").exists()
