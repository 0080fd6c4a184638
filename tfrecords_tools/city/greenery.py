"""Draws trees, hedges and parks."""

from typing import Any

import numpy as np

from tfrecords_tools.city.parameters import SceneParameters
from tfrecords_tools.city.sketch import Layer, Sketch
from tfrecords_tools.city.street import BUILDING_DEPTH, Side, Street

_LAST_TREE = 65.0
_ANGLES = np.linspace(0, 2 * np.pi, 15, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)


def draw_street_trees(
    sketch: Sketch,
    street: Street,
    parameters: SceneParameters,
    generator: np.random.Generator,
) -> None:
    """Plants a row of trees on either side; green streets have denser ones."""
    green = parameters.greenery
    for side in street.sides:
        if generator.random() > 1.3 * green - 0.05:
            continue
        z = generator.uniform(3, 9)
        while z < _LAST_TREE:
            radius = generator.uniform(1.2, 2.0) * (0.45 + 1.5 * green)
            offset = side.road_edge + generator.uniform(0.5, 1.1)
            draw_tree(sketch, z, side.x(offset), z, radius, generator)
            z += generator.uniform(5, 9) / (0.5 + green)


def draw_park(
    sketch: Sketch,
    side: Side,
    z: tuple[float, float],
    generator: np.random.Generator,
) -> None:
    """Draws a hedge and, behind it, trees."""
    depth = BUILDING_DEPTH + z[0]
    for _ in range(generator.integers(2, 6)):
        x = side.x(side.building_line + generator.uniform(2, 9))
        tree_z = max(generator.uniform(*z), 3.0)
        radius = generator.uniform(1.8, 3.0)
        draw_tree(sketch, depth + 0.01 * tree_z, x, tree_z, radius, generator)
    height, variant = generator.uniform(0.7, 1.5), int(generator.integers(64))
    layer = sketch.layer(depth)
    x = side.x(side.building_line + 0.3)
    draw_hedge(layer, x, height, z, variant, side.tone)


def draw_hedge(
    layer: Layer,
    x: float,
    height: float,
    z: tuple[float, float],
    variant: int,
    tone: float,
) -> None:
    """Draws a trimmed hedge along the street."""
    paint = ("hedge", "vegetation", variant)
    layer.along(x, (0, height), z, *paint, tone)
    layer.along(x, (height * 0.8, height), z, *paint, tone * 1.2)


def draw_tree(
    sketch: Sketch,
    distance: float,
    x: float,
    z: float,
    radius: float,
    generator: np.random.Generator,
) -> None:
    """Draws a trunk and a crown, its lower half in the shade."""
    layer = sketch.layer(distance)
    trunk = generator.uniform(2.0, 3.0)
    variant = int(generator.integers(64))
    middle = trunk + 0.8 * radius
    layer.bar(x, (0, middle), z, 0.16 * radius, "trunk", "vegetation")
    paint = ("crown", "vegetation", variant)
    _draw_blob(layer, x, middle, z, radius, generator, *paint, 0.85)
    for _ in range(generator.integers(3, 6)):
        angle = generator.uniform(0, 2 * np.pi)
        reach = radius * generator.uniform(0.35, 0.75)
        dx, dy = reach * np.cos(angle), reach * np.sin(angle)
        tone = 0.92 + 0.3 * dy / radius + generator.uniform(-0.05, 0.05)
        size = radius * generator.uniform(0.35, 0.6)
        at = (x + dx, middle + dy, z, size)
        _draw_blob(layer, *at, generator, *paint, tone)


def _draw_blob(
    layer: Layer,
    x: float,
    y: float,
    z: float,
    radius: float,
    generator: np.random.Generator,
    *paint: Any,
) -> None:
    """Draws a ragged disc that faces the camera."""
    radii = radius * generator.uniform(0.82, 1.15, len(_CIRCLE))
    outline = (radii[:, np.newaxis] * _CIRCLE).tolist()
    layer.upright(x, y, z, outline, *paint)
