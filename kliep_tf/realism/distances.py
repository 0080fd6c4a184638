"""Distances of two samples of features: the kernel distance, and Frechet's.

With Inception's features they are known as KID and FID, with those of VGG the
first one as KVD.
"""

import dataclasses

import numpy as np

from kliep_tf.errors import UserError

# Kernel distances are published times a thousand.
_SCALE = 1000.0


@dataclasses.dataclass(frozen=True)
class KernelDistance:
    """A squared maximum mean discrepancy, times 1,000.

    Attributes:
        mean: over random subsets; an estimate that is unbiased where no
            example stands twice in a sample, and may be negative. Crops that
            are matched to several others do stand there several times.
        deviation: the standard deviation over the subsets.
        subset_size: examples of each sample in a subset.
        num_subsets: how many there were.
    """

    mean: float
    deviation: float
    subset_size: int
    num_subsets: int


def kernel_distance(
    first: np.ndarray,
    second: np.ndarray,
    num_subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
) -> KernelDistance:
    """Returns the kernel distance of two samples, as KID is computed.

    The mean of `squared_mmd` over random subsets of both samples (Binkowski et
    al., Demystifying MMD GANs, arXiv 1801.01401), times 1,000.

    Args:
        first: [N, d] features.
        second: [M, d] features.
        num_subsets: drawn independently.
        subset_size: examples of each sample in a subset, without repetition.
            Where a sample has fewer than twice as many, half of the smaller
            sample is taken: subsets that are the whole would not differ.
        seed: of the subsets.

    Raises:
        UserError: a sample has fewer than four examples.
    """
    smaller = min(len(first), len(second))
    if smaller < 4:
        raise UserError(
            "kernel distance: expected at least 4 images or crops on either "
            f"side, found {len(first)} and {len(second)}"
        )
    size = min(subset_size, smaller // 2)
    rng = np.random.default_rng(seed)
    found = [
        squared_mmd(_subset(first, size, rng), _subset(second, size, rng))
        for _ in range(num_subsets)
    ]
    return KernelDistance(
        _SCALE * float(np.mean(found)),
        _SCALE * float(np.std(found)),
        size,
        num_subsets,
    )


def squared_mmd(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the unbiased squared MMD under k(x, y) = (x'y / d + 1)^3.

    The mean of k over pairs of different examples of the first sample, plus
    that of the second, minus twice the mean of k across both (Gretton et al.,
    A Kernel Two-Sample Test, JMLR 2012, eq. 3).

    Args:
        first: [N, d], N at least 2.
        second: [M, d], M at least 2.
    """
    first, second = (np.asarray(x, np.float64) for x in (first, second))
    return (
        _mean_off_diagonal(_kernel(first, first))
        + _mean_off_diagonal(_kernel(second, second))
        - 2 * float(_kernel(first, second).mean())
    )


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the squared Frechet distance of two fitted Gaussians.

    |m_1 - m_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2)), with means m and
    covariances C of the samples (Heusel et al., arXiv 1706.08500, eq. 6).

    Args:
        first: [N, d], N at least 2.
        second: [M, d], M at least 2.
    """
    first, second = (np.asarray(x, np.float64) for x in (first, second))
    if min(len(first), len(second)) < 2:
        raise UserError(
            "Frechet distance: expected at least 2 images on either side, "
            f"found {len(first)} and {len(second)}"
        )
    difference = first.mean(0) - second.mean(0)
    covariances = [
        np.atleast_2d(np.cov(x, rowvar=False)) for x in (first, second)
    ]
    # tr (C_1 C_2)^(1/2) is the sum of the roots of the eigenvalues of the
    # symmetric C_1^(1/2) C_2 C_1^(1/2), which has the eigenvalues of C_1 C_2.
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ covariances[1] @ root)
    shared = np.sqrt(np.maximum(product, 0)).sum()
    traces = sum(float(np.trace(matrix)) for matrix in covariances)
    return float(difference @ difference + traces - 2 * shared)


def _kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return (first @ second.T / first.shape[1] + 1) ** 3


def _mean_off_diagonal(kernel: np.ndarray) -> float:
    number = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (number * (number - 1)))


def _subset(
    features: np.ndarray, size: int, rng: np.random.Generator
) -> np.ndarray:
    return features[rng.choice(len(features), size, replace=False)]
