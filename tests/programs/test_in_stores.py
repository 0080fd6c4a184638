"""Runs and records whose directories are folders of a store.

The store is TensorFlow's memory. What stays there is what a disk would hold.
"""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data import weights
from kliep_tf.data.index import build_index
from kliep_tf.data.records import resolve_records
from kliep_tf.errors import UserError
from kliep_tf.stores import configs, lease
from kliep_tf.stores.folders import open_folder
from kliep_tf.stores.mirror import Mirror
from kliep_tf.train import train
from kliep_tf.training import checkpoints
from kliep_tf.translate import TranslateConfig, translate
from tests.programs.run_directories import assert_same_checkpoints
from tfrecords_tools.attach_weights import AttachWeightsConfig, attach_weights

BUCKET = "ram://runs"

pytestmark = pytest.mark.usefixtures("tiny_method_registered")


@pytest.fixture(autouse=True)
def settle_at_once(monkeypatch):
    monkeypatch.setattr(lease, "_SECONDS_TO_SETTLE", 0.0)
    yield
    if tf.io.gfile.isdir(BUCKET):
        tf.io.gfile.rmtree(BUCKET)


def run(main, config):
    with configs.local(config) as here:
        main(here)


def fetch(address, folder):
    """Returns a folder with all that the store holds."""
    Mirror(open_folder(address), folder).pull()
    return folder


def test_interrupted_training_goes_on_elsewhere_to_the_same_weights(
    method_run, method_config, tmp_path, monkeypatch, capsys
):
    config = dataclasses.replace(method_config, run_dir=f"{BUCKET}/run")
    save = checkpoints.Checkpoints.save

    def interrupted(self):
        save(self)
        if checkpoints.checkpoint_steps(Path(self._manager.directory))[-1]:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.Checkpoints, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(train, config)
    steps = checkpoints.checkpoint_steps(
        fetch(config.run_dir, tmp_path / "half") / "checkpoints"
    )
    assert steps[-1] == 2
    run(train, config)
    found = fetch(config.run_dir, tmp_path / "whole")
    assert_same_checkpoints(found, method_run)
    capsys.readouterr()
    run(train, config)
    said = capsys.readouterr().out
    assert f"{config.run_dir}: already trained to step 4" in said
    # Back on a disk it is what it was.
    train(dataclasses.replace(config, run_dir=str(found)))
    assert "already trained to step 4" in capsys.readouterr().out


def test_translated_and_weighted_records_are_those_of_a_disk(
    method_run, source_records, tmp_path
):
    def make(output):
        run(
            translate,
            TranslateConfig(
                saved_model=str(method_run / "saved_model"),
                source_records=str(source_records),
                output_dir=output,
            ),
        )

    make(str(tmp_path / "disk"))
    make(f"{BUCKET}/translated")
    fetch(f"{BUCKET}/translated", tmp_path / "store")
    assert_same_shards(tmp_path / "disk", tmp_path / "store")


def test_weights_of_a_store_are_attached(
    source_records, tmp_path, write_weights
):
    write_weights(tmp_path / "weights")
    Mirror(open_folder(f"{BUCKET}/weights"), tmp_path / "weights").push()
    Mirror(open_folder(f"{BUCKET}/records"), source_records).push()

    def make(records, weights_dir, output):
        run(
            attach_weights,
            AttachWeightsConfig(
                records=str(records),
                weights_dir=weights_dir,
                domain="source",
                output_dir=output,
            ),
        )

    make(source_records, str(tmp_path / "weights"), str(tmp_path / "disk"))
    stored = f"{BUCKET}/records", f"{BUCKET}/weights"
    make(*stored, f"{BUCKET}/weighted")
    with pytest.raises(UserError, match="expected another directory than that"):
        make(*stored, f"{BUCKET}/records/")
    with pytest.raises(UserError, match="--output_dir is missing"):
        make(*stored, "")
    fetch(f"{BUCKET}/weighted", tmp_path / "store")
    assert_same_shards(tmp_path / "disk", tmp_path / "store")


def assert_same_shards(first: Path, second: Path):
    shards = sorted(path.name for path in first.glob("*.tfrecord"))
    assert shards and sorted(os.listdir(second)) == sorted(
        name for name in os.listdir(first) if name != ".lock"
    )
    for name in shards:
        assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.fixture
def write_weights(source_records):
    """Writes weights of the source, 0.5 and 1.5 in turns."""

    def write(directory):
        index = build_index(resolve_records(str(source_records), "records"))
        values = np.resize(np.float32([0.5, 1.5]), len(index))
        directory.mkdir()
        weights.save_weights(
            directory,
            weights.ImportanceWeights("source", index.filenames, values),
        )

    return write
