"""The street itself: how wide, how many lanes, and what lies on the ground."""

import dataclasses
import math

import numpy as np

from tfrecords_tools.city.parameters import SceneParameters
from tfrecords_tools.city.sketch import NEAR, Layer, Sketch

LANE_WIDTH = 3.3
# The street ends here; what lies behind is the skyline.
STREET_END = 110.0
_SKYLINE = 200.0

# Painting order of what things cannot cover by their own distance.
SKY_DEPTH = 9000.0
GROUND_DEPTH = 8000.0
BUILDING_DEPTH = 1000.0


@dataclasses.dataclass(frozen=True)
class Side:
    """What lies between the road and the houses on one side.

    Attributes:
        sign: -1 left of the camera, 1 right of it.
        road_edge: distance in metres from the camera to the kerb.
        verge: width of the strip of grass behind the kerb; 0 for none.
        sidewalk: width of the pavement.
        tone: brightness of walls on this side; one side lies in the shade.
        parking: whether cars are parked along the kerb.
    """

    sign: int
    road_edge: float
    verge: float
    sidewalk: float
    tone: float
    parking: bool

    @property
    def building_line(self) -> float:
        """Distance in metres from the camera to the houses."""
        return self.road_edge + self.verge + self.sidewalk

    def x(self, distance: float) -> float:
        """Returns the x coordinate at a distance to this side."""
        return self.sign * distance


@dataclasses.dataclass(frozen=True)
class Street:
    """The plan of one street.

    Attributes:
        left: the oncoming side (traffic keeps right).
        right: the camera's side.
        own_lanes: x of the centres of the lanes in the camera's direction.
        oncoming_lanes: the same for the opposite direction.
        tram: whether rails run in the lanes beside the middle line.
    """

    left: Side
    right: Side
    own_lanes: tuple[float, ...]
    oncoming_lanes: tuple[float, ...]
    tram: bool

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both sides."""
        return self.left, self.right

    @property
    def middle(self) -> float:
        """The x coordinate of the line between the two directions."""
        return self.own_lanes[0] - LANE_WIDTH / 2


def plan_street(
    parameters: SceneParameters, generator: np.random.Generator
) -> Street:
    """Draws a plan; open streets are wider, green ones have verges."""
    lanes = 1 + int(generator.random() < 0.15 + 0.6 * parameters.openness)
    own_index = int(generator.integers(lanes))
    wobble = generator.uniform(-0.4, 0.4)
    own = [(i - own_index) * LANE_WIDTH + wobble for i in range(lanes)]
    oncoming = [own[0] - (i + 1) * LANE_WIDTH for i in range(lanes)]
    shaded = int(generator.choice((-1, 1)))
    edges = {-1: -oncoming[-1], 1: own[-1]}
    left, right = (
        _plan_side(sign, edges[sign], shaded, parameters, generator)
        for sign in (-1, 1)
    )
    return Street(
        left, right, tuple(own), tuple(oncoming), generator.random() < 0.15
    )


def _plan_side(
    sign: int,
    outer_lane: float,
    shaded: int,
    parameters: SceneParameters,
    generator: np.random.Generator,
) -> Side:
    parking = generator.random() < 0.5
    has_verge = generator.random() < 0.2 + 0.6 * parameters.greenery
    verge_width = generator.uniform(1.0, 2.2)
    sidewalk = generator.uniform(1.8, 3.0) + 3.0 * parameters.openness**2
    return Side(
        sign=sign,
        road_edge=outer_lane + LANE_WIDTH / 2 + (2.2 if parking else 0.4),
        verge=verge_width if has_verge else 0.0,
        sidewalk=sidewalk,
        tone=0.68 if sign == shaded else 1.0,
        parking=parking,
    )


def draw_sky(sketch: Sketch, generator: np.random.Generator) -> None:
    """Draws the sky, and on some days a few clouds."""
    camera = sketch.camera
    width, height = camera.width, camera.height
    layer = sketch.layer(SKY_DEPTH)
    layer.flat([(0, 0), (width, 0), (width, height), (0, height)], "sky", "sky")
    for _ in range(generator.integers(0, 4)):
        column, row = generator.random(2)
        size = generator.uniform(0.05, 0.14)
        angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        radii = size * generator.uniform(0.8, 1.2, 16)
        points = zip(
            width * (column + radii * np.cos(angles)),
            camera.horizon * height * row
            + 0.3 * height * radii * np.sin(angles),
            strict=True,
        )
        layer.flat(list(points), "cloud")


def draw_skyline(
    sketch: Sketch, parameters: SceneParameters, generator: np.random.Generator
) -> None:
    """Draws distant houses and trees, which hide the horizon."""
    x = -2.2 * _SKYLINE
    while x < 2.2 * _SKYLINE:
        width = generator.uniform(10, 35)
        is_green = generator.random() < 0.1 + 0.7 * parameters.greenery
        height = generator.uniform(4, 8) + 5 * parameters.building_height
        variant, tone = int(generator.integers(64)), generator.uniform(0.7, 1)
        layer = sketch.layer(SKY_DEPTH - 1)
        if is_green:
            middle = x + width / 2
            layer.ellipse(
                middle, height / 3, _SKYLINE, (width * 0.7, height * 0.6),
                "crown", "vegetation", variant, tone,
            )  # fmt: skip
        else:
            layer.facing(
                (x, x + width), (0, height), _SKYLINE,
                "facade", "building", variant, tone,
            )  # fmt: skip
        x += width


def draw_ground(
    sketch: Sketch, street: Street, generator: np.random.Generator
) -> None:
    """Draws fields, pavements, verges, the road and its markings."""
    layer = sketch.layer(GROUND_DEPTH)
    whole = (NEAR, STREET_END * 2)
    layer.level((-900, 900), 0, (NEAR, 900), "terrain", "terrain")
    for side in street.sides:
        edges = [
            side.x(side.road_edge),
            side.x(side.road_edge + side.verge),
            side.x(side.building_line + 0.5),
        ]
        layer.level((edges[1], edges[2]), 0, whole, "sidewalk", "sidewalk")
        if side.verge:
            layer.level((edges[0], edges[1]), 0, whole, "terrain", "terrain")
    road = (-street.left.road_edge, street.right.road_edge)
    layer.level(road, 0, whole, "road", "road")
    _draw_patches(layer, road, generator)
    for side in street.sides:
        kerb = (side.x(side.road_edge), side.x(side.road_edge + 0.25))
        layer.level(kerb, 0, whole, "kerb", "sidewalk")
    _draw_markings(layer, street, generator)


def _draw_patches(
    layer: Layer, road: tuple, generator: np.random.Generator
) -> None:
    """Draws repaired asphalt."""
    for _ in range(generator.integers(0, 4)):
        x = generator.uniform(road[0], road[1] - 2)
        z = generator.uniform(4, 30)
        width, length = generator.uniform(0.8, 2), generator.uniform(1, 6)
        tone = generator.uniform(0.85, 1.08)
        layer.level((x, x + width), 0, (z, z + length), "road", tone=tone)


def _draw_markings(
    layer: Layer, street: Street, generator: np.random.Generator
) -> None:
    own, oncoming = street.own_lanes, street.oncoming_lanes
    dividers = [x - LANE_WIDTH / 2 for x in own[1:]]
    dividers += [x + LANE_WIDTH / 2 for x in oncoming[1:]]
    if generator.random() < 0.4:
        _line(layer, street.middle, (NEAR, STREET_END), 0.16)
    else:
        dividers.append(street.middle)
    phase = generator.uniform(0, 9)
    for x in dividers:
        for start in np.arange(phase, 70, 9):
            _line(layer, x, (max(start, NEAR), start + 4), 0.15)
    for side in street.sides:
        if side.parking:
            _line(layer, side.x(side.road_edge - 2.2), (NEAR, 80), 0.12)
    if street.tram:
        for x in (own[0], oncoming[0]):
            _line(layer, x - 0.72, (NEAR, STREET_END), 0.1, "rail")
            _line(layer, x + 0.72, (NEAR, STREET_END), 0.1, "rail")
    if generator.random() < 0.3:
        _draw_crosswalk(layer, street, generator.uniform(7, 22))


def _line(
    layer: Layer, x: float, z: tuple, width: float, material: str = "marking"
) -> None:
    half = width / 2
    layer.level((x - half, x + half), 0, z, material)


def _draw_crosswalk(layer: Layer, street: Street, z: float) -> None:
    left, right = -street.left.road_edge, street.right.road_edge
    for i in range(math.floor((right - left) / 1.0)):
        x = left + 0.3 + i
        layer.level((x, x + 0.5), 0, (z, z + 3), "marking")
