"""Turns raw frames into shards: what all converters share.

Workers read, resize and encode; this process frames the results as examples
and writes the shards in order. A shard depends on the frames and the arguments
alone, never on the number of workers or on an earlier interruption.
"""

import dataclasses
import functools
import itertools
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kliep_tf import fingerprints, runs
from kliep_tf import worker_processes as workers
from kliep_tf.data import summaries
from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.summaries import shard_name
from kliep_tf.errors import UserError
from kliep_tf.shard_runners import LOCAL
from tfrecords_tools.conversion_flags import (
    FRAMES_PER_SHARD,
    LABEL_MAP,
    MOST_SHARDS,
    ConversionConfig,
    check_flags,
)
from tfrecords_tools.encoding import RawFrame, encode_frame
from tfrecords_tools.raw_files import (
    RawListing,
    check_files,
    refuse_train_ids,
    shuffled,
)
from tfrecords_tools.sharding import (
    ShardContent,
    forget_contents,
    write_shards,
    write_shards_on_beam,
)

# Worker processes import this module too: nothing here may import TensorFlow
# at the top.


@dataclasses.dataclass(frozen=True)
class CheckedFrames:
    """What is left of a listing once its files are looked at.

    Attributes:
        root: the raw folder.
        frames: to be converted; at least one.
        skipped: {"file", "reason"} of what is left out.
    """

    root: Path
    frames: Sequence[RawFrame]
    skipped: Sequence[dict[str, str]]


def convert(
    program: str,
    config: ConversionConfig,
    listing: RawListing,
    *,
    dataset: str,
    classes: ClassSet,
) -> None:
    """Converts the listed frames to shards and describes them.

    Args:
        program: the program's module name.
        config: the program's flags.
        listing: what the program found on disk.
        dataset: the dataset's name, for dataset.json.
        classes: of the labels.

    Raises:
        UserError: a flag, a file or the output directory cannot be used.
    """
    checked = check(config, listing)
    write(program, config, checked, dataset=dataset, classes=classes)


def check(config: ConversionConfig, listing: RawListing) -> CheckedFrames:
    """Returns the frames that can be converted, by their files' headers.

    All that can be wrong with the input is found before the output directory
    is claimed: a claim is bound to the files as they are.

    Raises:
        UserError: a flag or a file cannot be used, or nothing is left.
    """
    check_flags(config)
    _check_filenames(listing.frames)
    frames, mismatched = check_files(
        listing.frames,
        listing.root,
        (config.image_height, config.image_width),
    )
    skipped = [*listing.skipped, *mismatched]
    _report_skipped(skipped)
    if not frames:
        raise UserError(
            f"{listing.root}: expected frames of {config.split}, found "
            f"only such as must be skipped ({skipped[0]['file']}: "
            f"{skipped[0]['reason']})"
        )
    if not getattr(config, "label_map", ""):
        refuse_train_ids(frames)
    return CheckedFrames(listing.root, frames, skipped)


def write(
    program: str,
    config: ConversionConfig,
    checked: CheckedFrames,
    *,
    dataset: str,
    classes: ClassSet,
) -> None:
    """Writes checked frames as shards and describes them; see `convert`."""
    frames = checked.frames
    with runs.claim(
        config.output_dir,
        program,
        config,
        inputs=_fingerprints(frames, config),
        part=config.prefix,
    ) as claim:
        if claim.finished and _is_whole(claim.directory, config.prefix):
            print(f"{config.output_dir}: {config.prefix} is already done")
            # Those of a run that was killed before its last line.
            forget_contents(
                claim.directory, _shard_names(claim.directory, config.prefix)
            )
            return
        contents = _write_shards(claim.directory, frames, config)
        summary = _summarise(
            dataset, classes, config, contents, checked.skipped
        )
        summaries.write_summary(claim.directory, summary)
        claim.finish(num_examples=summary.num_examples)
        forget_contents(claim.directory, contents)
    _report(config, summary)


def _check_filenames(frames: Sequence[RawFrame]) -> None:
    """Raises a UserError for a name that records cannot hold."""
    for frame in frames:
        try:
            frame.filename.encode()
        except UnicodeEncodeError:
            folder = frame.image_path.parent
            raise UserError(
                f"{folder}: expected names of files in UTF-8, found "
                f"{os.fsencode(frame.image_path.name)!r}"
            ) from None


def _fingerprints(
    frames: Sequence[RawFrame], config: ConversionConfig
) -> dict[str, str]:
    labels = [frame.label.path for frame in frames if frame.label]
    found: dict[str, str] = {
        "images": fingerprints.of(frame.image_path for frame in frames),
        "labels": fingerprints.of(labels),
    }
    label_map = getattr(config, "label_map", "")
    if os.path.isfile(label_map):
        found[LABEL_MAP] = fingerprints.of([label_map])
    return found


def _is_whole(directory: Path, split: str) -> bool:
    """Whether a finished split's shards are all still there."""
    names = _shard_names(directory, split)
    return bool(names) and all((directory / name).exists() for name in names)


def _shard_names(directory: Path, split: str) -> list[str]:
    """Returns the shards of a split that dataset.json describes."""
    summary = summaries.read_summary(directory, split)
    return list(summary.shards) if summary else []


def _write_shards(
    directory: Path, frames: Sequence[RawFrame], config: ConversionConfig
) -> dict[str, ShardContent]:
    """Writes the shards that are not there; returns the content of all."""
    encode = functools.partial(
        encode_frame,
        height=config.image_height,
        width=config.image_width,
        image_format=config.image_format,
        raw_label=config.format == "deeplab2",
    )
    plan = _plan_shards(frames, config)
    if config.runner != LOCAL:
        return write_shards_on_beam(directory, plan, encode, config)
    return write_shards(
        directory,
        plan,
        encode,
        num_workers=(
            workers.available_cores()
            if config.num_workers is None
            else config.num_workers
        ),
        description=f"converting {config.prefix}",
    )


def _plan_shards(
    frames: Sequence[RawFrame], config: ConversionConfig
) -> dict[str, list[RawFrame]]:
    """Returns the frames of each shard, in order, by the shard's name."""
    count = config.num_shards
    if count is None:
        count = min(MOST_SHARDS, max(1, len(frames) // FRAMES_PER_SHARD))
    if count > len(frames):
        print(f"note: {len(frames)} frames leave some of {count} shards empty")
    ordered = shuffled(frames, config.seed)
    bounds = [shard * len(frames) // count for shard in range(count + 1)]
    return {
        shard_name(config.prefix, shard, count): ordered[begin:end]
        for shard, (begin, end) in enumerate(itertools.pairwise(bounds))
    }


def _summarise(
    dataset: str,
    classes: ClassSet,
    config: ConversionConfig,
    contents: dict[str, ShardContent],
    skipped: Sequence[dict[str, str]],
) -> summaries.SplitSummary:
    parts = contents.values()
    counts = [part.class_pixels for part in parts if part.class_pixels]
    class_pixels = np.sum([[0] * len(classes), *counts], axis=0)
    labelled_pixels = int(class_pixels.sum())
    shares = {}
    if labelled_pixels:
        shares = dict(
            zip(
                classes.names,
                (class_pixels / labelled_pixels).tolist(),
                strict=True,
            )
        )
    sizes = sum((part.image_sizes for part in parts), Counter())
    return summaries.SplitSummary(
        dataset=dataset,
        split=config.prefix,
        shards={name: part.filenames for name, part in contents.items()},
        image_sizes=dict(sizes.most_common()),
        labelled=sum(part.labelled for part in parts),
        class_pixel_shares=shares,
        classes=classes,
        skipped=list(skipped),
        arguments=runs.arguments_of(config),
        versions=runs.versions(),
    )


def _report_skipped(skipped: Sequence[dict[str, str]]) -> None:
    for entry in skipped:
        print(f"skipped {entry['file']}: {entry['reason']}")
    if skipped:
        print(f"skipped {len(skipped)} files in all")


def _report(config: ConversionConfig, summary: summaries.SplitSummary) -> None:
    print(
        f"{config.output_dir}: {summary.num_examples} examples of "
        f"{summary.split} in {len(summary.shards)} shards, {summary.labelled} "
        f"labelled; {len(summary.skipped)} files skipped"
    )
    if summary.labelled and not summary.class_pixel_shares:
        print(
            "note: every label pixel is ignored (the labels of Cityscapes test "
            "are such placeholders)"
        )
