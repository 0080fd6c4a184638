"""One street scene: parameters in, polygons from back to front out."""

import numpy as np

from tfrecords_tools.city import (
    buildings,
    furniture,
    greenery,
    people,
    vehicles,
)
from tfrecords_tools.city import street as streets
from tfrecords_tools.city.parameters import SceneParameters
from tfrecords_tools.city.sketch import Camera, Sketch


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


def _horizon(
    parameters: SceneParameters, generator: np.random.Generator
) -> float:
    """Open streets are seen with the horizon low in the picture."""
    return 0.39 + 0.27 * parameters.openness + generator.normal(0, 0.012)
