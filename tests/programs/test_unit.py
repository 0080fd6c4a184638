"""UNIT through the programs: trained, exported, used."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf import runs
from kliep_tf.errors import UserError
from kliep_tf.train import train
from kliep_tf.train_flags import make_config
from kliep_tf.translate import TranslateConfig, translate
from kliep_tf.translation.methods.unit.method import METHOD
from tests.conftest import eagerly
from tests.programs.run_directories import scalars


@pytest.fixture(scope="module")
def config(source_records, target_records, trained_run, tmp_path_factory):
    return make_config(
        "unit",
        unit_form="2017",  # which draws more: noise and dropout
        source_records=str(source_records),
        target_records=str(target_records),
        run_dir=str(tmp_path_factory.mktemp("runs") / "unit"),
        weights_dir=str(trained_run / "weights"),
        steps=3,
        checkpoint_every=2,
        log_every=1,
        image_every=3,
        crop_height=16,
        crop_width=16,
        generator_filters=2,
        discriminator_filters=2,
        num_residual_blocks=1,
        discriminator_scales=1,
    )


@pytest.fixture(scope="module")
def run_dir(config):
    """The directory of a finished run; traced steps: test_replicas.py."""
    with eagerly():
        train(config)
    return Path(config.run_dir)


def test_board_shows_every_term(run_dir):
    shown = set(scalars(run_dir))
    of_2018 = {"perceptual/source", "perceptual/target"}
    assert METHOD.descriptions.keys() - of_2018 <= shown
    assert runs.read_config(run_dir)["status"] == "complete"


def test_exported_generator_is_deterministic_and_takes_any_size(run_dir):
    model = tf.saved_model.load(str(run_dir / "saved_model"))
    images = tf.cast(
        tf.random.stateless_uniform([1, 13, 9, 3], [0, 0]) * 255, tf.uint8
    )
    one, two = (
        model.signatures["translate_uint8"](images)["translated"]
        for _ in range(2)
    )
    assert one.shape == images.shape
    np.testing.assert_array_equal(one, two)


def test_translate_refuses_tiles_in_one_line(run_dir, config, tmp_path):
    flags = TranslateConfig(
        saved_model=str(run_dir / "saved_model"),
        source_records=config.source_records,
        output_dir=str(tmp_path / "translated"),
    )
    translate(flags)
    assert list((tmp_path / "translated").glob("*.tfrecord"))
    with pytest.raises(
        UserError, match="does not translate in tiles"
    ) as raised:
        translate(
            dataclasses.replace(
                flags, tile_height=8, output_dir=str(tmp_path / "tiled")
            )
        )
    assert "\n" not in str(raised.value)
