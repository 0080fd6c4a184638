"""Draws what stands beside the road: lamps, lights, signs, fences, bins."""

import numpy as np

from tfrecords_tools.city.buildings import draw_fence
from tfrecords_tools.city.sketch import Layer, Sketch
from tfrecords_tools.city.street import Side, Street


def draw_furniture(
    sketch: Sketch, street: Street, generator: np.random.Generator
) -> None:
    """Draws what stands on both pavements."""
    for side in street.sides:
        _draw_lamps(sketch, side, generator)
        _draw_signs(sketch, side, generator)
        _draw_bins(sketch, side, generator)
        if generator.random() < 0.25:
            _draw_guard_rail(sketch, side, generator)
    if generator.random() < 0.5:
        _draw_traffic_lights(sketch, street, generator)


def _draw_lamps(
    sketch: Sketch, side: Side, generator: np.random.Generator
) -> None:
    height = generator.uniform(5.5, 8.0)
    x = side.x(side.road_edge + 0.5)
    arm = side.x(side.road_edge - 1.2)
    for z in np.arange(generator.uniform(5, 28), 90, 26):
        layer = sketch.layer(z)
        layer.bar(x, (0, height), z, 0.16, "pole", "pole")
        thick = max(0.12, 2.2 * z / layer.camera.focal_length)
        layer.facing((x, arm), (height - thick, height), z, "pole", "pole")
        layer.facing(
            (arm - 0.35, arm + 0.35), (height - 0.25, height), z,
            "pole", "pole", 1,
        )  # fmt: skip


def _draw_signs(
    sketch: Sketch, side: Side, generator: np.random.Generator
) -> None:
    for _ in range(generator.poisson(1.2)):
        z = generator.uniform(5, 32)
        x = side.x(side.road_edge + generator.uniform(0.4, 1.0))
        kind, y = int(generator.integers(4)), generator.uniform(2.1, 2.8)
        layer = sketch.layer(z)
        layer.bar(x, (0, y), z, 0.08, "pole", "pole")
        _draw_sign(layer, kind, x, y, z)


def _draw_sign(layer: Layer, kind: int, x: float, y: float, z: float) -> None:
    paint = ("sign", "traffic sign", kind)
    radius = 0.45
    if kind == 0:  # a warning: a triangle
        corners = [(-1, -0.8), (1, -0.8), (0, 1)]
        for scale, colors in ((1.0, paint), (0.6, ("sign_face",))):
            layer.polygon(
                [
                    (x + radius * scale * a, y + radius * scale * b, z)
                    for a, b in corners
                ],
                *colors,
            )
    elif kind == 1:  # a limit: a red ring
        layer.ellipse(x, y, z, (radius, radius), *paint)
        layer.ellipse(x, y, z, (radius * 0.65, radius * 0.65), "sign_face")
    else:  # a direction or a parking place: a plate
        wide = radius * (1.8 if kind == 3 else 0.9)
        layer.facing((x - wide, x + wide), (y - 0.45, y + 0.45), z, *paint)
        layer.facing(
            (x - wide * 0.5, x + wide * 0.5), (y - 0.12, y + 0.12), z,
            "sign_face",
        )  # fmt: skip


def _draw_bins(
    sketch: Sketch, side: Side, generator: np.random.Generator
) -> None:
    if generator.random() < 0.35:
        z = generator.uniform(6, 22)
        x = side.x(side.road_edge + 1.0)
        sketch.layer(z).facing((x - 0.25, x + 0.25), (0, 0.95), z, "bin",
                               "static")  # fmt: skip


def _draw_guard_rail(
    sketch: Sketch, side: Side, generator: np.random.Generator
) -> None:
    """Draws a railing along the kerb."""
    start, length = generator.uniform(5, 20), generator.uniform(6, 20)
    variant = int(generator.integers(64))
    x = side.x(side.road_edge + 0.3)
    # Drawn behind whatever stands beside it, hence its far end's distance.
    layer = sketch.layer(start + length)
    draw_fence(layer, x, (0, 1.0), (start, start + length), variant, side.tone)


def _draw_traffic_lights(
    sketch: Sketch, street: Street, generator: np.random.Generator
) -> None:
    """Draws lights on both sides, one of them perhaps on an arm."""
    z, lit = generator.uniform(8, 26), int(generator.integers(3))
    on_arm = generator.random() < 0.4
    for side in street.sides:
        x = side.x(side.road_edge + 0.5)
        layer = sketch.layer(z)
        if on_arm and side is street.right:
            over = x - 3.2
            layer.bar(x, (0, 5.8), z, 0.2, "pole", "pole")
            layer.facing((over, x), (5.55, 5.8), z, "pole", "pole")
            _draw_light(layer, over, 4.9, z, lit)
        else:
            layer.bar(x, (0, 3.6), z, 0.14, "pole", "pole")
        _draw_light(layer, x, 2.6, z, lit)


def _draw_light(layer: Layer, x: float, y: float, z: float, lit: int) -> None:
    layer.facing(
        (x - 0.22, x + 0.22), (y, y + 1.15), z, "light_box", "traffic light"
    )
    for i in range(3):  # from green at the bottom to red at the top
        material = "lamp" if i == lit else "lamp_off"
        center = y + 0.22 + 0.36 * i
        layer.ellipse(x, center, z, (0.15, 0.15), material, None, i)
