"""Runs a function of each shard on Apache Beam, where the user asks for it.

Converting, attaching weights and translating each make one shard of another
thing. Such a function writes its shard under the final name once it is whole,
so that nothing needs to come back: a shard that is there is done, whoever made
it. Beam is imported here alone, and only when it is asked for.
"""

import dataclasses
import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from kliep_tf.errors import DataError, UserError
from kliep_tf.flag_fields import flag

LOCAL = "local"
# How Beam passes on what a worker raised, wherever it ran.
_OWN = re.compile(r"\b(?:User|Data)Error: (.+?)(?: \[while running|\n|\\n|$)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunnerFlags:
    """The flags of programs whose work is a function of a shard."""

    runner: str = flag(
        "who makes the shards: local, this machine; or a runner of Apache "
        "Beam, such as DirectRunner, FlinkRunner, SparkRunner or "
        "DataflowRunner, whose workers see the same folders",
        default=LOCAL,
        affects_output=False,
    )
    beam_options: str = flag(
        "options of the Beam pipeline, as its command line has them",
        default="",
        affects_output=False,
    )


def check_runner(flags: Any) -> None:
    """Raises a UserError for a runner that cannot be used, before any work.

    Args:
        flags: a config that has the fields of RunnerFlags.
    """
    if flags.runner != LOCAL:
        _pipeline_options(flags)
    elif flags.beam_options:
        raise UserError("--beam_options: expected a --runner of Beam too")


def run_on_beam(
    function: Callable[[Any], object], shards: Sequence[Any], flags: Any
) -> None:
    """Calls function(shard) for each shard, on the runner that is asked for.

    Args:
        function: picklable, defined in a module that workers can import. It
            may be called twice for a shard, even at once.
        shards: picklable descriptions of shards, different from each other.
        flags: a config that has the fields of RunnerFlags.

    Raises:
        UserError: Beam is not installed, the runner or an option is unknown,
            or `function` raised one.
    """
    options = _pipeline_options(flags)
    import apache_beam as beam

    print(f"{len(shards)} shards on {flags.runner}")
    try:
        with beam.Pipeline(options=options) as pipeline:
            items = pipeline | beam.Create(list(shards))
            # Without it, one worker would make all that one created.
            _ = items | beam.Reshuffle() | beam.Map(function)
    except Exception as error:
        # The workers' exceptions come back as text, each runner in its own.
        found = _OWN.search(str(error))
        if found is None:
            raise
        raise DataError(found[1]) from error


def _pipeline_options(flags: Any) -> Any:
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners.runner import create_runner
    except ImportError:
        raise UserError(
            f"--runner={flags.runner}: expected Apache Beam, found it not "
            "installed; pip install 'kliep_tf[beam]'"
        ) from None
    words = [f"--runner={flags.runner}", *shlex.split(flags.beam_options)]
    try:
        create_runner(flags.runner)
    except (ValueError, ImportError, AttributeError) as error:
        raise UserError(
            f"--runner={flags.runner}: expected local or a runner of Apache "
            f"Beam ({' '.join(str(error).split())[:120]})"
        ) from None
    return PipelineOptions(words)
