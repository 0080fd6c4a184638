"""What a present-day engine adds to a painted street: sky, sun, and air.

The finish of the textured look (looks.TEXTURED). It knows the picture and its
labels alone, not the shapes, so light is approximate: what a player would
notice at a glance (skies that pale towards the horizon, clouds, leaves, stained
walls, the shadows of trees and houses on the street) is there; what physics
would have is not.
"""

import dataclasses

import numpy as np

from tfrecords_tools.city import surfaces
from tfrecords_tools.city.sketch import CAMERA_HEIGHT, LABEL_IDS

_TEXTURE_TABLE = surfaces.texture_table(
    {
        "road": (0.05, 0.05, 0.08, 0.0),
        "sidewalk": (0.08, 0.07, 0.08, 0.0),
        "building": (0.07, 0.07, 0.12, 0.08),
        "wall": (0.12, 0.10, 0.12, 0.06),
        "fence": (0.14, 0.08, 0.06, 0.0),
        "vegetation": (0.30, 0.32, 0.16, 0.0),
        "terrain": (0.18, 0.16, 0.12, 0.0),
        "sky": (0.0, 0.0, 0.0, 0.0),
        "person": (0.10, 0.12, 0.0, 0.0),
        "rider": (0.10, 0.12, 0.0, 0.0),
    },
    other=(0.06, 0.08, 0.06, 0.0),
)
_CLOUD = np.array((0.93, 0.94, 0.96), np.float32)
_HAZE = (0.70, 0.76, 0.84)
_LENS_BLUR = (0.25, 0.4)
_GROUND = [LABEL_IDS[name] for name in ("road", "sidewalk", "terrain")]
_SKY = LABEL_IDS["sky"]
_LEAVES = LABEL_IDS["vegetation"]
# Leaves shade each other.
_AMONG_LEAVES = np.float32(0.75)
# Shadows are lit by the sky, so they are bluer than what the sun reaches.
_SHADE = np.array((0.42, 0.46, 0.54), np.float32)


@dataclasses.dataclass(frozen=True)
class _Day:
    """What one picture's weather and hour are.

    Attributes:
        cover: how much of the sky is cloud, from 0 (clear) to 1 (overcast).
        exposure: brightness of the whole.
        warmth: of the light; above 0 redder.
        contrast: exponent of the tone curve.
    """

    cover: float
    exposure: float
    warmth: float
    contrast: float

    @property
    def sun(self) -> float:
        """How hard shadows are; an overcast day has none."""
        return 1 - self.cover


def finish(
    picture: np.ndarray, labels: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Adds clouds, textures, shadows, haze, and the tones of a day.

    Args:
        picture: uint8 [H, W, 3].
        labels: label ids, uint8 [H, W].
        generator: of the day and of every texture.

    Returns:
        uint8 [H, W, 3].
    """
    day = _Day(
        cover=generator.random(),
        exposure=2.0 ** generator.uniform(-0.5, 0.3),
        warmth=generator.uniform(-0.06, 0.08),
        contrast=generator.uniform(0.95, 1.25),
    )
    scene = picture.astype(np.float32) / 255
    scene = _light_sky(scene, labels, day, generator)
    texture = surfaces.texture(labels, _TEXTURE_TABLE, generator)
    scene *= 1 + texture[..., np.newaxis]
    scene *= np.where(labels == _LEAVES, _AMONG_LEAVES, 1)[..., np.newaxis]
    scene *= _light_on_ground(labels, day, generator)
    scene = surfaces.add_haze(scene, labels, _HAZE, generator)
    scene = surfaces.soften(scene, _LENS_BLUR, generator)
    return _tones(scene, day)


def _light_sky(
    scene: np.ndarray,
    labels: np.ndarray,
    day: _Day,
    generator: np.random.Generator,
) -> np.ndarray:
    """Pales the sky towards the horizon and covers it with clouds."""
    height, width = labels.shape
    rows = np.arange(height, dtype=np.float32)[:, np.newaxis, np.newaxis]
    low = np.clip(rows / max(surfaces.horizon_row(labels), 1), 0, 1)
    # Clouds are wider than high, and smaller ones ride on larger ones.
    clouds = np.zeros(labels.shape, np.float32)
    for size, weight in ((20, 1.0), (9, 0.5), (4, 0.25)):
        cells = max(height // size, 2), max(width // (2 * size), 2)
        clouds += weight * surfaces.noise(*cells, labels.shape, generator)
    amount = _smooth_step(clouds + 3.2 * day.cover - 1.6)[..., np.newaxis]
    light = scene + 0.45 * low * (_CLOUD - scene)
    shaded_cloud = _CLOUD * (1 - 0.12 * np.tanh(clouds)[..., np.newaxis])
    light = light + amount * (shaded_cloud - light)
    return np.where((labels == _SKY)[..., np.newaxis], light, scene)


def _light_on_ground(
    labels: np.ndarray, day: _Day, generator: np.random.Generator
) -> np.ndarray:
    """Returns float32 [H, W, 3]: 1 in the sun, darker and bluer in shadows.

    Trees throw dappled shadows, houses a strip along one side.
    """
    x, z, ground = ground_coordinates(labels)
    cells = generator.standard_normal((64, 64)).astype(np.float32)
    dapples = _sample(cells, x / 2.5, z / 2.5) + 0.6 * _sample(
        cells, x / 0.9 + 17, z / 0.9
    )
    trees = _smooth_step(2.5 * (dapples - generator.uniform(0.2, 1.8)))
    side, edge = generator.choice((-1.0, 1.0)), generator.uniform(0.0, 7.0)
    houses = _smooth_step(4 * (side * x - edge))
    shadow = day.sun * ground * np.maximum(trees, houses)
    return 1 - shadow[..., np.newaxis] * (1 - _SHADE)


def ground_coordinates(
    labels: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns where on the ground each pixel lies, and whether it is ground.

    Returns:
        x and z in metres, right of and ahead of the camera, and a mask; all
        float32 [H, W]. Above the horizon x and z mean nothing.
    """
    height, width = labels.shape
    focal_length = 0.85 * np.sqrt(width * height)
    rows = np.arange(height)[:, np.newaxis] + 0.5
    below = np.maximum(rows - surfaces.horizon_row(labels), 0.5)
    z = np.broadcast_to(focal_length * CAMERA_HEIGHT / below, labels.shape)
    x = (np.arange(width) + 0.5 - width / 2) * z / focal_length
    return (
        x.astype(np.float32),
        z.astype(np.float32),
        np.isin(labels, _GROUND).astype(np.float32),
    )


def _sample(cells: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Interpolates a grid, which repeats itself, at any coordinates."""
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    right, down = x - column, y - row
    height, width = cells.shape

    def at(rows: int, columns: int) -> np.ndarray:
        return cells[(row + rows) % height, (column + columns) % width]

    upper = at(0, 0) * (1 - right) + at(0, 1) * right
    lower = at(1, 0) * (1 - right) + at(1, 1) * right
    return upper * (1 - down) + lower * down


def _smooth_step(values: np.ndarray) -> np.ndarray:
    """Returns 0 below -1, 1 above 1, and a smooth step between."""
    ramp = np.clip(0.5 * values + 0.5, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def _tones(scene: np.ndarray, day: _Day) -> np.ndarray:
    """Exposes for the day, and rolls off what is too bright."""
    gains = day.exposure * np.array([1 + day.warmth, 1, 1 - day.warmth])
    scene = np.clip(scene * gains.astype(np.float32), 0, None)
    scene = scene**day.contrast
    scene = scene / (1 + 0.12 * scene**2)
    return (np.clip(scene, 0, 1) * 255 + 0.5).astype(np.uint8)
