"""TensorBoard's files of a run that goes on after a kill.

What was written after the checkpoint that a run continues from is written
again; TensorBoard would draw both.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event

from kliep_tf.data import framing, records


def trim(directory: str | os.PathLike, last_step: int) -> None:
    """Removes the points behind a step, and all but the last of the same.

    The same is a tag at a step: arguments are written whenever a run goes on.
    A file's end that a kill has cut is removed too. Files of which all is to
    stay are not touched.

    Args:
        directory: of the event files; it may be missing.
        last_step: the last one that stays.
    """
    paths = sorted(Path(directory).glob("*.tfevents.*"))
    place_of: dict[tuple[str, int], tuple[Path, int]] = {}
    for path in paths:
        for number, keys, _ in _events(path):
            place_of.update(dict.fromkeys(keys, (path, number)))
    for path in paths:
        kept = [
            data
            for number, keys, data in _events(path)
            if data is not None
            and (
                not keys
                or any(
                    step <= last_step and place_of[tag, step] == (path, number)
                    for tag, step in keys
                )
            )
        ]
        if len(kept) < sum(1 for _ in framing.read_records(path)):
            records.write_shard(path, kept)


def _events(
    path: Path,
) -> Iterator[tuple[int, list[tuple[str, int]], bytes | None]]:
    """Yields number, (tag, step) of the values, and data; None of damage."""
    for number, (data, _) in enumerate(framing.read_records(path)):
        keys = []
        if data is not None:
            event = Event.FromString(data)
            keys = [(value.tag, event.step) for value in event.summary.value]
        yield number, keys, data
