"""Draws pedestrians and cyclists."""

import numpy as np

from tfrecords_tools.city.parameters import SceneParameters
from tfrecords_tools.city.sketch import Layer, Sketch
from tfrecords_tools.city.street import Street


def draw_people(
    sketch: Sketch,
    street: Street,
    parameters: SceneParameters,
    generator: np.random.Generator,
) -> None:
    """Draws walkers on both pavements, some crossing, and cyclists."""
    for side in street.sides:
        for _ in range(generator.poisson(1.0 + 4.0 * parameters.traffic)):
            x = side.x(
                side.building_line - generator.uniform(0.4, side.sidewalk)
            )
            draw_person(sketch, x, generator.uniform(5, 32), generator)
        if generator.random() < 0.25:
            x, z = side.x(side.road_edge + 0.7), generator.uniform(6, 18)
            _draw_cycle(sketch, x, z, "bicycle", False, generator)
    if generator.random() < 0.15 + 0.2 * parameters.traffic:
        x = generator.uniform(-street.left.road_edge, street.right.road_edge)
        draw_person(sketch, x, generator.uniform(9, 24), generator)
    for _ in range(generator.poisson(0.5 + 1.0 * parameters.traffic)):
        side = street.sides[int(generator.integers(2))]
        x = side.x(side.road_edge - generator.uniform(0.5, 1.2))
        kind = "motorcycle" if generator.random() < 0.4 else "bicycle"
        if side.parking:
            x -= side.x(2.1)
        _draw_cycle(sketch, x, generator.uniform(5, 22), kind, True, generator)


def draw_person(
    sketch: Sketch, x: float, z: float, generator: np.random.Generator
) -> None:
    """Draws one walking person."""
    layer = sketch.layer(z)
    scale = generator.uniform(0.9, 1.06)
    stride = generator.uniform(0.05, 0.28)
    clothes, trousers, skin = (int(i) for i in generator.integers(64, size=3))
    for foot in (-stride, stride):
        layer.polygon(
            [(x - 0.1, 0.9 * scale, z), (x + 0.1, 0.9 * scale, z)]
            + [(x + foot + 0.08, 0, z), (x + foot - 0.08, 0, z)],
            "trousers", "person", trousers,
        )  # fmt: skip
    _draw_torso(layer, x, z, (0.82 * scale, 1.48 * scale), "person", clothes)
    _draw_head(layer, x, z, 1.6 * scale, "person", skin)


def _draw_torso(
    layer: Layer, x: float, z: float, y: tuple, label: str, variant: int
) -> None:
    hips, shoulders = 0.19, 0.27
    layer.polygon(
        [(x - hips, y[0], z), (x + hips, y[0], z)]
        + [(x + shoulders, y[1], z), (x - shoulders, y[1], z)],
        "clothes", label, variant,
    )  # fmt: skip


def _draw_head(
    layer: Layer, x: float, z: float, y: float, label: str, variant: int
) -> None:
    layer.ellipse(x, y, z, (0.12, 0.15), "skin", label, variant)
    layer.facing((x - 0.12, x + 0.12), (y + 0.03, y + 0.16), z, "hair", label,
                 variant)  # fmt: skip


def _draw_cycle(
    sketch: Sketch,
    x: float,
    z: float,
    kind: str,
    ridden: bool,
    generator: np.random.Generator,
) -> None:
    """Draws a bicycle or a motorcycle seen at an angle, perhaps ridden."""
    layer = sketch.layer(z)
    paint, clothes, trousers, skin = (
        int(i) for i in generator.integers(64, size=4)
    )
    half = generator.uniform(0.3, 0.55) * (1.15 if kind == "motorcycle" else 1)
    radius = 0.34
    squeeze = radius * half / 0.6
    for wheel_x in (x - half, x + half):
        layer.ellipse(wheel_x, radius, z, (squeeze, radius), "tyre", kind)
        layer.ellipse(
            wheel_x, radius, z, (0.6 * squeeze, 0.6 * radius), "spokes"
        )
    if kind == "motorcycle":
        corners = [(-1.1, 0.75), (0.9, 0.85), (0.6, 0.3), (-0.7, 0.25)]
    else:
        corners = [(-1.0, 0.38), (-0.4, 0.85), (0.75, 0.8), (0.0, 0.25)]
    layer.polygon([(x + half * a, b, z) for a, b in corners], kind, kind, paint)
    bars = (x + 0.55 * half, x + 0.95 * half)
    layer.facing(bars, (0.8, 1.05), z, kind, kind, paint, 0.7)
    if ridden:
        layer.polygon(
            [(x - 0.16, 0.95, z), (x + 0.14, 0.95, z)]
            + [(x + 0.12, 0.3, z), (x - 0.08, 0.3, z)],
            "trousers", "rider", trousers,
        )  # fmt: skip
        _draw_torso(layer, x, z, (0.85, 1.45), "rider", clothes)
        _draw_head(layer, x, z, 1.58, "rider", skin)
