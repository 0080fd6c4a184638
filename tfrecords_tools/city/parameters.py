"""Four numbers that describe a street, and their density in each domain.

A street is described by four numbers in [0, 1]. Each has in each domain the
density

    p(x) = k exp(k x) / (exp(k) - 1),    0 <= x <= 1,

with a tilt k that differs between the domains; k = 0 is the uniform density.
Everything else about a picture's layout is drawn given these four numbers by
the same random process in both domains. So the density ratio of two domains'
layouts is the ratio of their parameter densities: known in closed form, log
linear in the parameters, and bounded away from zero and infinity.
"""

import dataclasses
import math

import numpy as np

SOURCE = "source"
TARGET = "target"

# Rendered streets are more open: more sky, fewer trees. With these tilts the
# effective sample size of the true ratio is 21 % of the source sample: hard
# enough to need weights, not so hard that a few frames carry them all.
TILTS = {
    SOURCE: {
        "openness": 2.0,
        "greenery": -1.2,
        "building_height": -0.4,
        "traffic": -0.4,
    },
    TARGET: {
        "openness": -2.0,
        "greenery": 1.2,
        "building_height": 0.4,
        "traffic": 0.4,
    },
}


@dataclasses.dataclass(frozen=True)
class SceneParameters:
    """What a street is like; each number lies in [0, 1].

    Attributes:
        openness: how much sky: low horizon, wide street, gaps between houses.
        greenery: how many trees, hedges and lawns, and how large.
        building_height: from cottages to blocks.
        traffic: how many vehicles and people.
    """

    openness: float
    greenery: float
    building_height: float
    traffic: float


PARAMETER_NAMES = tuple(
    field.name for field in dataclasses.fields(SceneParameters)
)


def sample_parameters(
    domain: str, generator: np.random.Generator
) -> SceneParameters:
    """Draws one street's parameters from the density of `domain`."""
    return SceneParameters(
        **{
            name: _quantile(TILTS[domain][name], generator.random())
            for name in PARAMETER_NAMES
        }
    )


def log_density(domain: str, parameters: SceneParameters) -> float:
    """Returns log p_domain(parameters)."""
    return sum(
        _log_density(TILTS[domain][name], getattr(parameters, name))
        for name in PARAMETER_NAMES
    )


def log_density_ratio(parameters: SceneParameters) -> float:
    """Returns log p_target / p_source at `parameters`: the true importance."""
    return log_density(TARGET, parameters) - log_density(SOURCE, parameters)


def _quantile(tilt: float, probability: float) -> float:
    """The inverse of the distribution function, expm1(k x) / expm1(k)."""
    if tilt == 0:
        return probability
    return math.log1p(probability * math.expm1(tilt)) / tilt


def _log_density(tilt: float, value: float) -> float:
    if tilt == 0:
        return 0.0
    return math.log(tilt / math.expm1(tilt)) + tilt * value
