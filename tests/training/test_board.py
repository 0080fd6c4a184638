"""What a run's text on TensorBoard lets a reader do."""

import dataclasses
import shlex

import tensorflow as tf
from tensorboard.plugins.hparams import plugin_data_pb2

from kliep_tf import cli
from kliep_tf.train_flags import TrainConfig, make_config
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
    config = make_config(
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
    # As a shell reads it: a line that ends in a backslash goes on.
    text = text_of(values["run/command"]).replace("\\\n", " ")
    words = shlex.split(text)
    assert words[:3] == ["python", "-m", "kliep_tf.train"]
    assert cli.parse(TrainConfig, words[2:]) == config
    assert len(words) == 3 + 6  # no flag that has its default


def test_config_is_a_table(tmp_path):
    values = written(tmp_path, lambda: board.write_config({"steps": 7}))
    assert text_of(values["run/config"]).splitlines()[2:] == ["| steps | 7 |"]


@dataclasses.dataclass(frozen=True)
class SmallConfig:
    """A program's flags."""

    run_dir: str = cli.flag("a path")
    segmenter: str = cli.flag("a path", default="")
    steps: int = cli.flag("a number", default=7)
    flip: bool = cli.flag("a switch", default=True)
    scales: tuple[float, ...] = cli.flag("a list", default=(0.5, 1.0))
    loss: str = cli.flag("a choice", default="lsgan")
    log_every: int = cli.flag("no matter", default=3, affects_output=False)


def test_hyperparameters_are_what_affects_the_result(tmp_path):
    def write():
        board.write_hyperparameters(
            "a", SmallConfig(run_dir="runs/a"), ["cycle/source"]
        )
        board.write_success()

    values = written(tmp_path, write)
    assert set(values) == {
        "_hparams_/experiment",
        "_hparams_/session_start_info",
        "_hparams_/session_end_info",
    }
    content = values[
        "_hparams_/session_start_info"
    ].metadata.plugin_data.content
    data = plugin_data_pb2.HParamsPluginData.FromString(content)
    assert data.session_start_info.group_name == "a"
    assert set(data.session_start_info.hparams) == {
        "steps",
        "flip",
        "scales",
        "loss",
    }


def test_table_of_runs_leads_with_what_it_is_told_to(tmp_path):
    values = written(
        tmp_path,
        lambda: board.write_hyperparameters(
            "a", SmallConfig(run_dir="runs/a"), ["x/y", "z"], ["steps"]
        ),
    )
    content = values["_hparams_/experiment"].metadata.plugin_data.content
    experiment = plugin_data_pb2.HParamsPluginData.FromString(
        content
    ).experiment
    leading = {info.name: info.differs for info in experiment.hparam_infos}
    assert leading == {
        "steps": True,
        "flip": False,
        "scales": False,
        "loss": False,
    }
    names = [info.name for info in experiment.metric_infos]
    assert [(name.group, name.tag) for name in names] == [
        ("", "x/y"),
        ("", "z"),
    ]
