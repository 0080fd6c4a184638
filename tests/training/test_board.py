"""What a run's text on TensorBoard lets a reader do."""

import shlex

import tensorflow as tf

from kliep_tf import cli
from kliep_tf.train import TrainConfig
from kliep_tf.training import board


def written(directory, write):
    """Returns the values that `write` puts on the board, by tag."""
    with tf.summary.create_file_writer(str(directory)).as_default():
        write()
    (path,) = directory.iterdir()
    values = {}
    for data in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        for value in tf.compat.v1.Event.FromString(data).summary.value:
            values[value.tag] = value
    return values


def text_of(value):
    return tf.make_ndarray(value.tensor).item().decode()


def test_command_makes_the_run_anew(tmp_path):
    config = TrainConfig(
        source_records="my records/train-*",
        target_records="t",
        run_dir="r",
        flip=False,
        steps=7,
        learning_rate=1e-5,
    )
    values = written(
        tmp_path, lambda: board.write_command("kliep_tf.train", config)
    )
    # As a shell reads it: a line that ends in \ goes on.
    words = shlex.split(text_of(values["run/command"]))
    assert words[:3] == ["python", "-m", "kliep_tf.train"]
    assert cli.parse(TrainConfig, words[2:]) == config
    assert len(words) == 3 + 6  # no flag that has its default


def test_config_is_a_table(tmp_path):
    values = written(tmp_path, lambda: board.write_config({"steps": 7}))
    assert text_of(values["run/config"]).splitlines()[2:] == ["| steps | 7 |"]


def test_hyperparameters_leave_out_paths(tmp_path):
    arguments = {
        "run_dir": "runs/a",
        "segmenter": "",
        "steps": 7,
        "flip": True,
        "scales": (0.5, 1.0),
        "adversarial_loss": "lsgan",
    }

    def write():
        board.write_hyperparameters(arguments, ["cycle/source"])
        board.write_success()

    values = written(tmp_path, write)
    assert set(values) == {
        "_hparams_/experiment",
        "_hparams_/session_start_info",
        "_hparams_/session_end_info",
    }
    shown = values["_hparams_/session_start_info"].metadata.plugin_data.content
    for name in ("steps", "flip", "scales", "adversarial_loss"):
        assert name.encode() in shown
    assert b"run_dir" not in shown
