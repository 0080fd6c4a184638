"""Two samples of Gaussians, whose density ratio is a formula."""

import dataclasses

import numpy as np

from kliep_tf.data.features import Features


@dataclasses.dataclass(frozen=True)
class Gaussians:
    """N(0, I) as the source, N((shift, 0, ..., 0), scale^2 I) as the target.

    Those of scale 1 are Sugiyama et al.'s (NIPS 2007, section 4.1).

    Attributes:
        title: for people.
        dim: number of features.
        shift: of the first one.
        scale: of all.
    """

    title: str
    dim: int
    shift: float
    scale: float = 1.0

    def draw(self, number: int, seed: int) -> tuple[Features, Features]:
        """Returns as many points of source and target."""
        rng = np.random.default_rng([seed, self.dim])
        source = rng.normal(size=(number, self.dim))
        target = self.scale * rng.normal(size=(number, self.dim))
        target[:, 0] += self.shift
        return _features(source), _features(target)

    def ratio(self, x: np.ndarray) -> np.ndarray:
        """Returns float64 [N], p_target / p_source at `x` [N, d]."""
        moved = np.array(x, np.float64)
        own = np.sum(moved**2, axis=1)
        moved[:, 0] -= self.shift
        other = np.sum(moved**2, axis=1) / self.scale**2
        return np.exp(0.5 * (own - other)) / self.scale**self.dim


PROBLEMS = (
    Gaussians("shift, d = 1", 1, 1.0),
    Gaussians("shift, d = 5", 5, 1.0),
    Gaussians("narrower target, d = 1", 1, 1.0, 0.5),
)


def _features(values: np.ndarray) -> Features:
    number, dim = values.shape
    return Features(
        np.array([f"{row}" for row in range(number)]),
        values.astype(np.float32),
        np.array([f"x{column}" for column in range(dim)]),
    )
