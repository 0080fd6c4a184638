"""Textures of the city's surfaces, and the air and lens of several looks."""

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageFilter

from tfrecords_tools.city.sketch import LABEL_IDS

# Strength of each kind of noise on a surface: grain of one pixel, blotches of a
# few pixels, large stains, and vertical streaks.
Strengths = tuple[float, float, float, float]

_PAVED_IDS = [LABEL_IDS["road"], LABEL_IDS["sidewalk"]]


def texture_table(
    strengths: Mapping[str, Strengths], other: Strengths
) -> np.ndarray:
    """Returns float32 [256, 4]: each label id's strengths of noise."""
    table = np.zeros((256, 4), np.float32)
    for name, label_id in LABEL_IDS.items():
        table[label_id] = strengths.get(name, other)
    return table


def textured(
    picture: np.ndarray,
    labels: np.ndarray,
    table: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """Returns a picture whose surfaces have texture.

    Args:
        picture: uint8 [H, W, 3].
        labels: label ids, uint8 [H, W].
        table: what `texture_table` returns.
        generator: of the noise.

    Returns:
        float32 [H, W, 3]; 1 is what was 255.
    """
    scene = picture.astype(np.float32) / 255
    scene *= 1 + _brightness(labels, table, generator)[..., np.newaxis]
    return scene


def _brightness(
    labels: np.ndarray, table: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Returns float32 [H, W]: relative brightness of the surfaces' texture."""
    height, width = labels.shape
    strength = table[labels]
    shapes = (
        (height, width),
        (height // 3, width // 3),
        (height // 14, width // 14),
        (height // 16, width // 2),
    )
    total = np.zeros((height, width), np.float32)
    for i, (rows, columns) in enumerate(shapes):
        field = noise(max(rows, 2), max(columns, 2), labels.shape, generator)
        total += strength[..., i] * field
    return np.maximum(total, -0.8)


def noise(
    rows: int,
    columns: int,
    shape: tuple[int, int],
    generator: np.random.Generator,
) -> np.ndarray:
    """Returns smooth normal noise, float32 `shape`, of rows x columns cells."""
    cells = generator.standard_normal((rows, columns), np.float32)
    if cells.shape == shape:
        return cells
    size = (shape[1], shape[0])
    return np.asarray(
        Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC)
    )


def horizon_row(labels: np.ndarray) -> int:
    """Returns the highest row of road or sidewalk; half the height if none."""
    ground = np.isin(labels, _PAVED_IDS).any(axis=1)
    return int(np.argmax(ground)) if ground.any() else len(labels) // 2


def add_haze(
    scene: np.ndarray,
    labels: np.ndarray,
    color: tuple[float, float, float],
    generator: np.random.Generator,
) -> np.ndarray:
    """Fades what is seen near the horizon, where things are far away.

    Args:
        scene: float32 [H, W, 3] in [0, 1].
        labels: label ids, uint8 [H, W].
        color: of the haze, in [0, 1].
        generator: of how thick it is.

    Returns:
        float32 [H, W, 3].
    """
    rows = np.arange(len(labels), dtype=np.float32)
    distance = np.exp(
        -np.abs(rows - horizon_row(labels)) / (0.09 * len(labels))
    )
    amount = generator.uniform(0.1, 0.3) * distance[:, np.newaxis, np.newaxis]
    return scene * (1 - amount) + amount * np.array(color, np.float32)


def soften(
    scene: np.ndarray,
    radius: tuple[float, float],
    generator: np.random.Generator,
) -> np.ndarray:
    """Blurs as a lens does.

    Args:
        scene: float32 [H, W, 3]; what is outside of [0, 1] is cut.
        radius: of the blur in pixels, from and to.
        generator: of the radius.

    Returns:
        float32 [H, W, 3] in steps of 1 / 255.
    """
    image = Image.fromarray((np.clip(scene, 0, 1) * 255 + 0.5).astype(np.uint8))
    blurred = image.filter(ImageFilter.GaussianBlur(generator.uniform(*radius)))
    return np.asarray(blurred, np.float32) / 255
