"""Several workers read one input: parts of batches, and what a step saw."""

import numpy as np
import pytest

from kliep_tf.data import pipeline
from kliep_tf.data.index import build_index
from kliep_tf.data.pipeline import Augmentation
from kliep_tf.data.records import resolve_records
from tests.conftest import SIZE


@pytest.fixture(scope="module")
def domains(source_records, target_records):
    return tuple(
        build_index(resolve_records(directory, "records"))
        for directory in (source_records, target_records)
    )


def batches(domains, steps, **options):
    source, target = domains
    dataset = pipeline.make_unpaired_dataset(
        source,
        target,
        Augmentation(SIZE, crop_size=(16, 24), flip=True),
        # Each example's weight is its row, so that a batch tells what it holds.
        source_weights=np.arange(len(source)),
        target_weights=np.arange(len(target)),
        batch_size=4,
        seed=3,
        **options,
    )
    return list(dataset.take(steps).as_numpy_iterator())


@pytest.mark.parametrize("num_parts", [2, 4])
def test_parts_side_by_side_are_the_whole_batch(domains, num_parts):
    whole = batches(domains, 9, start_step=2)  # beyond the first epoch
    parts = [
        batches(domains, 9, start_step=2, share=(part, num_parts))
        for part in range(num_parts)
    ]
    for expected, *found in zip(whole, *parts, strict=True):
        assert all(len(part.source) == 4 // num_parts for part in found)
        for one, *others in zip(expected, *found, strict=True):
            np.testing.assert_array_equal(one, np.concatenate(others))


def test_step_names_the_examples_it_was_fed(domains):
    source, target = domains
    for step, batch in enumerate(batches(domains, 8), start=1):
        names = pipeline.filenames_of_step(
            source, target, batch_size=4, seed=3, step=step
        )
        rows = batch.source_weight.astype(int)
        assert names[0] == source.filenames[rows].tolist()
        rows = batch.target_weight.astype(int)
        assert names[1] == target.filenames[rows].tolist()
