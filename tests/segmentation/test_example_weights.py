import numpy as np
import pytest

from kliep_tf.data import records
from kliep_tf.data.index import build_index
from kliep_tf.data.weights import ImportanceWeights, save_weights
from kliep_tf.errors import UserError
from kliep_tf.segmentation.example_weights import (
    read_example_weights,
    resample,
)


def _index(directory, weights):
    """An index of the examples a, b, c, ... of these weights."""
    examples = [
        records.encode_example(
            b"", filename=name, height=1, width=1, importance_weight=weight
        )
        for name, weight in zip("abcdefgh", weights, strict=False)
    ]
    path = directory / records.shard_name("train", 0, 1)
    records.write_shard(path, examples)
    return build_index([str(path)])


def test_weights_of_the_records_are_normalized(tmp_path):
    index = _index(tmp_path, [1.0, 3.0, 0.0])
    # mean 4 / 3
    np.testing.assert_allclose(
        read_example_weights(index, None), [0.75, 2.25, 0.0], rtol=1e-6
    )


def test_weights_of_a_directory_are_joined_by_filename(tmp_path):
    index = _index(tmp_path, [None, None])
    save_weights(
        tmp_path,
        ImportanceWeights(
            "source",
            np.array(["x", "b", "a"]),
            np.array([2.0, 0.25, 0.75], np.float32),
        ),
    )
    # Of a and b alone: mean 0.5
    np.testing.assert_allclose(
        read_example_weights(index, tmp_path), [1.5, 0.5], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, None], "found none in 'b'"),
        ([1.0, -1.0], "found -1.0 in 'b'"),
        ([float("nan"), 1.0], "found nan in 'a'"),
    ],
)
def test_useless_weights_are_named(weights, message, tmp_path):
    with pytest.raises(UserError, match=message):
        read_example_weights(_index(tmp_path, weights), "")


def _counts(index, weights, num_draws, seed) -> list[int]:
    drawn = resample(index, np.array(weights), num_draws, seed)
    assert len(drawn) == num_draws
    return [int((drawn.filenames == name).sum()) for name in "abcd"]


def test_examples_are_drawn_in_proportion(tmp_path):
    index = _index(tmp_path, [1.0] * 4)
    for seed in range(5):
        # 8 draws of weights 0.5, 0, 1.5, 2: whole numbers, nothing is random.
        assert _counts(index, [0.5, 0.0, 1.5, 2.0], 8, seed) == [1, 0, 3, 4]


def test_fractions_are_drawn_by_chance_and_right_on_average(tmp_path):
    index = _index(tmp_path, [1.0] * 4)
    weights = [0.1, 0.9, 1.3, 1.7]
    counts = np.array([_counts(index, weights, 4, seed) for seed in range(400)])
    # Never further than to the next integers.
    assert (counts >= np.floor(weights)).all()
    assert (counts <= np.ceil(weights)).all()
    # The deviation of a mean of 400 Bernoulli numbers is at most 0.025.
    np.testing.assert_allclose(counts.mean(axis=0), weights, atol=0.1)


def test_same_seed_draws_the_same(tmp_path):
    index = _index(tmp_path, [1.0] * 4)
    weights = [0.1, 0.9, 1.3, 1.7]
    first, again = (_counts(index, weights, 5, seed=1) for _ in range(2))
    assert first == again
