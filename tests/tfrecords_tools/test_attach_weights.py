import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data import records, summaries, weights
from kliep_tf.errors import UserError
from tests.tfrecords_tools.conversions import attach
from tests.tfrecords_tools.raw_folders import shard_bytes


def features_of(directory):
    return {
        features["image/filename"].bytes_list.value[0].decode(): features
        for path in sorted(directory.glob("*.tfrecord"))
        for data in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
        for features in [tf.train.Example.FromString(data).features.feature]
    }


def test_weights_are_joined_by_filename(records_dir, weights_dir, tmp_path):
    before = shard_bytes(records_dir)
    attach(records_dir, weights_dir, tmp_path / "out")
    assert shard_bytes(records_dir) == before
    assert list(shard_bytes(tmp_path / "out")) == list(before)
    old, new = features_of(records_dir), features_of(tmp_path / "out")
    assert list(old) == list(new)
    for name, features in new.items():
        (weight,) = features["image/importance_weight"].float_list.value
        assert weight == np.float32(int(name) / 6.5)
        for key, value in old[name].items():
            assert features[key] == value


def test_attached_records_are_described(records_dir, weights_dir, tmp_path):
    attach(records_dir, weights_dir, tmp_path / "out")
    old = dataclasses.asdict(summaries.read_summary(records_dir, "all"))
    new = dataclasses.asdict(summaries.read_summary(tmp_path / "out", "all"))
    assert new["shards"] == old["shards"]
    assert new["arguments"]["seed"] == 0
    assert new["arguments"]["attach_weights"]["domain"] == "source"


def test_attaching_continues_and_ends(
    records_dir, weights_dir, tmp_path, capsys
):
    attach(records_dir, weights_dir, tmp_path / "out")
    expected = shard_bytes(tmp_path / "out")
    lost, kept = sorted((tmp_path / "out").glob("*.tfrecord"))
    lost.unlink()
    time_written = kept.stat().st_mtime_ns
    attach(records_dir, weights_dir, tmp_path / "out")
    assert "continuing: 1 of 2 shards" in capsys.readouterr().out
    assert shard_bytes(tmp_path / "out") == expected
    assert kept.stat().st_mtime_ns == time_written
    attach(records_dir, weights_dir, tmp_path / "out")
    assert "already done" in capsys.readouterr().out


def test_an_example_without_a_weight_is_named_first(
    records_dir, weights_dir, tmp_path
):
    importance = weights.load_weights(weights_dir, "source")
    present = importance.filenames != "00005"
    weights.save_weights(
        weights_dir,
        dataclasses.replace(
            importance,
            filenames=importance.filenames[present],
            weights=importance.weights[present],
        ),
    )
    with pytest.raises(UserError, match="00005"):
        attach(records_dir, weights_dir, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    # The same without a dataset.json: the shard stays unfinished.
    (records_dir / "dataset.json").unlink()
    with pytest.raises(UserError, match="00005"):
        attach(records_dir, weights_dir, tmp_path / "out")
    assert len(shard_bytes(tmp_path / "out")) < 2


def test_the_input_is_not_overwritten(records_dir, weights_dir, tmp_path):
    with pytest.raises(UserError, match="not overwritten"):
        attach(records_dir, weights_dir, records_dir)
    attach(records_dir, weights_dir, "")
    assert len(shard_bytes(tmp_path / "records_weighted")) == 2


def test_part_of_a_split_is_not_described_as_the_whole(
    records_dir, weights_dir, tmp_path
):
    some = records_dir / "all-00000-*"
    attach(some, weights_dir, tmp_path / "out")
    assert len(shard_bytes(tmp_path / "out")) == 1
    assert summaries.read_summary(tmp_path / "out", "all") is None


def test_missing_weights_are_told(records_dir, tmp_path):
    with pytest.raises(UserError, match=r"source_weights\.npz"):
        attach(records_dir, tmp_path / "weights", tmp_path / "out")


def test_records_of_another_kind_are_told(weights_dir, tmp_path):
    (tmp_path / "other").mkdir()
    records.write_shard(tmp_path / "other" / "x.tfrecord", [b"\x00nonsense"])
    with pytest.raises(UserError, match=r"record 0: .*image/encoded"):
        attach(tmp_path / "other", weights_dir, tmp_path / "out")
