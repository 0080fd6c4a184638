"""Cars, trucks, buses and trams: driving, oncoming and parked."""

import dataclasses

import numpy as np

from tfrecords_tools.city.parameters import SceneParameters
from tfrecords_tools.city.sketch import Layer, Sketch
from tfrecords_tools.city.street import Side, Street

# How often a moving vehicle is of each kind. Trams need rails.
_KINDS = ("car", "truck", "bus")
_KIND_SHARES = (0.82, 0.09, 0.09)
_DASHBOARD_GAP = 5.5


@dataclasses.dataclass(frozen=True)
class _Body:
    """A vehicle standing along the street.

    Attributes:
        x: its left and right side.
        z: its near and far end.
        height: of its roof.
        oncoming: whether its front, not its rear, faces the camera.
        variant: its colour.
        tone: brightness of the end that faces the camera.
    """

    x: tuple[float, float]
    z: tuple[float, float]
    height: float
    oncoming: bool
    variant: int
    tone: float = 0.9

    @property
    def visible_side(self) -> float | None:
        """The x coordinate of the side that the camera sees, if any."""
        if self.x[0] > 0:
            return self.x[0]
        return self.x[1] if self.x[1] < 0 else None


def draw_vehicles(
    sketch: Sketch,
    street: Street,
    parameters: SceneParameters,
    generator: np.random.Generator,
) -> None:
    """Fills the lanes; the gaps shrink as traffic grows."""
    gap = 26 - 19 * parameters.traffic
    for lanes, oncoming in (
        (street.own_lanes, False),
        (street.oncoming_lanes, True),
    ):
        for i, center in enumerate(lanes):
            z = _DASHBOARD_GAP + generator.exponential(gap)
            while z < 65:
                kind = str(generator.choice(_KINDS, p=_KIND_SHARES))
                if street.tram and i == 0 and generator.random() < 0.5:
                    kind = "train"
                x = center + generator.uniform(-0.25, 0.25)
                length = _draw_vehicle(sketch, kind, x, z, oncoming, generator)
                z += length + 2 + generator.exponential(gap)
    for side in street.sides:
        if side.parking:
            _draw_parked(sketch, side, parameters, generator)


def _draw_parked(
    sketch: Sketch,
    side: Side,
    parameters: SceneParameters,
    generator: np.random.Generator,
) -> None:
    z = generator.uniform(5, 12)
    while z < 70:
        if generator.random() < 0.25 + 0.5 * parameters.traffic:
            x = side.x(side.road_edge - 1.1)
            oncoming = side.sign < 0
            _draw_vehicle(sketch, "car", x, z, oncoming, generator)
        z += generator.uniform(5.2, 6.5)


def _draw_vehicle(
    sketch: Sketch,
    kind: str,
    x: float,
    z: float,
    oncoming: bool,
    generator: np.random.Generator,
) -> float:
    """Draws one vehicle whose near end is at z; returns its length."""
    width, height, length = {
        "car": (1.8, 1.45, 4.3),
        "truck": (2.4, 3.3, 8.0),
        "bus": (2.5, 3.1, 11.0),
        "train": (2.4, 3.4, 24.0),
    }[kind]
    height *= generator.uniform(0.97, 1.2 if kind == "car" else 1.08)
    body = _Body(
        x=(x - width / 2, x + width / 2),
        z=(z, z + length),
        height=height,
        oncoming=oncoming,
        variant=int(generator.integers(64)),
    )
    layer = sketch.layer(z)
    _draw_shadow(layer, body)
    {
        "car": _draw_car,
        "truck": _draw_truck,
        "bus": _draw_coach,
        "train": _draw_coach,
    }[kind](layer, body, kind)
    return length


def _draw_shadow(layer: Layer, body: _Body) -> None:
    x = (body.x[0] - 0.3, body.x[1] + 0.3)
    layer.level(x, 0, (body.z[0] - 0.35, body.z[1]), "shadow")


def _draw_car(layer: Layer, body: _Body, kind: str) -> None:
    (x0, x1), (near, far) = body.x, body.z
    belt, roof = 0.6 * body.height, body.height
    paint = ("car", kind, body.variant)
    # From the near end: where windscreen and rear window start and end.
    glass = (1.0, 1.75, 3.5, 4.1) if body.oncoming else (0.2, 0.75, 2.6, 3.4)
    low, high, roof_end, belt_end = (near + offset for offset in glass)
    side = body.visible_side
    if side is not None:
        inner = side + (0.15 if side > 0 else -0.15)
        cabin = [(low, belt), (high, roof), (roof_end, roof), (belt_end, belt)]
        layer.polygon(
            [(inner if y == roof else side, y, z) for z, y in cabin],
            *paint, 0.75,
        )  # fmt: skip
        _draw_side_windows(layer, inner, cabin)
        layer.along(side, (0.3, belt), (near, far), *paint, 0.75)
        for z in (near + 0.8, far - 0.8):
            layer.wheel(side, 0.32, z, 0.34, "tyre", kind)
            layer.wheel(side, 0.32, z, 0.16, "hub")
    cabin_x = (x0 + 0.12, x1 - 0.12)
    layer.polygon(
        [(x0 + 0.03, belt, low), (x1 - 0.03, belt, low)]
        + [(cabin_x[1], roof, high), (cabin_x[0], roof, high)],
        *paint, 0.95,
    )  # fmt: skip
    layer.polygon(
        [(x0 + 0.16, belt + 0.04, low), (x1 - 0.16, belt + 0.04, low)]
        + [(x1 - 0.24, roof - 0.1, high), (x0 + 0.24, roof - 0.1, high)],
        "vehicle_glass",
    )  # fmt: skip
    layer.level((x0, x1), belt, (near, low), *paint, 1.1)
    _draw_car_end(layer, body, belt, paint)


def _draw_side_windows(layer: Layer, x: float, cabin: list) -> None:
    middle_z = sum(z for z, _ in cabin) / 4
    middle_y = sum(y for _, y in cabin) / 4
    shrunk = [
        (x, middle_y + 0.72 * (y - middle_y), middle_z + 0.8 * (z - middle_z))
        for z, y in cabin
    ]
    layer.polygon(shrunk, "vehicle_glass", tone=0.8)


def _draw_car_end(layer: Layer, body: _Body, belt: float, paint: tuple) -> None:
    (x0, x1), near = body.x, body.z[0]
    for x in (x0 + 0.05, x1 - 0.3):
        layer.facing((x, x + 0.25), (0, 0.4), near, "tyre", paint[1])
    layer.facing((x0, x1), (0.25, belt), near, *paint, body.tone)
    layer.facing((x0, x1), (0.25, 0.38), near, "bumper")
    material = "headlight" if body.oncoming else "taillight"
    for x in (x0 + 0.06, x1 - 0.41):
        layer.facing((x, x + 0.35), (belt - 0.22, belt - 0.06), near, material)
    middle = (x0 + x1) / 2
    layer.facing((middle - 0.26, middle + 0.26), (0.42, 0.54), near, "plate")


def _draw_truck(layer: Layer, body: _Body, kind: str) -> None:
    """Draws a cargo box and a cab; the cab is nearer if oncoming."""
    (x0, x1), (near, far) = body.x, body.z
    cab = (near, near + 2.0) if body.oncoming else (far - 2.0, far)
    box = (near + 2.2, far) if body.oncoming else (near, far - 2.2)
    cab_paint = ("car", kind, body.variant)
    box_paint = ("cargo", kind, body.variant)
    side = body.visible_side
    if side is not None:
        layer.along(side, (0.5, body.height), box, *box_paint, 0.75)
        layer.along(side, (0.5, 0.82 * body.height), cab, *cab_paint, 0.75)
        window = (0.5 * body.height, 0.72 * body.height)
        layer.along(side, window, (cab[0] + 0.4, cab[1] - 0.5), "vehicle_glass")
        for z in (near + 1.1, far - 2.6, far - 1.1):
            layer.wheel(side, 0.48, z, 0.5, "tyre", kind)
    layer.facing((x0, x1), (0.45, body.height), box[0], *box_paint, body.tone)
    if body.oncoming:
        top = 0.82 * body.height
        layer.facing((x0, x1), (0.45, top), near, *cab_paint, body.tone)
        glass = (x0 + 0.15, x1 - 0.15)
        layer.facing(glass, (0.5 * top, 0.9 * top), near, "vehicle_glass")
    else:
        middle = (x0 + x1) / 2
        doors = (middle - 0.03, middle + 0.03)
        layer.facing(doors, (0.6, body.height - 0.1), near, "bumper")
    _draw_large_end(layer, body, kind)


def _draw_coach(layer: Layer, body: _Body, kind: str) -> None:
    """Draws a bus or a tram: one box with a band of windows."""
    (x0, x1), (near, far) = body.x, body.z
    paint = (kind, kind, body.variant)
    band = (0.5 * body.height, 0.85 * body.height)
    side = body.visible_side
    if side is not None:
        layer.along(side, (0.3, body.height), body.z, *paint, 0.75)
        for z in np.arange(near + 0.4, far - 1, 1.6):
            layer.along(side, band, (z, z + 1.35), "vehicle_glass", tone=0.8)
        if kind == "bus":
            for z in (near + 2.0, far - 2.6):
                layer.wheel(side, 0.48, z, 0.5, "tyre", kind)
    layer.facing((x0, x1), (0.3, body.height), near, *paint, body.tone)
    glass = (x0 + 0.18, x1 - 0.18)
    layer.facing(glass, (0.45 * body.height, band[1]), near, "vehicle_glass")
    board = (x0 + 0.5, x1 - 0.5)
    top = (0.89 * body.height, 0.97 * body.height)
    layer.facing(board, top, near, "route_board")
    _draw_large_end(layer, body, kind)


def _draw_large_end(layer: Layer, body: _Body, kind: str) -> None:
    (x0, x1), near = body.x, body.z[0]
    if kind != "train":
        for x in (x0 + 0.1, x1 - 0.45):
            layer.facing((x, x + 0.35), (0, 0.5), near, "tyre", kind)
    layer.facing((x0, x1), (0.3, 0.5), near, "bumper", kind)
    material = "headlight" if body.oncoming else "taillight"
    for x in (x0 + 0.12, x1 - 0.42):
        layer.facing((x, x + 0.3), (0.62, 0.84), near, material)
