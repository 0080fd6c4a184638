"""Records of which only some images keep their labels."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from kliep_tf.data import records, summaries
from kliep_tf.data.index import build_index

_SPLIT = "some"
_LABEL_KEYS = (records.LABEL_ENCODED, records.LABEL_FORMAT)


def draw_names(
    filenames: Sequence[str], number: int, seed: int, draw: int
) -> list[str]:
    """Returns the names of as many images, drawn without replacement.

    Args:
        filenames: of all images, in any order.
        number: to draw.
        seed: of the study.
        draw: which of several draws.
    """
    rng = np.random.default_rng([seed, draw])
    names = sorted(filenames)
    # A larger draw contains the smaller ones.
    return [names[row] for row in rng.permutation(len(names))[:number]]


def hide_labels(
    shards: Sequence[str],
    keep: Collection[str],
    directory: str | os.PathLike,
) -> None:
    """Writes the same records, with labels of the images in `keep` alone.

    Args:
        shards: of labelled images.
        keep: filenames.
        directory: is made; a dataset.json in it says that all is written.
    """
    directory = Path(directory)
    if (directory / summaries.DATASET_JSON).exists():
        return
    directory.mkdir(parents=True, exist_ok=True)
    index = build_index(shards)
    found = summaries.read_shard_summaries(shards)
    known = next(filter(None, found.values()), None)
    names = {}
    for number in range(len(shards)):
        name = records.shard_name(_SPLIT, number, len(shards))
        rows = np.flatnonzero(index.shards == number)
        examples = [
            _without_label(index.read(row))
            if index.filenames[row] not in keep
            else index.read(row)
            for row in map(int, rows)
        ]
        records.write_shard(directory / name, examples)
        names[name] = index.filenames[rows].tolist()
    summaries.write_summary(
        directory,
        summaries.SplitSummary(
            dataset=known.dataset if known else "hidden",
            split=_SPLIT,
            shards=names,
            image_sizes=known.image_sizes if known else {},
            labelled=len(keep),
            class_pixel_shares={},
            classes=index.classes,
        ),
    )


def _without_label(serialized: bytes) -> bytes:
    example = tf.train.Example.FromString(serialized)
    for key in _LABEL_KEYS:
        example.features.feature.pop(key, None)
    return example.SerializeToString()
