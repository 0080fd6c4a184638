"""Writes frames as shards, one at a time, and continues interrupted work.

Each finished shard has a dot file beside it that holds its part of
dataset.json, so that continued work need not open finished shards. It is
written before the shard gets its name and removed when dataset.json is there.
"""

import dataclasses
import functools
import itertools
import json
import uuid
from collections import Counter
from collections.abc import (
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Sized,
)
from pathlib import Path
from typing import Any

import numpy as np

from kliep_tf import runs
from kliep_tf import worker_processes as workers
from kliep_tf.json_files import read_json
from kliep_tf.progress import ProgressBar
from kliep_tf.shard_runners import run_on_beam
from tfrecords_tools.encoding import EncodedFrame, RawFrame

# TensorFlow is imported where shards are written and not up here: worker
# processes import this module too, and would each wait seconds for it.

_CONTENT = {
    "filenames": [str],
    "image_sizes": {str: int},
    "labelled": int,
    "class_pixels": [int],
}


@dataclasses.dataclass
class ShardContent:
    """One shard's part of dataset.json."""

    filenames: list[str] = dataclasses.field(default_factory=list)
    image_sizes: Counter = dataclasses.field(default_factory=Counter)
    labelled: int = 0
    class_pixels: list[int] = dataclasses.field(default_factory=list)

    def add(self, frame: EncodedFrame) -> None:
        """Counts one frame."""
        self.filenames.append(frame.filename)
        self.image_sizes[f"{frame.height}x{frame.width}"] += 1
        self.labelled += frame.label is not None
        if frame.label is not None:
            before = self.class_pixels or [0] * len(frame.class_pixels)
            self.class_pixels = np.add(before, frame.class_pixels).tolist()


def write_shards(
    directory: Path,
    plan: Mapping[str, Sequence[RawFrame]],
    encode: Callable[[RawFrame], EncodedFrame],
    *,
    num_workers: int,
    description: str,
) -> dict[str, ShardContent]:
    """Writes the shards that are not there; returns the content of all.

    Args:
        directory: where they go.
        plan: the frames of each shard, in order, by the shard's name.
        encode: picklable; runs in the workers.
        num_workers: processes; 0 works in this one.
        description: of the progress bar.
    """
    contents = _finished_contents(directory, plan)
    _say_what_is_there(contents, plan)
    missing = [name for name in plan if name not in contents]
    todo = [frame for name in missing for frame in plan[name]]
    num_frames = sum(map(len, plan.values()))
    with (
        workers.map_in_workers(
            encode, todo, min(num_workers, len(todo))
        ) as encoded_frames,
        ProgressBar(
            num_frames, description, "frame", initial=num_frames - len(todo)
        ) as bar,
    ):
        for name in missing:
            of_shard = itertools.islice(encoded_frames, len(plan[name]))
            contents[name] = _write_shard(
                directory / name, of_shard, bar.update
            )
    return {name: contents[name] for name in plan}


def write_shards_on_beam(
    directory: Path,
    plan: Mapping[str, Sequence[RawFrame]],
    encode: Callable[[RawFrame], EncodedFrame],
    flags: Any,
) -> dict[str, ShardContent]:
    """Does what `write_shards` does, on the runner that flags name."""
    contents = _finished_contents(directory, plan)
    _say_what_is_there(contents, plan)
    todo = [item for item in plan.items() if item[0] not in contents]
    if todo:
        write = functools.partial(
            _write_one, directory=directory, encode=encode
        )
        run_on_beam(write, todo, flags)
    return _finished_contents(directory, plan)


def forget_contents(directory: Path, names: Iterable[str]) -> None:
    """Removes the shards' dot files, of no use once dataset.json is there."""
    for name in names:
        path = _content_path(directory / name)
        if path.exists():  # a disk that is read-only refuses even to look
            path.unlink()


def _finished_contents(
    directory: Path, names: Iterable[str]
) -> dict[str, ShardContent]:
    """Returns the content of the shards that are there."""
    return {
        name: content
        for name in names
        if (content := _finished_content(directory / name)) is not None
    }


def _say_what_is_there(found: Sized, planned: Sized) -> None:
    if 0 < len(found) < len(planned):
        print(f"continuing: {len(found)} of {len(planned)} shards are there")


def _write_one(
    shard: tuple[str, Sequence[RawFrame]],
    directory: Path,
    encode: Callable[[RawFrame], EncodedFrame],
) -> None:
    """Makes one shard in this process, which may be any machine's."""
    name, frames = shard
    _write_shard(
        directory / name, map(encode, frames), attempt=f".{uuid.uuid4().hex}"
    )


def _write_shard(
    path: Path,
    frames: Iterable[EncodedFrame],
    count: Callable[[], None] = lambda: None,
    attempt: str = "",
) -> ShardContent:
    from kliep_tf.data import records  # imports TensorFlow: see above

    content = ShardContent()

    def examples() -> Iterator[bytes]:
        for frame in frames:
            yield records.encode_example(
                frame.image,
                filename=frame.filename,
                height=frame.height,
                width=frame.width,
                image_format=frame.image_format,
                label=frame.label,
                label_format=frame.label_format,
            )
            content.add(frame)
            count()
        # Here and not after write_shard: whenever a shard has its name, its
        # content is known.
        text = json.dumps(vars(content))
        runs.write_atomically(_content_path(path), text)

    records.write_shard(path, examples(), attempt)
    return content


def _content_path(shard: Path) -> Path:
    return shard.with_name(f".{shard.name}.json")


def _finished_content(shard: Path) -> ShardContent | None:
    """Returns the content of a shard that an earlier run finished."""
    path = _content_path(shard)
    if not (shard.exists() and path.exists()):
        return None
    values = read_json(path, "the content of a shard", _CONTENT)
    values = {name: values[name] for name in _CONTENT}
    values["image_sizes"] = Counter(values["image_sizes"])
    return ShardContent(**values)
