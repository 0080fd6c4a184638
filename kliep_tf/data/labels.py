"""Labels inside the graph: decoded, and checked wherever they are read.

A label whose pixels are not what its record and its dataset say would be
learned from or scored without a word. What is refused names the record.
"""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from kliep_tf.data import images, records
from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.png import parse_header
from kliep_tf.errors import DataError

_KINDS = {0: "gray", 2: "RGB", 3: "palette", 4: "gray and alpha", 6: "RGBA"}


def read_label(
    example: Mapping[str, tf.Tensor],
    classes: ClassSet,
    size: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns an example's label, uint8 [H, W, 1], once it is checked.

    Where the example has no label every pixel has the ignore label.

    Args:
        example: as `records.parse_example` returns it.
        classes: whose train ids the label may hold.
        size: int32 [2], of the decoded image; by default what the example says.

    Raises:
        tf.errors.InvalidArgumentError: the label is no PNG of one channel of 8
            bits, has another size than its image, or holds something else than
            train ids. The message is that of a DataError, which
            `reading.reason_of` gives back.
    """
    encoded = example[records.LABEL_ENCODED]
    if size is None:
        size = tf.stack([example[records.HEIGHT], example[records.WIDTH]])
    size = tf.cast(size, tf.int32)
    where = [example.get(records.SHARD, ""), example[records.FILENAME]]

    def decoded() -> tf.Tensor:
        label = tf.cond(
            images.is_gray_png(encoded),
            lambda: images.decode_label(encoded),
            lambda: _raising(_refuse_encoding, [encoded, *where]),
        )
        bad = _is_wrong(label, size, classes)
        refuse = _refusing(classes)
        return tf.cond(
            bad,
            lambda: _raising(refuse, [label, size, *where]),
            lambda: label,
        )

    ignored = np.uint8(classes.ignore_label)
    label = tf.cond(
        tf.strings.length(encoded) > 0,
        decoded,
        lambda: tf.fill(tf.concat([size, [1]], 0), ignored),
    )
    return tf.ensure_shape(label, [None, None, 1])


def decode_label(
    encoded: bytes,
    classes: ClassSet,
    size: tuple[int, int],
    place: tuple[str, str],
) -> np.ndarray | None:
    """Returns a label uint8 [H, W], checked, outside of a graph.

    Args:
        encoded: as it is stored; b"" where there is none.
        classes: whose train ids the label may hold.
        size: of the decoded image.
        place: the path of the shard and the example's filename.

    Returns:
        None where there is none.

    Raises:
        DataError: as `read_label`.
        tf.errors.InvalidArgumentError: the PNG is damaged behind its header.
    """
    shard, name = (part.encode() for part in place)
    if not encoded:
        return None
    if not images.is_gray_png(encoded):
        _refuse_encoding(encoded, shard, name)
    label = images.decode_label(encoded).numpy()
    counts = np.bincount(label.ravel(), minlength=256)
    if label.shape[:2] != tuple(size) or classes.unknown_label(counts):
        _refusing(classes)(label, np.asarray(size), shard, name)
    return label[:, :, 0]


def _is_wrong(
    label: tf.Tensor, size: tf.Tensor, classes: ClassSet
) -> tf.Tensor:
    """Returns bool []: another size, or a value that is no train id."""
    unknown = (label >= len(classes)) & (label != classes.ignore_label)
    return tf.reduce_any(tf.shape(label)[:2] != size) | tf.reduce_any(unknown)


def _raising(function: Callable, arguments: list[tf.Tensor]) -> tf.Tensor:
    """Returns what would be a label if `function` did not raise."""
    label = tf.numpy_function(function, arguments, tf.uint8)
    return tf.ensure_shape(label, [None, None, 1])


def _refuse_encoding(encoded: bytes, shard: bytes, name: bytes) -> None:
    header = parse_header(encoded)
    found = f"{len(encoded)} bytes that are no PNG, as deeplab2's labels are"
    if header is not None:
        kind = _KINDS.get(header.color_type, "unknown")
        found = f"{header.bit_depth} bits, {kind}"
    raise DataError(
        f"{_place(shard, name)}: expected a label in PNG of one channel of 8 "
        f"bits, found {found}"
    )


def _refusing(classes: ClassSet) -> Callable:
    """Returns the function that says what is wrong with a decoded label."""

    def refuse(
        label: np.ndarray, size: np.ndarray, shard: bytes, name: bytes
    ) -> None:
        height, width = label.shape[:2]
        if [height, width] != size.tolist():
            reason = (
                f"expected a label of its image's size, {size[0]}x{size[1]}, "
                f"found {height}x{width}"
            )
        else:
            counts = np.bincount(label.ravel(), minlength=256)
            reason = classes.unknown_label(counts)
        raise DataError(f"{_place(shard, name)}: {reason}")

    return refuse


def _place(shard: bytes, name: bytes) -> str:
    shown = repr(name.decode(errors="replace"))
    return f"{shard.decode()}, {shown}" if shard else shown
