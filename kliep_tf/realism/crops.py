"""Crops that are compared with crops of the same layout.

A translation that keeps what the labels say differs from real images in its
layout, and is not to be blamed for it. sKVD therefore compares crops of equal
layout, cKVD equal classes within them (Richter et al., Enhancing Photorealism
Enhancement, arXiv 2105.04619, section 4).
"""

import dataclasses
import math
import zlib
from collections.abc import Mapping

import numpy as np

from kliep_tf.data.class_sets import ClassSet

# Of the image's area.
AREA = 1 / 8
# Cells a side of the reduced label of a crop.
GRID = 16
# Pairs must share more than this of their cells.
LEAST_SHARED = 0.5
# A crop shows a group if more than this of its pixels are of it.
LEAST_SHOWN = 0.05

# The groups of cKVD, by the class names of Cityscapes.
_GROUPS = {
    "sky": ("sky",),
    "road": ("road",),
    "ground": ("sidewalk",),
    "terrain": ("terrain",),
    "vegetation": ("vegetation",),
    "roadside objects": ("pole", "traffic light", "traffic sign"),
    "building": ("building",),
    "person": ("person", "rider"),
    "vehicle": ("car", "truck", "bus", "train", "motorcycle", "bicycle"),
}


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Rows of two sets of crops that belong together.

    Attributes:
        first: int64 [P].
        second: int64 [P]; one crop may stand in several pairs.
    """

    first: np.ndarray
    second: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


def crop_box(
    size: tuple[int, int], rng: np.random.Generator
) -> tuple[slice, slice]:
    """Returns rows and columns of a random square of an eighth of the area.

    Its side is at most that of the image.
    """
    side = min(math.isqrt(int(size[0] * size[1] * AREA)), *size)
    top, left = (int(rng.integers(length - side + 1)) for length in size)
    return slice(top, top + side), slice(left, left + side)


def box_of(
    size: tuple[int, int], filename: bytes, seed: int
) -> tuple[slice, slice]:
    """Returns the crop of an image, the same for its translations."""
    rng = np.random.default_rng([seed, zlib.crc32(filename)])
    return crop_box(size, rng)


def reduce_label(label: np.ndarray) -> np.ndarray:
    """Returns uint8 [256]: 16x16 cells of a label, by the nearest pixel.

    Args:
        label: uint8 [H, W] train ids.
    """
    rows, columns = (
        (np.arange(GRID) + 0.5) * length // GRID for length in label.shape
    )
    return label[np.ix_(rows.astype(int), columns.astype(int))].reshape(-1)


def match(first: np.ndarray, second: np.ndarray, ignore_label: int) -> Pairs:
    """Pairs each crop of the first set with the most alike of the second.

    Alike is the share of cells that have one class; cells that are ignored on
    either side are not alike. Pairs of at most one half are dropped.

    Args:
        first: uint8 [N, 256] reduced labels.
        second: uint8 [M, 256] reduced labels.
        ignore_label: the train id of pixels that are not labelled.
    """
    best = np.zeros(len(first), np.int64)
    shared = np.zeros(len(first))
    known = second != ignore_label
    for row, cells in enumerate(first):
        # The mean of no column is NaN, and no best one.
        if len(second):
            shares = ((second == cells) & known).mean(1)
            best[row] = np.argmax(shares)
            shared[row] = shares[best[row]]
    kept = np.flatnonzero(shared > LEAST_SHARED)
    return Pairs(kept, best[kept])


def class_groups(classes: ClassSet) -> Mapping[str, tuple[int, ...]]:
    """Returns the train ids of every group that cKVD looks at, by its name.

    Cityscapes' classes form the published groups; a class of another name is
    left to none, as walls and fences are.
    """
    ids = {name: row for row, name in enumerate(classes.names)}
    groups = {
        group: tuple(ids[name] for name in names if name in ids)
        for group, names in _GROUPS.items()
    }
    return {group: found for group, found in groups.items() if found}


def shown_groups(
    label: np.ndarray, groups: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Returns bool [H, W] masks of the groups that a crop shows, by name.

    Args:
        label: uint8 [H, W] train ids of the crop.
        groups: as `class_groups` returns them.
    """
    masks = {group: np.isin(label, ids) for group, ids in groups.items()}
    return {
        group: mask
        for group, mask in masks.items()
        if mask.mean() > LEAST_SHOWN
    }
