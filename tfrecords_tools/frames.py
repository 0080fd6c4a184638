"""One raw frame becomes an encoded image, an encoded label and its counts.

Runs in worker processes, so nothing here may import TensorFlow: its start-up
would cost each worker seconds.
"""

import dataclasses
import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from kliep_tf.data import datasets, png
from kliep_tf.errors import UserError

_JPEG_QUALITY = 95
# What Pillow raises on damaged files. A PNG whose chunks make no sense is a
# SyntaxError there.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    Image.DecompressionBombError,
)


@dataclasses.dataclass(frozen=True)
class RawFrame:
    """One frame of a raw dataset, on disk.

    Attributes:
        filename: the example's key: a stem, unique in the dataset.
        image_path: the image file.
        label_path: the label file, None for an unlabelled frame.
        label_is_train_ids: whether the label holds train ids already.
    """

    filename: str
    image_path: Path
    label_path: Path | None = None
    label_is_train_ids: bool = False


@dataclasses.dataclass(frozen=True)
class EncodedFrame:
    """One frame as it goes into a record.

    Attributes:
        filename: the example's key.
        image: encoded RGB image.
        image_format: "png" or "jpeg".
        label: encoded PNG of train ids, None for an unlabelled frame.
        height: of image and label, in pixels.
        width: of image and label, in pixels.
        class_pixels: int64 [19], number of label pixels of each class.
    """

    filename: str
    image: bytes
    image_format: str
    label: bytes | None
    height: int
    width: int
    class_pixels: np.ndarray


def encode_frame(
    frame: RawFrame, *, height: int, width: int, image_format: str
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

    Raises:
        UserError: a file is damaged or holds something else.
    """
    data = frame.image_path.read_bytes()
    image = _decode(frame.image_path, data)
    source_size = image.size
    size = (width or image.width, height or image.height)
    header = png.parse_header(data)
    # A frame that keeps its size keeps its bytes: encoding it again would cost
    # the most time of all and change no pixel.
    copied = (
        image_format == "png"
        and size == source_size
        and header is not None
        and header.is_plain_rgb
    )
    if not copied:
        data = _encode_image(
            _to_rgb(frame.image_path, image), size, image_format
        )
    label, class_pixels = None, np.zeros(datasets.NUM_CLASSES, np.int64)
    if frame.label_path is not None:
        label_ids = read_label(frame.label_path)
        if label_ids.shape != source_size[::-1]:
            raise UserError(
                f"{frame.label_path}: expected the image's size "
                f"{source_size[1]}x{source_size[0]}, found "
                f"{label_ids.shape[0]}x{label_ids.shape[1]}"
            )
        train_ids = to_train_ids(
            resize_nearest(label_ids, *size[::-1]),
            frame.label_path,
            is_train_ids=frame.label_is_train_ids,
        )
        label = png.encode_png(train_ids)
        class_pixels = count_classes(train_ids)
    return EncodedFrame(
        frame.filename,
        data,
        image_format,
        label,
        size[1],
        size[0],
        class_pixels,
    )


def read_label(path: str | os.PathLike) -> np.ndarray:
    """Returns uint8 [H, W], a label file's values.

    Of a palette file these are the indices. Decoders that turn the palette
    into colors or luminance (tf.io.decode_png does) lose them.
    """
    data = Path(path).read_bytes()
    image = _decode(path, data)
    found = f"mode {image.mode}"
    header = png.parse_header(data)
    if image.mode == "L" and header is not None and header.bit_depth < 8:
        # Decoders stretch them to 0..255: 1 of 4 bits is read as 17.
        found = f"{header.bit_depth} bits"
    elif image.mode in ("P", "L"):
        return np.asarray(image)
    raise UserError(
        f"{path}: expected a label of one 8-bit channel or a palette, found "
        f"{found}"
    )


def resize_nearest(label: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns [height, width], the nearest pixel of `label` [H, W] at each.

    An output pixel's center (x + 1/2) * W / width falls into the source pixel
    of the same, rounded down: exact in integers.
    """
    if label.shape == (height, width):
        return label
    rows, columns = (
        (2 * np.arange(new) + 1) * old // (2 * new)
        for old, new in zip(label.shape, (height, width), strict=True)
    )
    return label.take(rows, axis=0).take(columns, axis=1)


def to_train_ids(
    label: np.ndarray, path: str | os.PathLike, *, is_train_ids: bool
) -> np.ndarray:
    """Returns uint8 [H, W]: train ids 0..18, 255 ignored.

    Args:
        label: uint8 [H, W], label ids or train ids.
        path: of the label file, for messages.
        is_train_ids: whether `label` holds train ids already.

    Raises:
        UserError: a value is neither a label id nor (is_train_ids) a train id.
    """
    largest = datasets.MAX_LABEL_ID
    if is_train_ids:
        largest = datasets.NUM_CLASSES - 1
    present = np.flatnonzero(np.bincount(label.ravel(), minlength=256))
    unknown = present[(present > largest) & (present < 255)]
    if unknown.size:
        kind = "train ids" if is_train_ids else "label ids"
        raise UserError(
            f"{path}: expected {kind} 0..{largest} and 255, found {unknown[0]}"
        )
    if is_train_ids:
        return label
    return datasets.train_id_table()[label]


def count_classes(train_ids: np.ndarray) -> np.ndarray:
    """Returns int64 [19], the number of pixels of each class."""
    counts = np.bincount(train_ids.ravel(), minlength=256)
    return counts[: datasets.NUM_CLASSES].astype(np.int64)


def _decode(path: str | os.PathLike, data: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except DAMAGE as error:
        detail = " ".join(str(error).split())
        if isinstance(error, Image.UnidentifiedImageError):
            detail = f"{len(data)} bytes of something else"
        raise UserError(
            f"{path}: expected a whole image, found damage ({detail})"
        ) from error
    broken = png.broken_chunk(data)
    if broken:
        raise UserError(
            f"{path}: expected a whole image, found damage (the checksum of "
            f"{broken} is another)"
        )
    return image


def _to_rgb(path: str | os.PathLike, image: Image.Image) -> Image.Image:
    if image.mode not in ("RGB", "RGBA", "L", "P"):
        raise UserError(
            f"{path}: expected an 8-bit RGB image, found mode {image.mode}"
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
