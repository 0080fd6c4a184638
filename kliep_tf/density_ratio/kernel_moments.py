"""Sums of kernels over two samples, of which least squares are made.

Both samples are read once, block by block; what is kept does not grow with
them: H and h are sums, and the leave-one-out score is the mean over some pairs
of points.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from kliep_tf.density_ratio.exponents import Exponents


@dataclasses.dataclass(frozen=True)
class KernelSums:
    """What one pass over the kernels K [N, b] of one sample leaves.

    Attributes:
        size: N.
        gram: [b, b], sum K K'.
        total: [b], sum K.
        some: [n, b], the kernels of some points.
    """

    size: int
    gram: np.ndarray
    total: np.ndarray
    some: np.ndarray

    @classmethod
    def of(cls, blocks: Iterable[np.ndarray], rows: np.ndarray) -> "KernelSums":
        """Returns the sums over all blocks.

        Args:
            blocks: kernels [_, b] of the sample's points, in their order.
            rows: int [n], the points whose kernels are kept.
        """
        size, gram, total = 0, 0.0, 0.0
        kept, places = [], []
        for block in blocks:
            gram = gram + block.T @ block
            total = total + block.sum(axis=0)
            here = np.flatnonzero((rows >= size) & (rows < size + len(block)))
            kept.append(block[rows[here] - size])
            places.append(here)
            size += len(block)
        order = np.argsort(np.concatenate(places))
        return cls(
            size,
            np.asarray(gram),
            np.asarray(total),
            np.concatenate(kept)[order],
        )


def kernel_blocks(
    exponents: Exponents, num_centers: int, rate: float
) -> Iterator[np.ndarray]:
    """Yields float64 [_, b], K(x_i, c_l), a block of points at a time."""
    for first, last, block in exponents.blocks():
        values = block.numpy()[:num_centers, : last - first]
        yield np.exp(-rate * values.T.astype(np.float64))


@dataclasses.dataclass(frozen=True)
class Moments:
    """H by sample, and h.

    Attributes:
        own: [b, b], mean K K' over the numerator's points.
        other: [b, b], over the denominator's.
        mean: [b], h.
        sizes: how many points of each.
        mixture: a.
    """

    own: np.ndarray
    other: np.ndarray
    mean: np.ndarray
    sizes: tuple[int, int]
    mixture: float

    @classmethod
    def of(
        cls, own: KernelSums, other: KernelSums, mixture: float
    ) -> "Moments":
        """Returns the moments from the sums over both samples."""
        return cls(
            own.gram / own.size,
            other.gram / other.size,
            own.total / own.size,
            (own.size, other.size),
            mixture,
        )

    def theta(self, ridge: float) -> np.ndarray:
        """Returns [b], the coefficients."""
        a = self.mixture
        system = a * self.own + (1.0 - a) * self.other
        system[np.diag_indices_from(system)] += ridge
        return np.maximum(np.linalg.solve(system, self.mean), 0.0)


class LeftOut:
    """The squared errors at pairs of points that were left out of the fit.

    That is the mean of a/2 r(own)^2 + (1 - a)/2 r(other)^2 - r(own), where r is
    fitted without the pair (Kanamori et al., section 4). One decomposition
    serves every lambda.
    """

    def __init__(self, moments: Moments, own: np.ndarray, other: np.ndarray):
        """Keeps what does not depend on lambda.

        Args:
            moments: of all points.
            own: [n, b], kernels at the numerator points of the pairs.
            other: [n, b], at the denominator points.
        """
        a, (size, other_size) = moments.mixture, moments.sizes
        self._mixture, self._own, self._other = a, own.T, other.T
        # H without pair i = system - u u' - v v'.
        system = a * size / (size - 1) * moments.own
        system += (1.0 - a) * other_size / (other_size - 1) * moments.other
        self._values, self._vectors = np.linalg.eigh(system)
        self._u = np.sqrt(a / (size - 1)) * own.T
        self._v = np.sqrt((1.0 - a) / (other_size - 1)) * other.T
        means = (size * moments.mean[:, None] - own.T) / (size - 1)  # [b, n]
        columns = np.concatenate([self._u, self._v, means], axis=1)
        self._rotated = self._vectors.T @ columns

    def error(self, ridge: float) -> float:
        """Returns the mean error with this lambda."""
        values = np.maximum(self._values, 0.0) + ridge
        inverse_u, inverse_v, plain = np.split(
            self._vectors @ (self._rotated / values[:, None]), 3, axis=1
        )
        u, v = self._u, self._v
        # Woodbury's identity: (I - U' S^-1 U) of U = [u, v], of each pair.
        uu = 1.0 - np.sum(u * inverse_u, axis=0)
        vv = 1.0 - np.sum(v * inverse_v, axis=0)
        uv = -np.sum(u * inverse_v, axis=0)
        right_u = np.sum(u * plain, axis=0)
        right_v = np.sum(v * plain, axis=0)
        determinant = uu * vv - uv**2
        by_u = (vv * right_u - uv * right_v) / determinant
        by_v = (uu * right_v - uv * right_u) / determinant
        theta = np.maximum(plain + inverse_u * by_u + inverse_v * by_v, 0.0)
        at_own = np.sum(self._own * theta, axis=0)
        at_other = np.sum(self._other * theta, axis=0)
        a = self._mixture
        squares = a * at_own**2 + (1.0 - a) * at_other**2
        return float(np.mean(0.5 * squares - at_own))
