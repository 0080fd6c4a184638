"""What a present-day engine adds to a painted street: sky, sun, and air.

The finish of the textured look (looks.TEXTURED). It knows the picture, its
labels and the camera, not the shapes, so light is approximate: what a player
would notice at a glance (skies that pale towards the horizon, clouds, leaves,
stained walls, the shadows of trees and houses on the street) is there; what
physics would have is not. Strengths were set by eye, on frames of 64x128.
"""

import dataclasses

import numpy as np

from tfrecords_tools.city import surfaces
from tfrecords_tools.city.sketch import LABEL_IDS, Camera

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
class Day:
    """The weather and the exposure of one picture.

    Attributes:
        cover: how much of the sky is cloud, from 0 (clear) to 1 (overcast,
            without shadows).
        exposure: factor of the brightness.
        warmth: of the light, a share of the red; below 0 it is bluer.
        gamma: exponent of the tones; above 1 contrast is harder.
    """

    cover: float
    exposure: float = 1.0
    warmth: float = 0.0
    gamma: float = 1.0


def finish(
    picture: np.ndarray,
    labels: np.ndarray,
    camera: Camera,
    generator: np.random.Generator,
) -> np.ndarray:
    """Adds clouds, textures, shadows, haze, and the tones of a day.

    Args:
        picture: uint8 [H, W, 3].
        labels: label ids, uint8 [H, W].
        camera: of H x W pixels.
        generator: of the day and of every texture.

    Returns:
        uint8 [H, W, 3].
    """
    day = Day(
        cover=generator.random(),
        exposure=2.0 ** generator.uniform(-0.5, 0.3),
        warmth=generator.uniform(-0.06, 0.08),
        gamma=generator.uniform(0.95, 1.25),
    )
    scene = surfaces.textured(picture, labels, _TEXTURE_TABLE, generator)
    scene = light_sky(scene, labels, day, generator)
    scene *= np.where(labels == _LEAVES, _AMONG_LEAVES, 1)[..., np.newaxis]
    scene *= light_on_ground(labels, camera, day, generator)
    scene = surfaces.add_haze(scene, labels, _HAZE, generator)
    scene = surfaces.soften(scene, _LENS_BLUR, generator)
    return tones(scene, day)


def light_sky(
    scene: np.ndarray,
    labels: np.ndarray,
    day: Day,
    generator: np.random.Generator,
) -> np.ndarray:
    """Pales the sky towards the horizon and covers it with clouds.

    Args:
        scene: float32 [H, W, 3] in [0, 1].
        labels: label ids, uint8 [H, W].
        day: how much is clouded.
        generator: of the clouds' shapes.

    Returns:
        float32 [H, W, 3]; all but the sky as it was.
    """
    rows = np.arange(len(labels), dtype=np.float32)[:, np.newaxis, np.newaxis]
    low = np.clip(rows / max(surfaces.horizon_row(labels), 1), 0, 1)
    sky = scene + 0.45 * low * (_CLOUD - scene)
    clouds = _clouds(labels.shape, generator)
    # The noise has a deviation of 1.1: hardly any of it is above 1.6 on a
    # clear day, or below -1.6 on an overcast one.
    amount = _smooth_step(clouds + 3.2 * day.cover - 1.6)[..., np.newaxis]
    cloud = _CLOUD * (1 - 0.12 * np.tanh(clouds)[..., np.newaxis])
    sky = sky + amount * (cloud - sky)
    return np.where((labels == _SKY)[..., np.newaxis], sky, scene)


def _clouds(
    shape: tuple[int, int], generator: np.random.Generator
) -> np.ndarray:
    """Returns float32 `shape`: noise in which smaller clouds ride on larger."""
    height, width = shape
    clouds = np.zeros(shape, np.float32)
    for rows, weight in ((3, 1.0), (7, 0.5), (16, 0.25)):
        # Clouds are twice as wide as high.
        columns = max(rows * width // (2 * height), 2)
        clouds += weight * surfaces.noise(rows, columns, shape, generator)
    return clouds


def light_on_ground(
    labels: np.ndarray,
    camera: Camera,
    day: Day,
    generator: np.random.Generator,
) -> np.ndarray:
    """Returns the light on the ground: dappled by trees, shaded by houses.

    Args:
        labels: label ids, uint8 [H, W].
        camera: of H x W pixels.
        day: whose clouds soften the shadows.
        generator: of where shadows lie.

    Returns:
        float32 [H, W, 3], factors: 1 in the sun and where there is no ground,
        less and bluer in shadows.
    """
    x, z = camera.ground()
    seen = np.isfinite(z) & np.isin(labels, _GROUND)
    x, z = np.where(seen, x, 0), np.where(seen, z, 0)
    cells = generator.standard_normal((64, 64)).astype(np.float32)
    # Boughs of 2.5 metres, and leaves of less than one.
    dapples = _sample(cells, x / 2.5, z / 2.5)
    dapples += 0.6 * _sample(cells, x / 0.9, z / 0.9)
    trees = _smooth_step(2.5 * (dapples - generator.uniform(0.2, 1.8)))
    side, edge = float(generator.choice((-1, 1))), generator.uniform(0.0, 7.0)
    houses = _smooth_step(4 * (side * x - edge))
    shadow = (1 - day.cover) * seen * np.maximum(trees, houses)
    light = 1 - shadow[..., np.newaxis] * (1 - _SHADE)
    return light.astype(np.float32)


def _sample(cells: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Interpolates a grid, which repeats itself, at any coordinates."""
    left, top = np.floor(x), np.floor(y)
    right, down = x - left, y - top
    column, row = left.astype(int), top.astype(int)
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


def tones(scene: np.ndarray, day: Day) -> np.ndarray:
    """Exposes for the day, and rolls off what is too bright.

    Args:
        scene: float32 [H, W, 3], 0 or more.
        day: of the exposure.

    Returns:
        uint8 [H, W, 3].
    """
    gains = day.exposure * np.array([1 + day.warmth, 1, 1 - day.warmth])
    scene = (scene * gains.astype(np.float32)) ** day.gamma
    scene = scene / (1 + 0.12 * scene**2)
    return (np.clip(scene, 0, 1) * 255 + 0.5).astype(np.uint8)
