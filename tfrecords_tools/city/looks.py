"""The looks of the city: a plain engine's, a textured engine's and a camera's.

A look is a palette and a finish. All see the same shapes and labels; only
what a surface looks like differs, never where it is.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from tfrecords_tools.city import daylight, surfaces
from tfrecords_tools.city.palettes import (
    CAMERA_PALETTE,
    ENGINE_PALETTE,
    mix,
)
from tfrecords_tools.city.sketch import Camera, Shape

Color = tuple[int, int, int]
Finish = Callable[
    [np.ndarray, np.ndarray, Camera, np.random.Generator], np.ndarray
]


@dataclasses.dataclass(frozen=True)
class Look:
    """How surfaces look.

    Attributes:
        palette: material to its colours.
        contrast: exponent of a shape's tone; 1 is bright sun, 0 no shading.
        finish: what happens to the picture (uint8 [H, W, 3]) given its label
            ids (uint8 [H, W]) and camera, once it is painted.
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
    picture: np.ndarray,
    labels: np.ndarray,
    camera: Camera,
    generator: np.random.Generator,
) -> np.ndarray:
    """Adds a slight brightness of the day; surfaces stay flat and clean."""
    del labels, camera
    bright = picture * np.float32(generator.uniform(0.94, 1.04))
    return np.clip(bright + 0.5, 0, 255).astype(np.uint8)


def _finish_camera(
    picture: np.ndarray,
    labels: np.ndarray,
    camera: Camera,
    generator: np.random.Generator,
) -> np.ndarray:
    """Adds surface texture, haze, a lens, and a sensor."""
    del camera
    scene = surfaces.textured(picture, labels, _TEXTURE_TABLE, generator)
    scene = surfaces.add_haze(scene, labels, _HAZE, generator)
    scene = surfaces.soften(scene, _LENS_BLUR, generator)
    scene *= _vignette(labels.shape, generator)[..., np.newaxis]
    return _expose(scene, generator)


_TEXTURE_TABLE = surfaces.texture_table(
    {
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
    },
    other=(0.04, 0.04, 0.04, 0.0),
)
_HAZE = (0.72, 0.74, 0.76)
_LENS_BLUR = (0.4, 0.7)


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
# Colours of a present-day engine lie between a toy's and a camera's.
TEXTURED = Look(
    mix(ENGINE_PALETTE, CAMERA_PALETTE, 0.6),
    contrast=1.0,
    finish=daylight.finish,
)
CAMERA = Look(CAMERA_PALETTE, contrast=0.6, finish=_finish_camera)

SOURCE_LOOKS = ("flat", "textured")
TARGET_LOOK = "camera"
LOOKS = {"flat": ENGINE, "textured": TEXTURED, TARGET_LOOK: CAMERA}
