"""One street scene: parameters in, polygons and then pixels out."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from tfrecords_tools.city import (
    buildings,
    furniture,
    greenery,
    people,
    vehicles,
)
from tfrecords_tools.city import street as streets
from tfrecords_tools.city.parameters import SceneParameters
from tfrecords_tools.city.sketch import Camera, Shape, Sketch

# The picture is drawn this many times larger and averaged down, which smooths
# its edges; the labels are drawn as large and sampled, never averaged.
SUPERSAMPLING = 2

Color = tuple[int, int, int]


def compose_scene(
    parameters: SceneParameters,
    generator: np.random.Generator,
    width: int,
    height: int,
) -> Sketch:
    """Draws one of the scenes that have these parameters.

    This is the conditional distribution of layouts given the parameters. It
    does not know the domain, so the two domains' layouts differ by their
    parameters' densities and by nothing else.
    """
    camera = Camera(
        width,
        height,
        horizon=_horizon(parameters, generator),
        heading=float(np.clip(generator.normal(0.5, 0.07), 0.3, 0.7)),
    )
    sketch = Sketch(camera)
    street = streets.plan_street(parameters, generator)
    streets.draw_sky(sketch, generator)
    streets.draw_skyline(sketch, parameters, generator)
    streets.draw_ground(sketch, street, generator)
    buildings.draw_plots(sketch, street, parameters, generator)
    greenery.draw_street_trees(sketch, street, parameters, generator)
    furniture.draw_furniture(sketch, street, generator)
    vehicles.draw_vehicles(sketch, street, parameters, generator)
    people.draw_people(sketch, street, parameters, generator)
    return sketch


def paint(
    shapes: Sequence[Shape],
    color: Callable[[Shape], Color],
    width: int,
    height: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Paints shapes given at SUPERSAMPLING times the picture's size.

    Args:
        shapes: from back to front.
        color: a look's colour of a shape.
        width: of the picture in pixels.
        height: of the picture in pixels.

    Returns:
        The picture, uint8 [height, width, 3], and the label ids, uint8
        [height, width].
    """
    size = (SUPERSAMPLING * width, SUPERSAMPLING * height)
    picture = Image.new("RGB", size)
    labels = Image.new("L", size)
    pen, label_pen = ImageDraw.Draw(picture), ImageDraw.Draw(labels)
    for shape in shapes:
        pen.polygon(shape.points, fill=color(shape))
        if shape.label_id is not None:
            label_pen.polygon(shape.points, fill=shape.label_id)
    half = SUPERSAMPLING // 2
    return (
        np.asarray(picture.reduce(SUPERSAMPLING)),
        np.asarray(labels)[half::SUPERSAMPLING, half::SUPERSAMPLING],
    )


def _horizon(
    parameters: SceneParameters, generator: np.random.Generator
) -> float:
    """Open streets are seen with the horizon low in the picture."""
    return 0.39 + 0.27 * parameters.openness + generator.normal(0, 0.012)
