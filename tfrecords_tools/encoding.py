"""Turns one raw frame into an encoded image, an encoded label and counts.

Runs in worker processes, so nothing here may import TensorFlow: its start-up
would cost each worker seconds.
"""

import dataclasses
import io
import os
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from kliep_tf.data import png
from kliep_tf.errors import DataError
from tfrecords_tools.label_maps import LabelMap
from tfrecords_tools.labels import read_train_ids, resize_nearest
from tfrecords_tools.polygons import draw_label_ids, is_polygons

_JPEG_QUALITY = 95
# The EXIF orientations that say that an image is to be turned or mirrored.
TURNED = range(2, 9)
# deeplab2's panoptic_label_divisor of Cityscapes.
_PANOPTIC_DIVISOR = 1000
_SIXTEEN_BIT_GRAY = ("I;16", "I;16B", "I;16L")
# What Pillow raises on damaged files. A PNG whose chunks make no sense is a
# SyntaxError there.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    Image.DecompressionBombError,
)


# With slots: there may be a million of each.
@dataclasses.dataclass(frozen=True, slots=True)
class RawLabel:
    """One label file.

    Attributes:
        path: of the file.
        label_map: what its values mean.
    """

    path: Path
    label_map: LabelMap


@dataclasses.dataclass(frozen=True, slots=True)
class RawFrame:
    """One frame of a raw dataset, on disk.

    Attributes:
        filename: the example's key: a stem, unique in the dataset.
        image_path: the image file.
        label: None for an unlabelled frame.
    """

    filename: str
    image_path: Path
    label: RawLabel | None = None


@dataclasses.dataclass(frozen=True)
class EncodedFrame:
    """One frame as it goes into a record.

    Attributes:
        filename: the example's key.
        image: encoded RGB image.
        image_format: "png" or "jpeg".
        label: encoded train ids, None for an unlabelled frame.
        label_format: "png" or "raw".
        height: of image and label, in pixels.
        width: of image and label, in pixels.
        class_pixels: int64 [C], number of label pixels of each class; of a
            frame without a label [0].
    """

    filename: str
    image: bytes
    image_format: str
    label: bytes | None
    label_format: str
    height: int
    width: int
    class_pixels: np.ndarray


def encode_frame(
    frame: RawFrame,
    *,
    height: int,
    width: int,
    image_format: str,
    raw_label: bool = False,
) -> EncodedFrame:
    """Reads, resizes and encodes one frame.

    The image is resized by area (box filter), the label by nearest neighbour,
    both on the grid of pixel centers, so that they stay aligned. Nothing is
    cropped: where the aspect ratio differs, it changes.

    Args:
        frame: where to read.
        height: of the result; 0 keeps the source's.
        width: of the result; 0 keeps the source's.
        image_format: "png" or "jpeg".
        raw_label: whether the label is stored as deeplab2 reads it.

    Raises:
        DataError: a file is damaged or holds something else.
    """
    data = frame.image_path.read_bytes()
    image = decode_image(frame.image_path, data)
    upright = image
    if image.getexif().get(ExifTags.Base.Orientation) in TURNED:
        upright = ImageOps.exif_transpose(image)
    source_size = upright.size
    size = (width or upright.width, height or upright.height)
    # A frame that keeps its size keeps its bytes: encoding it again would cost
    # the most time of all and change no pixel, or, of a JPEG, worsen them.
    copied = (
        size == source_size
        and upright is image
        and _is_plain(image, data, image_format)
    )
    if not copied:
        rgb = _to_rgb(frame.image_path, upright)
        data = _encode_image(rgb, size, image_format)
    label, class_pixels = None, np.zeros(0, np.int64)
    if frame.label is not None:
        train_ids = _read_label(frame.label, source_size[::-1], size[::-1])
        encode = panoptic_label if raw_label else png.encode_png
        label = encode(train_ids)
        counts = np.bincount(train_ids.ravel(), minlength=256)
        class_pixels = counts[: len(frame.label.label_map.classes)]
    return EncodedFrame(
        frame.filename,
        data,
        image_format,
        label,
        "raw" if raw_label else "png",
        size[1],
        size[0],
        class_pixels,
    )


def panoptic_label(train_ids: np.ndarray) -> bytes:
    """Returns the bytes of deeplab2's label: class times 1000 plus instance.

    They are little-endian int32, row by row. No instance is known: all are 0.
    """
    return (train_ids.astype("<i4") * _PANOPTIC_DIVISOR).tobytes()


def decode_image(path: str | os.PathLike, data: bytes) -> Image.Image:
    """Returns the decoded image of a file's bytes, as it is stored.

    Raises:
        DataError: they are no image, or are damaged.
    """
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except DAMAGE as error:
        detail = " ".join(str(error).split())
        if isinstance(error, UnidentifiedImageError):
            detail = f"{len(data)} bytes of something else"
        raise DataError(
            f"{path}: expected a whole image, found damage ({detail})"
        ) from error
    broken = png.broken_chunk(data)
    if broken:
        raise DataError(
            f"{path}: expected a whole image, found damage (the checksum of "
            f"{broken} is another)"
        )
    return image


def _read_label(
    label: RawLabel, source_size: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """Returns uint8 [H, W] of `size`, the train ids of a label."""
    if is_polygons(label.path):
        drawn = draw_label_ids(label.path)
        _require_size(label.path, source_size, drawn.shape)
        return label.label_map.to_train_ids(
            resize_nearest(drawn, *size), label.path
        )
    data = label.path.read_bytes()
    image = decode_image(label.path, data)
    _require_size(label.path, source_size, image.size[::-1])
    header = png.parse_header(data)
    return read_train_ids(image, label.path, header, label.label_map, size)


def _require_size(
    path: Path, expected: tuple[int, ...], found: tuple[int, ...]
) -> None:
    if expected != found:
        raise DataError(
            f"{path}: expected the image's size {expected[0]}x{expected[1]}, "
            f"found {found[0]}x{found[1]}"
        )


def _is_plain(image: Image.Image, data: bytes, image_format: str) -> bool:
    """Whether the bytes are of the format asked for, 8-bit RGB."""
    if image_format == "png":
        header = png.parse_header(data)
        return header is not None and header.is_plain_rgb
    return (image.format, image.mode) == ("JPEG", "RGB")


def _to_rgb(path: str | os.PathLike, image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BIT_GRAY:
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode not in ("RGB", "RGBA", "L", "LA", "P", "PA", "1"):
        raise DataError(
            f"{path}: expected an RGB or gray image, found mode {image.mode}"
        )
    return image.convert("RGB") if image.mode != "RGB" else image


def _encode_image(
    image: Image.Image, size: tuple[int, int], image_format: str
) -> bytes:
    if image.size != size:
        image = image.resize(size, Image.Resampling.BOX)
    if image_format == "png":
        return png.encode_png(np.asarray(image))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()
