"""Features of a shard are the same whoever extracts them."""

import dataclasses
import pickle

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data.features import load_features
from kliep_tf.data.index import build_index
from kliep_tf.data.records import resolve_records
from kliep_tf.density_ratio.extraction import ExtractionSettings
from kliep_tf.estimate_flags import EstimateConfig
from kliep_tf.estimate_shards import (
    LABEL_SHARES,
    FeatureWork,
    NetworkFiles,
    shards_of,
)
from kliep_tf.segmentation.inference import load_segmenter
from kliep_tf.shard_runners import RunnerFlags


@pytest.fixture(scope="module")
def shards(source_records):
    paths = resolve_records(source_records, "source_records")
    return shards_of(build_index(paths))


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    """The brighter a pixel's blue, the more probable is class 10, sky."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None] * 3 + [3], tf.uint8)])
    def serve(images):
        blue = tf.cast(images[..., 2:], tf.float32) / 255
        return {"logits": tf.one_hot(10, 19) * blue * 9}

    module.serve = serve
    path = str(tmp_path_factory.mktemp("blue") / "saved_model")
    tf.saved_model.save(module, path, signatures={"serving_default": serve})
    return path


def make_work(features, segmenter, parts, network=None):
    return FeatureWork(
        features=features,
        settings=ExtractionSettings(image_size=(16, 24), network=network),
        files=NetworkFiles(segmenter, "", "", "mobilenet_v2"),
        parts=str(parts),
    )


@pytest.mark.parametrize("features", ["segmenter_histogram", LABEL_SHARES])
def test_shards_apart_are_the_same_to_the_last_digit(
    features, shards, segmenter, tmp_path
):
    """As a worker makes them, which loads the network itself."""
    assert [shard.num_examples for shard in shards] == [12, 12]
    network = load_segmenter(segmenter)
    here = make_work(features, segmenter, tmp_path, network)
    together = here.extract_all(shards, RunnerFlags())
    there = make_work(features, segmenter, tmp_path)
    there = pickle.loads(pickle.dumps(there))
    for shard in reversed(shards):
        there.extract(shard)
    parts = [load_features(tmp_path / f"0000{n}.npz") for n in (0, 1)]
    for name in ("filenames", "values"):
        apart = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(apart, getattr(together, name))
    assert len(set(together.filenames)) == 24


def test_runner_and_its_options_change_no_weights():
    affecting = {
        field.name
        for field in dataclasses.fields(EstimateConfig)
        if field.metadata["affects_output"]
    }
    assert not affecting & {"runner", "beam_options"}
