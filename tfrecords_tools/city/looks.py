"""The two looks of the city: a game engine's and a camera's.

A look is a palette and a finish. Both see the same shapes and labels; only
what a surface looks like differs, never where it is.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from tfrecords_tools.city.palettes import CAMERA_PALETTE, ENGINE_PALETTE
from tfrecords_tools.city.sketch import LABEL_IDS, Shape

Color = tuple[int, int, int]
Finish = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Look:
    """How surfaces look.

    Attributes:
        palette: material to its colours.
        contrast: exponent of a shape's tone; 1 is bright sun, 0 no shading.
        finish: what happens to the picture (uint8 [H, W, 3]) given its label
            ids (uint8 [H, W]), once it is painted.
    """

    palette: dict[str, tuple[Color, ...]]
    contrast: float
    finish: Finish

    def color(self, shape: Shape) -> Color:
        """Returns the colour in which a shape is painted."""
        colors = self.palette[shape.material]
        red, green, blue = colors[shape.variant % len(colors)]
        tone = shape.tone**self.contrast
        return (
            min(255, int(tone * red)),
            min(255, int(tone * green)),
            min(255, int(tone * blue)),
        )


def _finish_engine(
    picture: np.ndarray, labels: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Adds a slight brightness of the day; surfaces stay flat and clean."""
    del labels
    bright = picture * np.float32(generator.uniform(0.94, 1.04))
    return np.clip(bright + 0.5, 0, 255).astype(np.uint8)


def _finish_camera(
    picture: np.ndarray, labels: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Adds surface texture, haze, a lens, and a sensor."""
    scene = picture.astype(np.float32) / 255
    scene *= 1 + _texture(labels, generator)[..., np.newaxis]
    scene = _add_haze(scene, labels, generator)
    scene = _soften(scene, generator)
    scene *= _vignette(labels.shape, generator)[..., np.newaxis]
    return _expose(scene, generator)


# Strength of each kind of noise on each surface: grain of one pixel, blotches
# of a few pixels, large stains, and vertical streaks.
_TEXTURES = {
    "road": (0.07, 0.04, 0.05, 0.0),
    "sidewalk": (0.06, 0.06, 0.05, 0.0),
    "building": (0.06, 0.05, 0.08, 0.05),
    "wall": (0.10, 0.08, 0.10, 0.05),
    "fence": (0.10, 0.05, 0.05, 0.0),
    "vegetation": (0.24, 0.26, 0.10, 0.0),
    "terrain": (0.15, 0.14, 0.10, 0.0),
    "sky": (0.0, 0.0, 0.05, 0.0),
    "person": (0.06, 0.06, 0.0, 0.0),
    "rider": (0.06, 0.06, 0.0, 0.0),
}
_OTHER_TEXTURE = (0.04, 0.04, 0.04, 0.0)


def _texture_table() -> np.ndarray:
    table = np.zeros((256, 4), np.float32)
    for name, label_id in LABEL_IDS.items():
        table[label_id] = _TEXTURES.get(name, _OTHER_TEXTURE)
    return table


_TEXTURE_TABLE = _texture_table()


def _texture(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Returns float32 [H, W]: relative brightness of the surfaces' texture."""
    height, width = labels.shape
    strength = _TEXTURE_TABLE[labels]
    shapes = (
        (height, width),
        (height // 3, width // 3),
        (height // 14, width // 14),
        (height // 16, width // 2),
    )
    total = np.zeros((height, width), np.float32)
    for i, (rows, columns) in enumerate(shapes):
        noise = _noise(max(rows, 2), max(columns, 2), labels.shape, generator)
        total += strength[..., i] * noise
    return np.maximum(total, -0.8)


def _noise(
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


def _add_haze(
    scene: np.ndarray, labels: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Fades what is seen near the horizon, where things are far away."""
    ground = np.isin(labels, _GROUND_IDS).any(axis=1)
    horizon = int(np.argmax(ground)) if ground.any() else len(labels) // 2
    rows = np.arange(len(labels), dtype=np.float32)
    distance = np.exp(-np.abs(rows - horizon) / (0.09 * len(labels)))
    amount = generator.uniform(0.1, 0.3) * distance[:, np.newaxis, np.newaxis]
    return scene * (1 - amount) + amount * np.array(
        (0.72, 0.74, 0.76), np.float32
    )


_GROUND_IDS = [LABEL_IDS["road"], LABEL_IDS["sidewalk"]]


def _soften(scene: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Blurs as a lens does, by about half a pixel."""
    image = Image.fromarray((np.clip(scene, 0, 1) * 255 + 0.5).astype(np.uint8))
    radius = generator.uniform(0.4, 0.7)
    blurred = image.filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(blurred, np.float32) / 255


def _vignette(
    shape: tuple[int, int], generator: np.random.Generator
) -> np.ndarray:
    """Returns float32 [H, W]: how much light reaches each pixel."""
    rows = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, np.newaxis]
    columns = np.linspace(-1, 1, shape[1], dtype=np.float32)
    falloff = np.float32(generator.uniform(0.08, 0.18))
    return 1 - falloff * (rows**2 + columns**2)


def _expose(scene: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Applies exposure, white balance and sensor noise."""
    exposure = 2.0 ** generator.uniform(-0.15, 0.45)
    warmth = generator.uniform(-0.06, 0.06)
    gains = exposure * np.array([1 + warmth, 1, 1 - warmth])
    scene = scene * gains.astype(np.float32)
    # Film-like shoulder: bright skies roll off instead of clipping.
    scene = scene / (1 + 0.18 * scene**2)
    noise = generator.standard_normal(scene.shape, np.float32)
    scene = scene + generator.uniform(0.008, 0.024) * noise
    return (np.clip(scene, 0, 1) * 255 + 0.5).astype(np.uint8)


ENGINE = Look(ENGINE_PALETTE, contrast=1.0, finish=_finish_engine)
CAMERA = Look(CAMERA_PALETTE, contrast=0.6, finish=_finish_camera)
