"""TensorBoard's texts of a run: arguments, command, hyperparameters."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import summary as hparams_summary

from kliep_tf import cli

# How the names of flags end that name files.
_PATHS = ("_dir", "_records", "segmenter")


def write_config(arguments: Mapping[str, Any]) -> None:
    """Writes a program's arguments as a table, to the default writer."""
    rows = [f"| {name} | {value} |" for name, value in arguments.items()]
    table = "\n".join(["| flag | value |", "|---|---|", *rows])
    tf.summary.text("run/config", table, 0)


def write_command(program: str, config: Any) -> None:
    """Writes the command line of this run, defaults left out.

    Args:
        program: the program's module.
        config: its frozen dataclass.
    """
    command = cli.command_text(program, config).replace("\n", "\n    ")
    tf.summary.text("run/command", f"    {command}", 0)


def write_hyperparameters(
    name: str,
    config: Any,
    metrics: Sequence[str],
    leading: Sequence[str] = (),
) -> None:
    """Enters the run in the table of the HPARAMS tab.

    Args:
        name: of the run, in the table's first column.
        config: the program's frozen dataclass. Left out are flags that do not
            affect the output, and paths.
        metrics: scalars whose last values the table shows. Of a folder of
            runs the tab takes them from one: give all runs the same, those
            that a run does not write too.
        leading: flags that the table shows first. It shows five columns by
            default, otherwise the first five of the alphabet.
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
    # Flags that differ between runs stand first in the table. This run alone
    # cannot tell which do, so those are called different that are to lead.
    experiment = hparams_summary.experiment_pb(
        [
            api_pb2.HParamInfo(name=key, differs=key in leading)
            for key in values
        ],
        [hparams.Metric(metric).as_proto() for metric in metrics],
    )
    _write_raw(experiment)
    hparams.hparams(values, trial_id=name)


def write_success() -> None:
    """Marks the run as finished in the table of the HPARAMS tab."""
    _write_raw(hparams_summary.session_end_pb(api_pb2.STATUS_SUCCESS))


def _write_raw(summary: Any) -> None:
    tf.summary.experimental.write_raw_pb(summary.SerializeToString(), 0)
