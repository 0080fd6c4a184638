"""A street as polygons: a pinhole camera, and shapes sorted by distance.

World coordinates are metres: x to the right of the camera, y up from the road,
z ahead. Every thing in the city draws itself onto a `Layer` at its distance;
the sketch returns all shapes from back to front, to be painted in that order.
"""

import dataclasses
import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from kliep_tf.data.class_sets import CITYSCAPES_CLASSES

Point = tuple[float, float, float]

CAMERA_HEIGHT = 1.45
# Nothing nearer than this is drawn: it lies outside the picture's frame.
NEAR = 1.0

LABEL_IDS = {one.name: one.raw_ids[0] for one in CITYSCAPES_CLASSES.classes}
# A litter bin or a bench belongs to none of the 19 classes; its label id maps
# to the ignore label, as such pixels do in real label files.
LABEL_IDS["static"] = 4


class Shape(NamedTuple):
    """One polygon of the picture.

    Attributes:
        points: corners in pixels (column, row).
        label_id: what it is; None for paint on something that has a label.
        material: a key of the look's palette.
        variant: which of the material's colours.
        tone: brightness, 1 where the sun falls.
    """

    points: Sequence[tuple[float, float]]
    label_id: int | None
    material: str
    variant: int
    tone: float


@dataclasses.dataclass(frozen=True)
class Camera:
    """A pinhole camera looking along the street, level with the ground.

    Attributes:
        width: of the picture in pixels.
        height: of the picture in pixels.
        horizon: row of the horizon as a share of the height.
        heading: column of the vanishing point as a share of the width.
    """

    width: int
    height: int
    horizon: float
    heading: float

    @functools.cached_property
    def focal_length(self) -> float:
        """In pixels; between that of a square and that of a wide picture."""
        return 0.85 * math.sqrt(self.width * self.height)

    @functools.cached_property
    def vanishing_point(self) -> tuple[float, float]:
        """Column and row at which the street ends."""
        return self.heading * self.width, self.horizon * self.height

    def project(self, points: Iterable[Point]) -> list[tuple[float, float]]:
        """Returns the columns and rows at which points are seen."""
        column, row = self.vanishing_point
        seen = []
        for x, y, z in points:
            scale = self.focal_length / (z if z > NEAR else NEAR)
            seen.append((column + scale * x, row + scale * (CAMERA_HEIGHT - y)))
        return seen

    def ground(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns x and z of the ground at the middle of each pixel.

        Returns:
            float32 [height, width] each, in metres; infinite from the horizon
            upwards, where no ground is seen.
        """
        column, row = self.vanishing_point
        columns = np.arange(self.width, dtype=np.float32) + 0.5 - column
        below = np.arange(self.height, dtype=np.float32)[:, None] + 0.5 - row
        scale = np.where(below > 0, below, np.nan) / CAMERA_HEIGHT
        x = np.nan_to_num(columns / scale, nan=np.inf)
        z = np.nan_to_num(self.focal_length / scale, nan=np.inf)
        shape = (self.height, self.width)
        return x.astype(np.float32), np.broadcast_to(z, shape).astype(
            np.float32
        )


class Sketch:
    """All shapes of one picture, drawn in any order."""

    def __init__(self, camera: Camera):
        self.camera = camera
        self._layers: list[tuple[float, Layer]] = []

    def layer(self, distance: float) -> "Layer":
        """Returns a layer to draw on; nearer layers cover farther ones."""
        layer = Layer(self.camera)
        self._layers.append((distance, layer))
        return layer

    def shapes(self) -> list[Shape]:
        """Returns all shapes from back to front."""
        # Stable: of two layers at one distance the later covers the earlier.
        ordered = sorted(self._layers, key=lambda entry: -entry[0])
        return [shape for _, layer in ordered for shape in layer.shapes]


class Layer:
    """Shapes at one distance, each covering the ones before it.

    All drawing methods end in the same arguments: `material`, the name of a
    class (`label=None` paints without changing the label), `variant`, `tone`.
    """

    def __init__(self, camera: Camera):
        self.camera = camera
        self.shapes: list[Shape] = []

    def polygon(
        self,
        points: Iterable[Point],
        material: str,
        label: str | None = None,
        variant: int = 0,
        tone: float = 1.0,
    ) -> None:
        """Draws a polygon given by its corners in space."""
        seen = self.camera.project(points)
        self.flat(seen, material, label, variant, tone)

    def flat(
        self,
        points: Sequence[tuple[float, float]],
        material: str,
        label: str | None = None,
        variant: int = 0,
        tone: float = 1.0,
    ) -> None:
        """Draws a polygon given by its corners in the picture."""
        label_id = None if label is None else LABEL_IDS[label]
        self.shapes.append(Shape(points, label_id, material, variant, tone))

    def facing(
        self, x: tuple, y: tuple, z: float, *paint: Any, **paints: Any
    ) -> None:
        """Draws an upright rectangle that faces the camera."""
        corners = [(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])]
        self.polygon([(a, b, z) for a, b in corners], *paint, **paints)

    def along(
        self, x: float, y: tuple, z: tuple, *paint: Any, **paints: Any
    ) -> None:
        """Draws an upright rectangle that runs along the street."""
        corners = [(y[0], z[0]), (y[0], z[1]), (y[1], z[1]), (y[1], z[0])]
        self.polygon([(x, a, b) for a, b in corners], *paint, **paints)

    def level(
        self, x: tuple, y: float, z: tuple, *paint: Any, **paints: Any
    ) -> None:
        """Draws a rectangle that lies flat at height y."""
        corners = [(x[0], z[0]), (x[1], z[0]), (x[1], z[1]), (x[0], z[1])]
        self.polygon([(a, y, b) for a, b in corners], *paint, **paints)

    def ellipse(
        self,
        x: float,
        y: float,
        z: float,
        radii: tuple,
        *paint: Any,
        **paints: Any,
    ) -> None:
        """Draws an ellipse that faces the camera."""
        outline = [(radii[0] * c, radii[1] * s) for c, s in _unit_circle(14)]
        self.upright(x, y, z, outline, *paint, **paints)

    def upright(
        self,
        x: float,
        y: float,
        z: float,
        outline: list,
        *paint: Any,
        **paints: Any,
    ) -> None:
        """Draws an outline, given around (x, y), that faces the camera."""
        ((column, row),) = self.camera.project([(x, y, z)])
        scale = self.pixels(1.0, z)
        seen = [(column + scale * a, row - scale * b) for a, b in outline]
        self.flat(seen, *paint, **paints)

    def wheel(
        self,
        x: float,
        y: float,
        z: float,
        radius: float,
        *paint: Any,
        **paints: Any,
    ) -> None:
        """Draws a disc that stands along the street."""
        self.polygon(
            [(x, y + radius * s, z + radius * c) for c, s in _unit_circle(12)],
            *paint,
            **paints,
        )

    def bar(
        self,
        x: float,
        y: tuple,
        z: float,
        width: float,
        *paint: Any,
        **paints: Any,
    ) -> None:
        """Draws an upright bar, never so thin that it falls between pixels."""
        half = max(width, 2.2 * z / self.camera.focal_length) / 2
        self.facing((x - half, x + half), y, z, *paint, **paints)

    def pixels(self, length: float, z: float) -> float:
        """Returns how many pixels a length spans at distance z."""
        return length * self.camera.focal_length / max(z, NEAR)


@functools.cache
def _unit_circle(corners: int) -> list[tuple[float, float]]:
    angles = [2 * math.pi * i / corners for i in range(corners)]
    return [(math.cos(a), math.sin(a)) for a in angles]
