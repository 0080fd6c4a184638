"""Hand-made raw folders for the converters' tests."""

import io
from pathlib import Path

import numpy as np
from PIL import Image


def frame_pixels(number):
    """Returns uint8 [4, 6, 3] and label ids [4, 6], other in each frame."""
    generator = np.random.default_rng(number)
    image = generator.integers(0, 256, (4, 6, 3), np.uint8)
    label = (np.arange(24, dtype=np.uint8).reshape(4, 6) + number) % 35
    return image, label.astype(np.uint8)


def write_gta5_frame(root, name, image, label):
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(root / "images" / f"{name}.png")
    write_palette_label(root / "labels" / f"{name}.png", label)


def write_palette_label(path, label):
    # A palette in which no color's luminance equals its index.
    palette = Image.frombytes("P", label.shape[::-1], label.tobytes())
    colors = np.random.default_rng(0).integers(100, 256, (256, 3))
    palette.putpalette(colors.ravel().tolist())
    palette.save(path)


def write_cityscapes_frame(
    root, split, city, stem, image, label=None, kind="labelIds"
):
    image_dir = root / "leftImg8bit" / split / city
    image_dir.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(image_dir / f"{stem}_leftImg8bit.png")
    if label is not None:
        label_dir = root / "gtFine" / split / city
        label_dir.mkdir(parents=True, exist_ok=True)
        Image.fromarray(label).save(label_dir / f"{stem}_gtFine_{kind}.png")


def shard_bytes(directory):
    return {
        path.name: path.read_bytes()
        for path in sorted(Path(directory).glob("*.tfrecord"))
    }


def decode(data):
    return np.asarray(Image.open(io.BytesIO(data)))
