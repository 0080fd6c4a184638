"""Turns a label file into the right train ids, or refuses it.

Tools that compress PNG files without loss rewrite how pixels are stored: they
renumber a palette, or turn gray ids into a palette of grays. Such files are
read by their colours. Runs in worker processes, so nothing here may import
TensorFlow.
"""

import os

import numpy as np
from PIL import Image

from kliep_tf.data import png
from kliep_tf.errors import DataError
from tfrecords_tools.label_map_rows import ID, RED
from tfrecords_tools.label_maps import LabelMap

_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I")
_BITS_PER_SAMPLE = 258  # a tag of TIFF


def read_train_ids(
    image: Image.Image,
    path: str | os.PathLike,
    header: png.PngHeader | None,
    label_map: LabelMap,
    size: tuple[int, int],
) -> np.ndarray:
    """Returns uint8 [height, width], the train ids of a label file.

    Args:
        image: the decoded file.
        path: of the file, for messages.
        header: of the file, None if it is no PNG.
        label_map: what its values mean.
        size: (height, width) of the result; each of its pixels is the nearest
            of the file's.

    Raises:
        UserError: the file stores labels in another way than the map says, or
            holds a value that the map does not list.
    """
    _refuse_lossy(image, path)
    if label_map.key == ID:
        if image.mode == "P":
            indices = resize_nearest(np.asarray(image), *size)
            return _from_palette(indices, image, path, label_map)
        values = _ids(image, path, header)
    elif label_map.key == RED:
        values = _red_ids(image, path, header)
    else:
        values = _colors(image, path, header)
    return label_map.to_train_ids(resize_nearest(values, *size), path)


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


def _refuse_lossy(image: Image.Image, path: str | os.PathLike) -> None:
    if image.format == "JPEG":
        raise DataError(
            f"{path}: expected a label stored without loss, such as PNG, found "
            "a JPEG, in which values at edges are mixtures"
        )


def _ids(
    image: Image.Image, path: str | os.PathLike, header: png.PngHeader | None
) -> np.ndarray:
    """Returns [H, W], the values of a one-channel file."""
    found = f"mode {image.mode}"
    if image.mode == "L" and header is not None and header.bit_depth < 8:
        # Decoders stretch them to 0..255: 1 of 4 bits is read as 17.
        found = f"{header.bit_depth} bits"
    elif image.mode == "L":
        return np.asarray(image)
    elif image.mode in _SIXTEEN_BITS:
        values = np.asarray(image)
        if values.min() >= 0 and values.max() < 2**16:
            return values.astype(np.uint16)
        found = f"values up to {values.max()}"
    raise DataError(
        f"{path}: expected a label of one channel or a palette, found {found}"
        + _hint(image)
    )


def _hint(image: Image.Image) -> str:
    if image.mode not in ("RGB", "RGBA"):
        return ""
    return "; a label map of colors or red values reads such files"


def _red_ids(
    image: Image.Image, path: str | os.PathLike, header: png.PngHeader | None
) -> np.ndarray:
    """Returns [H, W], the red channel of an RGB file of 8 or 16 bits."""
    if image.mode in _SIXTEEN_BITS:
        return _ids(image, path, header)
    if image.mode not in ("RGB", "RGBA", "P", "L"):
        raise DataError(
            f"{path}: expected a label in the red channel, found mode "
            f"{image.mode}"
        )
    _refuse_deep_tiff(image, path)
    red = np.asarray(image.convert("RGB"))[..., 0]
    if header is None or header.bit_depth < 16:
        return red
    low = _low_bytes(path)
    return red.astype(np.uint16) << 8 | low[..., 0]


def _low_bytes(path: str | os.PathLike) -> np.ndarray:
    """Returns uint8 [H, W, C], the low bytes of a 16-bit colour PNG.

    Pillow keeps the high ones. Told that the file is little endian it keeps
    the others.
    """
    with Image.open(path) as image:
        (tile,) = image.tile
        little = str(tile.args).removesuffix("B") + "L"
        image.tile = [tile._replace(args=little)]
        return np.asarray(image)


def _refuse_deep_tiff(image: Image.Image, path: str | os.PathLike) -> None:
    """Refuses colours of 16 bits in TIFF: Pillow keeps their high bytes."""
    bits = max(getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,)))
    if image.format == "TIFF" and bits > 8:
        raise DataError(
            f"{path}: expected a label of 8 bits a channel, or a PNG, found a "
            f"TIFF of {bits}"
        )


def _colors(
    image: Image.Image, path: str | os.PathLike, header: png.PngHeader | None
) -> np.ndarray:
    """Returns uint32 [H, W], colours as 0xRRGGBB."""
    if image.mode not in ("RGB", "RGBA", "P", "L", "1"):
        raise DataError(
            f"{path}: expected a label of 8-bit colors, found mode {image.mode}"
        )
    _refuse_deep_tiff(image, path)
    if header is not None and header.bit_depth > 8:
        raise DataError(
            f"{path}: expected a label of 8-bit colors, found "
            f"{header.bit_depth} bits"
        )
    rgb = np.asarray(image.convert("RGB")).astype(np.uint32)
    return rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]


def palette_train_ids(
    image: Image.Image,
    indices: np.ndarray,
    path: str | os.PathLike,
    label_map: LabelMap,
) -> dict[int, int] | None:
    """Returns the train ids that a palette gives the indices present.

    None means that the indices are the ids: where the palette gives them the
    dataset's colours, or colours that mean nothing to it. Otherwise colours or
    grays say what the ids were. Where an id that means no class shares the
    colour of a class, as a license plate of GTA5 does with cars, pixels of it
    become that class.

    Args:
        image: of mode P.
        indices: uint8 [H, W], its pixels or some of them.
        path: of the label file, for messages.
        label_map: of ids.

    Raises:
        UserError: colours of the dataset stand at other ids, and not all
            colours are the dataset's.
    """
    palette = image.getpalette("RGB") or []
    present = np.flatnonzero(np.bincount(indices.ravel(), minlength=256))
    colors = {
        int(index): _code(palette[3 * index : 3 * index + 3])
        for index in present
    }
    grays = {
        index: color & 255
        for index, color in colors.items()
        if color == (color & 255) * 0x010101
    }
    known, own = dict(label_map.values), dict(label_map.colors)
    as_expected = [own[i] == color for i, color in colors.items() if i in own]
    if (as_expected and all(as_expected)) or all(
        grays.get(index) == index for index in colors
    ):
        return None
    by_color = _train_id_of_color(label_map)
    if all(color in by_color for color in colors.values()):
        return {index: by_color[color] for index, color in colors.items()}
    if all(grays.get(index) in known for index in colors):
        return {index: known[gray] for index, gray in grays.items()}
    for index, color in colors.items():
        if by_color.get(color, known.get(index)) != known.get(index):
            raise DataError(
                f"{path}: expected a palette that colors the ids of the label "
                f"map {label_map.name}, or none of them, found at {index} the "
                f"color #{color:06x} of another"
            )
    return None


def _from_palette(
    indices: np.ndarray,
    image: Image.Image,
    path: str | os.PathLike,
    label_map: LabelMap,
) -> np.ndarray:
    """Returns the train ids of a palette file whose pixels stand for ids."""
    train_ids = palette_train_ids(image, indices, path, label_map)
    if train_ids is None:
        return label_map.to_train_ids(indices, path)
    table = np.zeros(256, np.uint8)
    for index, train_id in train_ids.items():
        table[index] = train_id
    return table[indices]


def _train_id_of_color(label_map: LabelMap) -> dict[int, int]:
    """Returns the train id of each colour that stands for one class alone.

    A colour of ignored ids and of one class stands for that class.
    """
    known = dict(label_map.values)
    ignored = label_map.classes.ignore_label
    meant: dict[int, set[int]] = {}
    for value, color in label_map.colors:
        meant.setdefault(color, set()).add(known[value])
    found = {}
    for color, train_ids in meant.items():
        classes = train_ids - {ignored} or {ignored}
        if len(classes) == 1:
            found[color] = classes.pop()
    return found


def _code(rgb: list[int]) -> int:
    if len(rgb) < 3:
        return -1  # an index outside of the palette
    return rgb[0] << 16 | rgb[1] << 8 | rgb[2]
