"""What TensorBoard tells of any run: arguments, command, hyperparameters."""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import summary as hparams_summary

# How the names of flags end that name files.
_PATHS = ("_dir", "_records", "segmenter")


def write_config(arguments: Mapping[str, Any]) -> None:
    """Writes a program's arguments as a table, to the default writer."""
    rows = [f"| {name} | {value} |" for name, value in arguments.items()]
    table = "\n".join(["| flag | value |", "|---|---|", *rows])
    tf.summary.text("run/config", table, 0)


def write_command(program: str, config: Any) -> None:
    """Writes the command line that makes this run anew, defaults left out.

    Args:
        program: the program's module.
        config: its frozen dataclass.
    """
    words = [f"python -m {program}"]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value != field.default:
            words.append(_flag(field.name, value))
    command = " \\\n        ".join(words)
    tf.summary.text("run/command", f"    {command}", 0)


def write_hyperparameters(
    name: str, config: Any, metrics: Sequence[str]
) -> None:
    """Enters the run in the table of the HPARAMS tab.

    Args:
        name: of the run, in the table's first column.
        config: the program's frozen dataclass. Left out are flags that do not
            affect the output, and paths.
        metrics: scalars whose last values the table shows.
    """
    values = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.metadata["affects_output"]
    }
    # The plug-in takes numbers, strings and booleans.
    values = {
        key: ",".join(map(str, value)) if isinstance(value, tuple) else value
        for key, value in values.items()
        if value not in (None, "") and not key.endswith(_PATHS)
    }
    hparams.hparams_config(
        hparams=[hparams.HParam(key) for key in values],
        metrics=[hparams.Metric(metric) for metric in metrics],
    )
    hparams.hparams(values, trial_id=name)


def write_success() -> None:
    """Marks the run as finished in the table of the HPARAMS tab."""
    ended = hparams_summary.session_end_pb(api_pb2.STATUS_SUCCESS)
    tf.summary.experimental.write_raw_pb(ended.SerializeToString(), 0)


def _flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no{name}"
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    return f"--{name}={shlex.quote(str(value))}"
