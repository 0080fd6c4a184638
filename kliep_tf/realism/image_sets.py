"""The features of a set of images: whole, of one crop each, and by class."""

import dataclasses
import io
import os
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from kliep_tf import runs
from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.npz_files import Array, read_npz
from kliep_tf.data.pipeline import LabelledImages
from kliep_tf.realism import crops

# uint8 [N, H, W, 3] -> float32 [N, d]
Network = Callable[[np.ndarray], np.ndarray]

_SCHEMA = {
    "images": Array("number", "ND"),
    "crops": Array("number", "ND"),
    "cells": Array("count", "NC"),
    "group_names": Array("text", "G"),
    "group_of": Array("count", "K"),
    "group_rows": Array("count", "K"),
    "group_features": Array("number", "KD"),
}


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """What the distances need of N images.

    Attributes:
        images: [N, d] features of whole images.
        crops: [N, d] features of one crop an image.
        cells: uint8 [N, 256] reduced labels of the crops.
        groups: by name of a class group, the rows of the crops that show it,
            int64 [n], and their features with all other pixels black, [n, d].
    """

    images: np.ndarray
    crops: np.ndarray
    cells: np.ndarray
    groups: Mapping[str, tuple[np.ndarray, np.ndarray]]

    def __len__(self) -> int:
        return len(self.images)


def gather(
    batches: Iterable[LabelledImages],
    network: Network,
    classes: ClassSet,
    seed: int,
    count: Callable[[int], None] = lambda number: None,
) -> ImageSet:
    """Returns the features of all images.

    An image's crop depends on its filename and the seed, so that an image and
    its translation are cropped alike.

    Args:
        batches: images of equal size within a batch, at least one image.
        network: that the features are of.
        classes: of the labels.
        seed: of the crops.
        count: is called with the number of images of every batch done.
    """
    images, cut, cells = [], [], []
    rows: dict[str, list[int]] = {}
    masked: dict[str, list[np.ndarray]] = {}
    groups = crops.class_groups(classes)
    number = 0
    for batch in batches:
        images.append(network(batch.image))
        patches, labels = _cut(batch, seed)
        cut.append(network(patches))
        cells.append([crops.reduce_label(label) for label in labels])
        names, black = [], []
        shown = zip(patches, labels, strict=True)
        for row, (patch, label) in enumerate(shown):
            for group, mask in crops.shown_groups(label, groups).items():
                names.append(group)
                black.append(patch * mask[..., np.newaxis])
                rows.setdefault(group, []).append(number + row)
        if names:
            features = network(np.stack(black))
            for group, feature in zip(names, features, strict=True):
                masked.setdefault(group, []).append(feature)
        number += len(batch.image)
        count(len(batch.image))
    return ImageSet(
        np.concatenate(images),
        np.concatenate(cut),
        np.concatenate(cells),
        {
            group: (np.array(rows[group]), np.stack(masked[group]))
            for group in rows
        },
    )


def save(path: str | os.PathLike, found: ImageSet) -> None:
    """Writes a set to an npz file, atomically."""
    rows = [rows for rows, _ in found.groups.values()]
    features = [features for _, features in found.groups.values()]
    buffer = io.BytesIO()
    np.savez(
        buffer,
        images=found.images,
        crops=found.crops,
        cells=found.cells,
        group_names=np.array(list(found.groups), np.str_),
        group_of=np.repeat(np.arange(len(rows)), list(map(len, rows))),
        group_rows=np.concatenate([*rows, np.zeros(0, np.int64)]),
        group_features=np.concatenate([*features, found.crops[:0]]),
    )
    runs.write_atomically(path, buffer.getvalue())


def load(path: str | os.PathLike) -> ImageSet:
    """Returns the set of an npz file.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: the file holds something else.
    """
    arrays = read_npz(path, "the features that compare_images keeps", _SCHEMA)
    groups = {}
    for number, name in enumerate(arrays["group_names"]):
        shown = arrays["group_of"] == number
        groups[str(name)] = (
            arrays["group_rows"][shown],
            arrays["group_features"][shown],
        )
    return ImageSet(arrays["images"], arrays["crops"], arrays["cells"], groups)


def _cut(batch: LabelledImages, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns crops uint8 [N, S, S, 3] and their labels uint8 [N, S, S]."""
    patches, labels = [], []
    size = batch.image.shape[1:3]
    for image, label, name in zip(*batch[:3], strict=True):
        box = crops.box_of(size, bytes(name), seed)
        patches.append(image[box])
        labels.append(label[..., 0][box])
    return np.stack(patches), np.stack(labels)
