"""Importance weights in the training of a segmenter.

They either multiply each example's loss or decide how often it is drawn.
"""

import os

import numpy as np
import tensorflow as tf

from kliep_tf.data import records
from kliep_tf.data.index import RecordIndex
from kliep_tf.data.weightings import temper
from kliep_tf.data.weights import load_weights
from kliep_tf.errors import DataError, UserError

USES = ("none", "loss", "sample")


def read_example_weights(
    index: RecordIndex, weights_dir: str | os.PathLike | None
) -> np.ndarray:
    """Returns float32 [N], mean 1: the weights of the index's examples.

    Args:
        index: of the training examples.
        weights_dir: what estimate_weights wrote, whose source weights are
            taken; without it the examples' own image/importance_weight.

    Raises:
        UserError: an example has no weight or a useless one; it is named.
    """
    if weights_dir:
        weights = load_weights(weights_dir, "source").lookup(
            index.filenames.tolist()
        )
    else:
        weights = _attached_weights(index)
    return temper(weights, 1.0)


def resample(
    index: RecordIndex, weights: np.ndarray, num_draws: int, seed: int
) -> RecordIndex:
    """Returns an index of `num_draws` examples, drawn by their weights.

    Systematic resampling: an example of weight w is drawn num_draws w / sum(w)
    times, rounded down or up at random.

    Args:
        index: of the training examples.
        weights: [N], 0 or more.
        num_draws: how many examples the training reads in all.
        seed: of the one random number that decides the rounding.
    """
    ends = np.cumsum(np.asarray(weights, np.float64))
    ends *= num_draws / ends[-1]
    offset = np.random.default_rng([seed, len(index)]).uniform()
    # Points offset, offset + 1, ...: example i gets those in its interval.
    counts = np.diff(np.ceil(ends - offset), prepend=0.0).astype(np.int64)
    # Rounding may move the last point.
    counts[np.argmax(counts)] += num_draws - counts.sum()
    return index.select(np.repeat(np.arange(len(index)), counts))


def _attached_weights(index: RecordIndex) -> np.ndarray:
    weights = np.empty(len(index), np.float32)
    for row, name in enumerate(index.filenames):
        example = tf.train.Example.FromString(index.read(row))
        found = example.features.feature[records.IMPORTANCE_WEIGHT].float_list
        if not found.value:
            raise UserError(
                f"{records.IMPORTANCE_WEIGHT}: expected a weight in every "
                f"example, found none in {str(name)!r}; attach_weights writes "
                "them, --weights_dir names a directory of weights"
            )
        weights[row] = found.value[0]
    bad = ~np.isfinite(weights) | (weights < 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"{records.IMPORTANCE_WEIGHT}: expected finite weights of 0 or "
            f"more, found {weights[row]} in {str(index.filenames[row])!r}"
        )
    return weights
