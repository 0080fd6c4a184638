"""A method that no part of the library knows, through all the programs."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf import runs
from kliep_tf import train as program
from kliep_tf.data import records
from kliep_tf.errors import UserError
from kliep_tf.export import ExportConfig, export
from kliep_tf.training.checkpoints import checkpoint_steps
from kliep_tf.translate import TranslateConfig, translate
from tests.conftest import write_records
from tests.programs.run_directories import (
    assert_same_checkpoints,
    copy_run,
    first_step_logged_last,
    forget_last_checkpoint,
    scalars,
)
from tests.programs.tiny_training import parse
from tests.translation import tiny_method

pytestmark = pytest.mark.usefixtures("tiny_method_registered")


def test_flags_are_the_common_ones_and_its_own(method_config):
    assert (
        method_config.method,
        method_config.first_rate,
        method_config.steps,
    ) == ("tiny", 0.25, 4)
    # A method's default wins over that of all methods.
    assert method_config.batch_size == 2
    with pytest.raises(UserError, match="cycle_weight"):
        parse("--cycle_weight=1")


def test_it_trains_by_its_own_schedule_and_labels(method_run):
    figures = scalars(method_run)
    assert figures["learning_rate/tiny"] == [0.25, 0.125, 0.0625, 0.03125]
    assert figures["tiny/sky"][3] < figures["tiny/sky"][0]
    # Never touched: nothing asks it to change.
    assert figures["tiny/target"] == [0, 0, 0, 0]
    assert runs.read_config(method_run)["status"] == "complete"


def test_it_continues_to_the_very_same_weights(
    method_run, method_config, tmp_path
):
    copy_run(method_run, tmp_path / "whole")
    forget_last_checkpoint(method_run)
    program.train(method_config)
    assert first_step_logged_last(method_run, "tiny/sky") == 3
    assert_same_checkpoints(method_run, tmp_path / "whole")


def test_any_checkpoint_is_exported_and_translates(
    method_run, source_records, tmp_path
):
    assert checkpoint_steps(method_run / "checkpoints") == [0, 2, 4]
    exported = export(
        ExportConfig(
            run_dir=str(method_run), output_dir=str(tmp_path / "model"), step=2
        )
    )
    path = str(method_run / "checkpoints" / "ckpt-2")
    kernel, bias = (
        variable.numpy()
        for variable in tiny_method.restore(path, None, False).network.variables
    )
    config = TranslateConfig(
        saved_model=str(exported),
        source_records=str(source_records),
        output_dir=str(tmp_path / "translated"),
    )
    translate(config)
    before, after = (
        first_image(folder) for folder in (source_records, config.output_dir)
    )
    expected = (before / 127.5 - 1) @ kernel[0, 0] + bias
    expected = np.clip(np.round((expected + 1) * 127.5), 0, 255)
    assert np.abs(after - expected).max() <= 1
    assert np.abs(after - before).max() > 1

    with pytest.raises(UserError) as raised:
        translate(
            dataclasses.replace(
                config, tile_height=8, output_dir=str(tmp_path / "tiled")
            )
        )
    assert "does not translate in tiles" in str(raised.value)
    assert "\n" not in str(raised.value)


def first_image(directory):
    shard = min(Path(directory).glob("train-*"))
    example = records.parse_example(next(records.read_shard(shard)))
    return tf.io.decode_png(example[records.ENCODED]).numpy().astype(float)


def test_what_it_cannot_train_on_is_one_line(method_config, tmp_path):
    bare = write_records(
        tmp_path / "bare", number=2, sky=0.5, bright=True, labelled=False
    )
    for changes, message in (
        ({"source_records": str(bare)}, "--method=tiny: expected labels in"),
        ({"steps": 51}, "--steps=51: expected no such patience"),
        ({"first_rate": 0.0}, "--first_rate=0.0: expected more than 0"),
    ):
        changed = dataclasses.replace(
            method_config, run_dir=str(tmp_path / "run"), **changes
        )
        with pytest.raises(UserError, match=message):
            program.train(changed)
        assert not (tmp_path / "run").exists()
