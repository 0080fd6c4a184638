import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from kliep_tf.data import png
from kliep_tf.errors import UserError
from tfrecords_tools import encoding, labels
from tfrecords_tools.label_maps import load_label_map

# Cityscapes' table, written out: label id -> train id.
TRAIN_IDS = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9,
    23: 10, 24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18,
}  # fmt: skip


def random_pixels(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (4, 6, 3), (1, 9, 3)])
def test_png_decodes_to_the_same_pixels(shape):
    pixels = random_pixels(*shape)
    data = png.encode_png(pixels)
    channels = 1 if len(shape) == 2 else 3
    decoded = tf.io.decode_png(data, channels=channels).numpy()
    np.testing.assert_array_equal(decoded.reshape(shape), pixels)
    image = Image.open(io.BytesIO(data))
    assert image.mode == ("L" if len(shape) == 2 else "RGB")
    np.testing.assert_array_equal(np.asarray(image), pixels)


def test_png_with_a_palette_keeps_indices_and_shows_colors():
    indices = random_pixels(5, 7)
    palette = np.random.default_rng(1).integers(0, 256, (256, 3))
    image = Image.open(io.BytesIO(png.encode_png(indices, palette)))
    assert image.mode == "P"
    np.testing.assert_array_equal(np.asarray(image), indices)
    np.testing.assert_array_equal(image.convert("RGB"), palette[indices])


def test_png_of_a_slice_is_that_of_its_copy():
    pixels = random_pixels(8, 8, 3)[::2, 1:6]
    assert png.encode_png(pixels) == png.encode_png(pixels.copy())


def test_header_tells_size_and_kind(tmp_path):
    Image.new("RGB", (6, 4)).save(tmp_path / "rgb.png")
    Image.new("P", (6, 4)).save(tmp_path / "palette.png")
    header = png.read_header(tmp_path / "rgb.png")
    assert (header.height, header.width) == (4, 6)
    assert header.is_plain_rgb
    assert not png.read_header(tmp_path / "palette.png").is_plain_rgb


def test_every_label_id_becomes_its_train_id():
    label = np.arange(35, dtype=np.uint8).reshape(5, 7)
    expected = [TRAIN_IDS.get(label_id, 255) for label_id in range(35)]
    for name in ("gta5", "cityscapes"):
        train_ids = load_label_map(name).to_train_ids(label, "label.png")
        assert train_ids.ravel().tolist() == expected


def test_train_ids_are_left_alone():
    label = np.array([[0, 18, 255]], np.uint8)
    train_ids = load_label_map("cityscapes_train_ids")
    np.testing.assert_array_equal(train_ids.to_train_ids(label, "a"), label)


@pytest.mark.parametrize(
    ("value", "name", "message"),
    [
        (35, "gta5", r"ids 0\.\.34, 255 .* found 35"),
        (19, "cityscapes_train_ids", "found 19"),
    ],
)
def test_values_that_are_no_labels_are_refused(value, name, message):
    label = np.array([[0, value]], np.uint8)
    with pytest.raises(UserError, match=f"label.png: .*{message}"):
        load_label_map(name).to_train_ids(label, "label.png")


def test_nearest_takes_the_pixel_under_the_center():
    # Three pixels to two: centers at 0.75 and 2.25; two to four: 0.25, 0.75,
    # 1.25, 1.75.
    row = np.array([[10, 20, 30]], np.uint8)
    assert labels.resize_nearest(row, 1, 2).tolist() == [[10, 30]]
    row = np.array([[10, 20]], np.uint8)
    assert labels.resize_nearest(row, 1, 4).tolist() == [[10, 10, 20, 20]]


def test_image_and_label_are_halved_on_one_grid(tmp_path):
    # Blocks of 2x2 equal pixels: area and nearest both give the blocks back.
    image = random_pixels(2, 3, 3)
    label = np.array([[7, 8, 11], [23, 24, 34]], np.uint8)
    frame = write_frame(
        tmp_path,
        image.repeat(2, 0).repeat(2, 1),
        label.repeat(2, 0).repeat(2, 1),
    )
    result = encoding.encode_frame(frame, height=2, width=3, image_format="png")
    np.testing.assert_array_equal(decode(result.image), image)
    assert decode(result.label).tolist() == [[0, 1, 2], [10, 11, 255]]
    assert (result.height, result.width) == (2, 3)
    # One pixel each of road, sidewalk, building, sky and person.
    assert np.flatnonzero(result.class_pixels).tolist() == [0, 1, 2, 10, 11]
    assert result.class_pixels.sum() == 5


def test_area_resize_averages(tmp_path):
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 0] = 100
    frame = write_frame(tmp_path, image, np.zeros((2, 2), np.uint8))
    result = encoding.encode_frame(frame, height=1, width=1, image_format="png")
    assert decode(result.image).tolist() == [[[25, 25, 25]]]


def test_a_frame_that_keeps_its_size_keeps_its_bytes(tmp_path):
    frame = write_frame(tmp_path, random_pixels(4, 6, 3), np.zeros((4, 6)))
    result = encoding.encode_frame(frame, height=0, width=0, image_format="png")
    assert result.image == frame.image_path.read_bytes()


def test_gray_images_become_rgb(tmp_path):
    gray = random_pixels(4, 6)
    frame = write_frame(tmp_path, gray, np.zeros((4, 6)))
    result = encoding.encode_frame(frame, height=0, width=0, image_format="png")
    np.testing.assert_array_equal(
        decode(result.image), np.stack([gray] * 3, axis=-1)
    )


def test_colored_labels_are_refused(tmp_path):
    frame = write_frame(tmp_path, random_pixels(4, 6, 3), np.zeros((4, 6)))
    Image.new("RGB", (6, 4)).save(frame.label.path)
    with pytest.raises(UserError, match=r"label\.png: .*found mode RGB"):
        encoding.encode_frame(frame, height=0, width=0, image_format="png")


@pytest.mark.parametrize("size", [(0, 0), (2, 3)])
@pytest.mark.parametrize("damaged", ["image.png", "label.png"])
def test_pixels_that_are_not_what_their_checksum_says_are_refused(
    tmp_path, damaged, size
):
    """Pillow takes them for an image; TensorFlow would refuse the record."""
    frame = write_frame(tmp_path, random_pixels(4, 6, 3), np.zeros((4, 6)))
    path = tmp_path / damaged
    data = bytearray(path.read_bytes())
    data[data.index(b"IEND") - 5] ^= 1  # the checksum of the pixels
    path.write_bytes(data)
    Image.open(path).load()
    with pytest.raises(UserError, match=f"{damaged}: .*checksum of IDAT"):
        encoding.encode_frame(
            frame, height=size[0], width=size[1], image_format="png"
        )


def test_changed_comment_is_no_damage(tmp_path):
    info = PngInfo()
    info.add_text("comment", "old")
    Image.new("RGB", (6, 4)).save(tmp_path / "a.png", pnginfo=info)
    data = (tmp_path / "a.png").read_bytes().replace(b"old", b"new")
    assert png.broken_chunk(data) == ""


def test_gray_labels_of_few_bits_are_refused(tmp_path):
    """Decoders stretch the ids: road, 7 of 15, would be read as 119."""
    pixels = zlib.compress(bytes([0, 0x07, 0x78]))
    header = struct.pack(">IIBBBBB", 4, 1, 4, 0, 0, 0, 0)
    frame = write_frame(tmp_path, random_pixels(1, 4, 3), np.zeros((1, 4)))
    path = frame.label.path
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )
    assert np.asarray(Image.open(path)).tolist() == [[0, 119, 119, 136]]
    with pytest.raises(UserError, match=r"label\.png: .*found 4 bits"):
        encoding.encode_frame(frame, height=0, width=0, image_format="png")


def chunk(kind, data):
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


def write_frame(folder, image, label):
    raw_label = encoding.RawLabel(folder / "label.png", load_label_map("gta5"))
    frame = encoding.RawFrame("frame", folder / "image.png", raw_label)
    Image.fromarray(image).save(frame.image_path)
    Image.fromarray(label.astype(np.uint8)).save(frame.label.path)
    return frame


def decode(data):
    return np.asarray(Image.open(io.BytesIO(data)))
