"""KVD, sKVD and cKVD of two sets of images, and FID and KID."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from kliep_tf.realism import crops
from kliep_tf.realism.distances import (
    KernelDistance,
    frechet_distance,
    kernel_distance,
)
from kliep_tf.realism.image_sets import ImageSet

# Fewer pairs than this say nothing.
LEAST_PAIRS = 20


@dataclasses.dataclass(frozen=True)
class Subsets:
    """How kernel distances are averaged; see `distances.kernel_distance`.

    Attributes:
        number: of subsets.
        size: of each subset.
        seed: of the subsets.
        unit: that features are divided by first.
    """

    number: int = 100
    size: int = 1000
    seed: int = 0
    unit: float = 1.0

    def distance(self, first: np.ndarray, second: np.ndarray) -> KernelDistance:
        """Returns the kernel distance over these subsets."""
        return kernel_distance(
            first / self.unit,
            second / self.unit,
            self.number,
            self.size,
            self.seed,
        )


@dataclasses.dataclass(frozen=True)
class PairedDistance:
    """A distance over pairs of crops.

    Attributes:
        num_pairs: of how many.
        distance: None where they are fewer than LEAST_PAIRS.
    """

    num_pairs: int
    distance: KernelDistance | None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How far a set of images is from another, by one network's features.

    Attributes:
        whole: KVD, of whole images; KID with Inception's features.
        aligned: sKVD, of crops of one layout.
        by_group: cKVD, of one class group's pixels in such crops, by group.
        frechet: FID with Inception's features, None for other networks.
    """

    whole: KernelDistance
    aligned: PairedDistance | None = None
    by_group: Mapping[str, PairedDistance] = dataclasses.field(
        default_factory=dict
    )
    frechet: float | None = None

    @property
    def group_mean(self) -> float | None:
        """The mean of cKVD over the groups that have one."""
        found = [
            group.distance.mean
            for group in self.by_group.values()
            if group.distance is not None
        ]
        return float(np.mean(found)) if found else None


def compare_sets(
    first: ImageSet, second: ImageSet, ignore_label: int, subsets: Subsets
) -> Comparison:
    """Returns KVD, sKVD and cKVD.

    Args:
        first: the images that are judged.
        second: the photographs.
        ignore_label: the train id of pixels that are not labelled.
        subsets: how distances are averaged.
    """
    everything = np.arange(len(first)), np.arange(len(second))
    return Comparison(
        subsets.distance(first.images, second.images),
        _paired(
            first,
            second,
            (everything[0], first.crops),
            (everything[1], second.crops),
            ignore_label,
            subsets,
        ),
        {
            group: _paired(
                first,
                second,
                first.groups[group],
                second.groups[group],
                ignore_label,
                subsets,
            )
            for group in first.groups
            if group in second.groups
        },
    )


def unit_of(target: ImageSet) -> float:
    """Returns the root mean square of the features of whole images.

    The cubic kernel has a unit: it suits features of about 1, as Inception's
    and torchvision's VGG-16 have. Those of weights that want pixels of 0..255
    are hundreds, and their largest ones alone would count.
    """
    return float(np.sqrt(np.mean(np.square(target.images, dtype=np.float64))))


def layout_pairs(
    first: ImageSet, second: ImageSet, ignore_label: int
) -> crops.Pairs:
    """Returns the rows of the crops that sKVD compares."""
    return crops.match(first.cells, second.cells, ignore_label)


def compare_inception(
    first: np.ndarray, second: np.ndarray, subsets: Subsets
) -> Comparison:
    """Returns KID and FID of Inception's features, [N, d] and [M, d]."""
    return Comparison(
        subsets.distance(first, second),
        frechet=frechet_distance(first, second),
    )


def _paired(
    first: ImageSet,
    second: ImageSet,
    first_part: tuple[np.ndarray, np.ndarray],
    second_part: tuple[np.ndarray, np.ndarray],
    ignore_label: int,
    subsets: Subsets,
) -> PairedDistance:
    """Compares the features of crops that share their layout.

    Each part is rows of a set and features of these rows.
    """
    first_rows, first_features = first_part
    second_rows, second_features = second_part
    pairs = crops.match(
        first.cells[first_rows], second.cells[second_rows], ignore_label
    )
    if len(pairs) < LEAST_PAIRS:
        return PairedDistance(len(pairs), None)
    return PairedDistance(
        len(pairs),
        subsets.distance(
            first_features[pairs.first], second_features[pairs.second]
        ),
    )
