"""What a split holds, found by reading it: for records without dataset.json."""

import collections
import os
from collections.abc import Sequence

import numpy as np

from kliep_tf.data import pipeline, reading, records
from kliep_tf.data.datasets import CLASS_NAMES, NUM_CLASSES
from kliep_tf.data.summaries import SplitSummary, read_summary


def summarize_split(paths: Sequence[str], split: str) -> SplitSummary:
    """Returns the summary in dataset.json, or one made by reading every record.

    Args:
        paths: the shards of one split, in one directory.
        split: their prefix.
    """
    known = read_summary(os.path.dirname(paths[0]), split)
    return known or _read_split(paths, split)


def _read_split(paths: Sequence[str], split: str) -> SplitSummary:
    shards: dict[str, list[str]] = {}
    sizes: collections.Counter[str] = collections.Counter()
    pixels = np.zeros(NUM_CLASSES, np.int64)
    labelled = 0
    for path in paths:
        names = shards.setdefault(os.path.basename(path), [])
        dataset = pipeline.make_image_dataset([path])
        for example in reading.read_all(dataset, "source_records"):
            names.append(example.filename.decode())
            height, width, _ = example.image.shape
            sizes[f"{height}x{width}"] += 1
            counts = np.bincount(example.label.ravel(), minlength=256)
            pixels += counts[:NUM_CLASSES]
            labelled += bool(counts[:NUM_CLASSES].any())
    shares = pixels / max(pixels.sum(), 1)
    return SplitSummary(
        dataset=records.split_of(paths[0]),
        split=split,
        shards=shards,
        image_sizes=dict(sizes),
        labelled=labelled,
        class_pixel_shares=(
            dict(zip(CLASS_NAMES, shares.tolist(), strict=True))
            if labelled
            else {}
        ),
    )
