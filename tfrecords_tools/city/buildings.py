"""Draws what stands behind the pavements: houses and the gaps between."""

import dataclasses

import numpy as np

from tfrecords_tools.city import greenery
from tfrecords_tools.city.parameters import SceneParameters
from tfrecords_tools.city.sketch import NEAR, Layer, Sketch
from tfrecords_tools.city.street import (
    BUILDING_DEPTH,
    STREET_END,
    Side,
    Street,
)

_FLOOR = 3.1
_HOUSE_DEPTH = 11.0
# Windows smaller than this many pixels are not worth a polygon.
_SMALLEST_WINDOW = 2.0


@dataclasses.dataclass(frozen=True)
class _House:
    side: Side
    z: tuple[float, float]
    floors: int
    variant: int
    pitched: bool
    shop: bool
    window: tuple[float, float, float]

    @property
    def height(self) -> float:
        return self.floors * _FLOOR + 0.7

    def x(self, depth: float = 0.0) -> float:
        return self.side.x(self.side.building_line + depth)


def draw_plots(
    sketch: Sketch,
    street: Street,
    parameters: SceneParameters,
    generator: np.random.Generator,
) -> None:
    """Lines both sides of the street with houses, parks and fenced lots."""
    for side in street.sides:
        z = generator.uniform(-10, 1)
        while z < STREET_END:
            length = generator.uniform(8, 18)
            plot = (z, z + length)
            if generator.random() < 0.03 + 0.8 * parameters.openness:
                _draw_gap(sketch, side, plot, parameters, generator)
            else:
                _draw_house(sketch, side, plot, parameters, generator)
            z += length


def _draw_house(
    sketch: Sketch,
    side: Side,
    plot: tuple[float, float],
    parameters: SceneParameters,
    generator: np.random.Generator,
) -> None:
    openness = parameters.openness
    floors = 1.0 + 4.5 * parameters.building_height * (1.1 - openness)
    floors += 2.6 * (1 - openness) + generator.uniform(-1, 1)
    floors = max(1, round(floors))
    house = _House(
        side=side,
        z=(max(plot[0], NEAR), plot[1]),
        floors=floors,
        variant=int(generator.integers(64)),
        pitched=floors <= 4 and generator.random() < 0.6,
        shop=generator.random() < 0.4,
        window=(
            generator.uniform(2.2, 3.2),
            generator.uniform(0.4, 0.6),
            generator.uniform(0.45, 0.65),
        ),
    )
    hedge = generator.random() < 0.5 * parameters.greenery
    hedge_height = generator.uniform(0.8, 1.6)
    hedge_variant = int(generator.integers(64))
    if house.z[1] <= NEAR:
        return
    layer = sketch.layer(BUILDING_DEPTH + house.z[0])
    if house.pitched:
        _draw_roof(layer, house)
    _draw_end_wall(layer, house)
    paint = ("facade", "building", house.variant, side.tone)
    layer.along(house.x(), (0, house.height), house.z, *paint)
    if not house.pitched:
        _draw_cornice(layer, house)
    _draw_windows(layer, house)
    if hedge and not house.shop:
        greenery.draw_hedge(
            layer, side.x(side.building_line - 0.6),
            hedge_height, house.z, hedge_variant, side.tone,
        )  # fmt: skip


def _draw_roof(layer: Layer, house: _House) -> None:
    top = house.height
    ridge, ridge_x = top + 3.2, house.x(_HOUSE_DEPTH / 2)
    near, far = house.z
    # Begins a little below the wall's edge: no sky may show through the seam.
    eave = top - 0.3
    layer.polygon(
        [(house.x(), eave, near), (house.x(), eave, far)]
        + [(ridge_x, ridge, far), (ridge_x, ridge, near)],
        "roof", "building", house.variant, house.side.tone,
    )  # fmt: skip
    layer.polygon(
        [(house.x(), top, near), (ridge_x, ridge, near)]
        + [(house.x(_HOUSE_DEPTH), top, near)],
        "facade", "building", house.variant, 0.6,
    )  # fmt: skip


def _draw_end_wall(layer: Layer, house: _House) -> None:
    """Draws the wall that shows where the next plot is a gap."""
    paint = ("facade", "building", house.variant, 0.6)
    x = (house.x(), house.x(_HOUSE_DEPTH))
    layer.facing(x, (0, house.height), house.z[0], *paint)


def _draw_cornice(layer: Layer, house: _House) -> None:
    y = (house.height - 0.35, house.height + 0.1)
    paint = ("trim", "building", house.variant, house.side.tone)
    layer.along(house.x(-0.15), y, house.z, *paint)


def _draw_windows(layer: Layer, house: _House) -> None:
    spacing, width, height = house.window
    columns = int((house.z[1] - house.z[0] - 0.6) / spacing)
    start = house.z[1] - 0.3 - columns * spacing
    for floor in range(house.floors):
        ground_shop = house.shop and floor == 0
        y = floor * _FLOOR + (0.4 if ground_shop else 1.0)
        tall = 2.2 if ground_shop else _FLOOR * height
        wide = spacing * (0.86 if ground_shop else width)
        for column in range(columns):
            z = start + (column + 0.5) * spacing - wide / 2
            # A wall along the street is foreshortened by its distance.
            breadth = layer.pixels(abs(house.x()), z) * wide / max(z, NEAR)
            if layer.pixels(tall, z) < _SMALLEST_WINDOW or breadth < 1:
                continue
            # Panes differ a little; a hash keeps the drawing independent of
            # how many windows are large enough to be drawn.
            pane = (floor * 7 + column * 13 + house.variant) % 16
            tone = house.side.tone
            layer.along(
                house.x(), (y, y + tall), (z, z + wide), "glass", None, pane,
                tone,
            )  # fmt: skip
            if layer.pixels(0.25, z) > 1 and not ground_shop:
                sill = (y - 0.25, y)
                zs = (z - 0.1, z + wide + 0.1)
                layer.along(
                    house.x(), sill, zs, "trim", None, house.variant, tone
                )
    if not house.shop and columns:
        z = start + spacing * (house.variant % columns) + 0.4
        layer.along(
            house.x(), (0, 2.3), (z, z + 1.1), "door", None, house.variant,
            house.side.tone,
        )  # fmt: skip


def _draw_gap(
    sketch: Sketch,
    side: Side,
    plot: tuple[float, float],
    parameters: SceneParameters,
    generator: np.random.Generator,
) -> None:
    """Draws a side street, a walled or fenced lot, or a park."""
    kind = generator.random()
    park = 0.8 * parameters.greenery
    height = generator.uniform(1.4, 2.6)
    variant = int(generator.integers(64))
    z = (max(plot[0], NEAR), plot[1])
    if z[1] <= NEAR:
        return
    layer = sketch.layer(BUILDING_DEPTH + z[0])
    line = side.x(side.building_line)
    if kind < park:
        greenery.draw_park(sketch, side, z, generator)
    elif kind < park + 0.25 * (1 - park):
        layer.level((line, side.x(60)), 0, z, "sidewalk", "sidewalk")
        street = (z[0] + 2, max(z[1] - 2, z[0] + 3))
        layer.level((line, side.x(60)), 0, street, "road", "road")
    elif kind < park + 0.65 * (1 - park):
        layer.along(line, (0, height), z, "wall", "wall", variant, side.tone)
        cap = (height - 0.2, height)
        layer.along(line, cap, z, "trim", None, variant, side.tone)
    else:
        draw_fence(layer, line, (0, height * 0.7), z, variant, side.tone)


def draw_fence(
    layer: Layer, x: float, y: tuple, z: tuple, variant: int, tone: float
) -> None:
    """Draws a fence along the street; its gaps count as fence."""
    layer.along(x, y, z, "fence_shade", "fence", variant, tone)
    for height in np.linspace(y[0] + 0.25 * (y[1] - y[0]), y[1], 3):
        rail = (height - 0.12, height)
        layer.along(x, rail, z, "fence", None, variant, tone)
    for post in np.arange(z[0], z[1], 1.2):
        if layer.pixels(0.15, post) > 0.7:
            ends = (post, post + 0.18)
            layer.along(x, y, ends, "fence", None, variant, tone)
