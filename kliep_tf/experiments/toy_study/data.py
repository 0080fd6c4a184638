"""The toy's two samples, as vectors and as scalars.

Section IV.A of the paper: 10,000 vectors of 300, every coordinate of the
source from U[0, 10), every coordinate of the target from N(7, 0.5), 0.5 being
the standard deviation (with it the source row of Table II comes out).
"""

from typing import NamedTuple

import numpy as np

SOURCE_LOW, SOURCE_HIGH = 0.0, 10.0
TARGET_MEAN, TARGET_STD = 7.0, 0.5
READINGS = ("vectors", "scalars")


class Samples(NamedTuple):
    """Both samples, float32 [num_vectors, num_features]."""

    source: np.ndarray
    target: np.ndarray


def draw_samples(seed: int, num_vectors: int, num_features: int) -> Samples:
    """Returns the two samples of one seed."""
    rng = np.random.default_rng([seed, 0])
    shape = (num_vectors, num_features)
    source = rng.uniform(SOURCE_LOW, SOURCE_HIGH, shape).astype(np.float32)
    target = rng.normal(TARGET_MEAN, TARGET_STD, shape).astype(np.float32)
    # Rounding to float32 may reach the end of the half-open interval.
    top = np.nextafter(np.float32(SOURCE_HIGH), np.float32(SOURCE_LOW))
    return Samples(np.minimum(source, top), target)


def epoch_batches(
    values: np.ndarray, batch_size: int, epoch: int, reading: str
) -> np.ndarray:
    """Returns the batches of one epoch, in the order of the sample.

    The order never changes. Vectors are batches of whole rows; a scalar batch
    holds one coordinate of each row, another coordinate in each epoch, so that
    both readings take equally many steps on equally large batches.

    Args:
        values: [num_vectors, d]; weights of vectors are [num_vectors, 1].
        batch_size: divides num_vectors.
        epoch: from 0.
        reading: one of READINGS.

    Returns:
        [num_batches, batch_size, d], or [num_batches, batch_size, 1].
    """
    if reading == "scalars":
        column = epoch % values.shape[1]
        values = values[:, column : column + 1]
    return values.reshape(-1, batch_size, values.shape[1])
