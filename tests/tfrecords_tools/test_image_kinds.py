"""Each kind of image file, made by hand, and its right pixels."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from kliep_tf.errors import UserError
from tfrecords_tools import raw_files
from tfrecords_tools.encoding import RawFrame, RawLabel, encode_frame
from tfrecords_tools.label_maps import load_label_map

# What 8 bits keep of 16 are the high ones: 0x12 of 0x1234.
DEEP = np.array([[0x0000, 0x1234], [0xABCD, 0xFFFF]], np.uint16)
GRAY = np.array([[0x00, 0x12], [0xAB, 0xFF]], np.uint8)
DEEP_RGB = np.stack([DEEP, DEEP.T, DEEP[::-1]], -1)
RGB = np.stack([GRAY, GRAY.T, GRAY[::-1]], -1)
ALPHA = np.full((2, 2), 9000, np.uint16)
# 0th row, 0th column as EXIF names them, by orientation: how the pixels of
# [[1, 2, 3], [4, 5, 6]] lie when they are upright.
UPRIGHT = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[4, 1], [5, 2], [6, 3]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[3, 6], [2, 5], [1, 4]],
}


def png_16(pixels, color_type):
    """Returns a PNG of 16 bits a channel, which Pillow writes of gray alone."""

    def chunk(kind, data):
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def tiff_16(pixels, order):
    """Returns a TIFF of 16 bits a channel, little ("<") or big endian."""
    height, width = pixels.shape[:2]
    channels = pixels.size // (height * width)
    bits = struct.pack(order + "H" * channels, *[16] * channels)
    tags = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, channels, None),
        (259, 3, 1, 1),
        (262, 3, 1, 1 if channels == 1 else 2),
        (273, 4, 1, 0),
        (277, 3, 1, channels),
        (278, 4, 1, height),
        (279, 4, 1, 2 * pixels.size),
    ]
    end = 8 + 2 + 12 * len(tags) + 4
    entries = b""
    for tag, kind, count, value in tags:
        value = end + len(bits) if tag == 273 else value
        field = struct.pack(order + ("H" if kind == 3 else "I"), value or 0)
        if tag == 258:
            field = bits if channels == 1 else struct.pack(order + "I", end)
        entries += struct.pack(order + "HHI", tag, kind, count)
        entries += field.ljust(4, b"\0")
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    magic = b"II*\0" if order == "<" else b"MM\0*"
    head = magic + struct.pack(order + "IH", 8, len(tags))
    return head + entries + struct.pack(order + "I", 0) + bits + data


def converted(path, label=None):
    frame = encode_frame(
        RawFrame("x", path, label), height=0, width=0, image_format="png"
    )
    return np.asarray(Image.open(io.BytesIO(frame.image)))


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("gray.png", png_16(DEEP, 0), GRAY),
        ("gray_alpha.png", png_16(np.dstack([DEEP, ALPHA]), 4), GRAY),
        ("rgb.PNG", png_16(DEEP_RGB, 2), RGB),
        ("rgba.png", png_16(np.dstack([DEEP_RGB, ALPHA]), 6), RGB),
        ("little_gray.tiff", tiff_16(DEEP, "<"), GRAY),
        ("big_gray.tiff", tiff_16(DEEP, ">"), GRAY),
        ("little_rgb.TIF", tiff_16(DEEP_RGB, "<"), RGB),
        ("big_rgb.tif", tiff_16(DEEP_RGB, ">"), RGB),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_sixteen_bits_give_their_high_ones(tmp_path, name, data, expected):
    (tmp_path / name).write_bytes(data)
    if expected.ndim == 2:
        expected = np.stack([expected] * 3, -1)
    np.testing.assert_array_equal(converted(tmp_path / name), expected)


@pytest.mark.parametrize("ending", ["png", "PNG", "webp", "TIFF"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P"])
def test_eight_bits_give_their_colors(tmp_path, ending, mode):
    image = Image.fromarray(RGB).convert("RGBA")
    image.putalpha(Image.fromarray(np.array([[0, 99], [255, 7]], np.uint8)))
    image = image.convert("RGB") if mode == "P" else image
    image = image.convert(mode)
    options = {"lossless": True, "exact": True} if ending == "webp" else {}
    image.save(tmp_path / f"x.{ending}", **options)
    # Alpha is dropped: the colours are those that are stored.
    np.testing.assert_array_equal(
        converted(tmp_path / f"x.{ending}"),
        np.asarray(
            image.convert("L" if mode == "LA" else "RGB").convert("RGB")
        ),
    )


@pytest.mark.parametrize("ending", ["png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_turns_image_and_size(tmp_path, ending, orientation):
    path = tmp_path / f"x.{ending}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.stack([np.array(UPRIGHT[1], np.uint8)] * 3, -1)
    options = {"lossless": True} if ending == "webp" else {}
    Image.fromarray(stored).save(path, exif=exif, **options)
    pixels = converted(path)
    np.testing.assert_array_equal(pixels[..., 0], UPRIGHT[orientation])
    # A label is drawn upright: it belongs to the image as it is seen.
    Image.fromarray(pixels[..., 0] + 6).save(tmp_path / "label.png")
    label = RawLabel(tmp_path / "label.png", load_label_map("cityscapes"))
    frame = RawFrame("x", path, label)
    kept, skipped = raw_files.check_files([frame], tmp_path, (0, 0))
    assert (kept, skipped) == ([frame], [])
    converted(path, label)


def test_turning_is_said(tmp_path, capsys):
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, options in (("a", {"exif": exif}), ("b", {})):
        Image.new("RGB", (3, 2)).save(tmp_path / f"{name}.png", **options)
    frames = [RawFrame(name, tmp_path / f"{name}.png") for name in "ab"]
    raw_files.check_files(frames, tmp_path, (0, 0))
    assert "1 of 2 images are turned upright" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("map_name", "name", "data"),
    [
        ("carla", "x.tiff", tiff_16(DEEP_RGB, "<")),
        ("camvid", "x.tiff", tiff_16(DEEP_RGB, ">")),
        ("camvid", "x.png", png_16(DEEP_RGB, 2)),
    ],
)
def test_labels_whose_low_bits_would_be_lost_are_refused(
    tmp_path, map_name, name, data
):
    (tmp_path / name).write_bytes(data)
    Image.fromarray(RGB).save(tmp_path / "image.png")
    label = RawLabel(tmp_path / name, load_label_map(map_name))
    with pytest.raises(UserError, match="expected a label of 8"):
        converted(tmp_path / "image.png", label)
