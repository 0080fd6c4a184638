"""Samples of two domains and their kernels, small enough to check by hand."""

import numpy as np


def two_samples(
    seed: int, num_source: int = 60, num_target: int = 40, dim: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a standard Gaussian's and a narrower one's beside it."""
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(num_source, dim)),
        0.7 * rng.normal(size=(num_target, dim)) + 0.6,
    )


def gaussian_kernel(
    x: np.ndarray, centers: np.ndarray, bandwidth: float
) -> np.ndarray:
    """Returns exp(-|x - c|^2 / (2 bandwidth^2)), [N, b]."""
    squares = ((x[:, None] - centers[None]) ** 2).sum(axis=2)
    return np.exp(-squares / (2 * bandwidth**2))
