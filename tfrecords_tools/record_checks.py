"""One record of a shard: what it holds, and what is wrong with it.

The checks run in worker processes, so nothing here may import TensorFlow at
the top: its start-up would cost each worker seconds.
"""

import dataclasses
import io
from typing import Any

import numpy as np
from PIL import Image

from kliep_tf.data import png
from kliep_tf.data.class_sets import ClassSet
from tfrecords_tools.encoding import DAMAGE


@dataclasses.dataclass(frozen=True)
class Record:
    """One record: its values, or the reason why it has none.

    Attributes:
        shard: path of the shard.
        position: in the shard, from 0.
        reason: why there are no values; "" where there are.
        filename: the example's.
        image: encoded.
        image_format: "png" or "jpeg".
        height: of the image, as the record says.
        width: likewise.
        label: encoded, None where there is none.
        weight: the importance weight, None where there is none.
        num_bytes: of the whole example.
    """

    shard: str
    position: int
    reason: str = ""
    filename: str = ""
    image: bytes = b""
    image_format: str = ""
    height: int = 0
    width: int = 0
    label: bytes | None = None
    weight: float | None = None
    num_bytes: int = 0

    def without_pixels(self) -> "Record":
        """Returns the record as it is kept: memory holds no images."""
        label = None if self.label is None else b""
        return dataclasses.replace(self, image=b"", label=label)


def parse_record(data: bytes, shard: str, position: int) -> Record:
    """Returns what a serialized example holds."""
    import tensorflow as tf

    from kliep_tf.data import records

    try:
        features = tf.train.Example.FromString(data).features.feature
    except Exception:  # protobuf's DecodeError has no public name
        features = {}
    needed = (
        (records.ENCODED, "bytes_list"),
        (records.FILENAME, "bytes_list"),
        (records.FORMAT, "bytes_list"),
        (records.HEIGHT, "int64_list"),
        (records.WIDTH, "int64_list"),
    )
    values = {}
    for key, kind in needed:
        values[key] = _first(features, key, kind)
        if values[key] is None:
            keys = ", ".join(sorted(features)[:4])
            return Record(
                shard,
                position,
                f"expected an example with the key {key}, found "
                f"{keys or 'something else'}",
            )
    reason = records.filename_problem(values[records.FILENAME])
    if reason:
        return Record(shard, position, reason)
    return Record(
        shard,
        position,
        "",
        filename=values[records.FILENAME].decode(),
        image=values[records.ENCODED],
        image_format=_format(values[records.FORMAT]),
        height=values[records.HEIGHT],
        width=values[records.WIDTH],
        label=_first(features, records.LABEL_ENCODED, "bytes_list") or None,
        weight=_first(features, records.IMPORTANCE_WEIGHT, "float_list"),
        num_bytes=len(data),
    )


def _format(spelled: bytes) -> str:
    """Returns "jpeg" of b"JPG", b".jpeg" and b"image/jpeg"."""
    name = spelled.decode(errors="replace").lower()
    name = name.removeprefix("image/").removeprefix(".")
    return "jpeg" if name == "jpg" else name


def _first(features: Any, key: str, kind: str) -> Any:
    """Returns a feature's only bytes, int or float, None without one."""
    if key not in features:
        return None
    values = getattr(features[key], kind).value
    return values[0] if len(values) == 1 else None


def check_record(
    record: Record, classes: ClassSet, *, decode: bool = True
) -> tuple[Record, list[str], np.ndarray]:
    """Checks one record.

    Args:
        record: with its pixels.
        classes: of its label.
        decode: whether to look at pixels.

    Returns:
        The record without its pixels, what is wrong with it, and float64 [C],
        the number of its label's pixels of each class.
    """
    class_pixels = np.zeros(len(classes))
    if record.reason:
        return record, [], class_pixels
    reasons = _check_weight(record)
    if decode:
        reasons += _check_image(record)
    if decode and record.label is not None:
        counts, reason = _count_label(record, record.label)
        class_pixels += counts[: len(classes)]
        reasons += [reason or classes.unknown_label(counts)]
    reasons = [reason for reason in reasons if reason]
    return record.without_pixels(), reasons, class_pixels


def _check_image(record: Record) -> list[str]:
    size = (record.height, record.width)
    image, reason = _decode(record.image, "image")
    if image is None:
        return [reason]
    if image.size[::-1] != size:
        return [_wrong_size("image", size, image.size[::-1])]
    found = str(image.format).lower()
    if found != record.image_format:
        return [
            f"expected an image of format {record.image_format!r}, found "
            f"{found!r}"
        ]
    return []


def _count_label(record: Record, encoded: bytes) -> tuple[np.ndarray, str]:
    """Returns int64 [256], pixels by value, and what is wrong with them."""
    counts = np.zeros(256, np.int64)
    size = (record.height, record.width)
    label, reason = _decode(encoded, "label")
    if label is None:
        return counts, reason
    header = png.parse_header(encoded)
    if header is None or (header.bit_depth, header.color_type) != (8, 0):
        found = f"{header.bit_depth} bits" if header else str(label.format)
        return counts, (
            "expected a label in PNG of one channel of 8 bits, found mode "
            f"{label.mode}, {found}"
        )
    if label.size[::-1] != size:
        return counts, _wrong_size("label", size, label.size[::-1])
    return np.bincount(np.asarray(label).ravel(), minlength=256), ""


def _check_weight(record: Record) -> list[str]:
    weight = record.weight
    if weight is None or (np.isfinite(weight) and weight >= 0):
        return []
    return [f"expected an importance weight of 0 or more, found {weight}"]


def _wrong_size(
    what: str, expected: tuple[int, int], found: tuple[int, int]
) -> str:
    return (
        f"expected {what} pixels {expected[0]}x{expected[1]}, found "
        f"{found[0]}x{found[1]}"
    )


def _decode(data: bytes, what: str) -> tuple[Image.Image | None, str]:
    try:
        image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
        image.load()
    except DAMAGE as error:
        return None, (
            f"expected a whole {what}, found {len(data)} bytes that cannot be "
            f"decoded ({type(error).__name__})"
        )
    broken = png.broken_chunk(data)
    if broken:
        return None, (
            f"expected a whole {what}, found one in which the checksum of "
            f"{broken} is another"
        )
    return image, ""
