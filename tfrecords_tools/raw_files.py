"""What lies in a raw folder: files by name, their headers, a seeded order."""

import contextlib
import dataclasses
import hashlib
import itertools
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kliep_tf.data import png
from kliep_tf.errors import UserError
from kliep_tf.progress import ProgressBar
from tfrecords_tools.frames import RawFrame

_SCAN_THREADS = 16
# Number of frames from which on checking their headers is worth a bar.
_LONG_CHECK = 2000


@dataclasses.dataclass(frozen=True)
class RawListing:
    """What a converter found in a raw folder.

    Attributes:
        frames: to be converted.
        skipped: {"file", "reason"} of what is left out.
    """

    frames: Sequence[RawFrame]
    skipped: Sequence[dict[str, str]] = ()


def list_files(
    directory: Path, suffix: str, *, expected: str
) -> dict[str, Path]:
    """Returns the files of `directory` that end in `suffix`, by their stem.

    The stem is the name without the suffix. Dot files are left out: copies
    made on a Mac hold a `._00001.png` beside each `00001.png`.

    Args:
        directory: where to look.
        suffix: of the file names, such as "_leftImg8bit.png".
        expected: the folder layout, for the message.

    Raises:
        UserError: `directory` is missing.
    """
    if not directory.is_dir():
        raise UserError(missing_folder(directory, expected))
    return {
        path.name.removesuffix(suffix): path
        for path in sorted(directory.iterdir())
        if path.name.endswith(suffix) and not path.name.startswith(".")
    }


def missing_folder(directory: Path, expected: str) -> str:
    """Returns the message for a folder that is not there.

    It shows what stands in the nearest folder that is.
    """
    parent = directory
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    if not parent.is_dir():
        return f"{parent}: expected {expected}, found a file"
    return (
        f"{directory}: expected {expected}, found no such folder (in "
        f"{parent}: {shown_names(parent)})"
    )


def shown_names(directory: Path) -> str:
    """Returns some of what stands in a folder, for messages."""
    names = sorted(
        entry.name
        for entry in itertools.islice(directory.iterdir(), 1000)
        if not entry.name.startswith(".")
    )
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return shown or "nothing"


def shuffled(frames: Iterable[RawFrame], seed: int) -> list[RawFrame]:
    """Returns the frames in an order that depends on seed and names alone.

    By hashes rather than a generator of random numbers: the same on every
    platform and version, and removing a frame leaves the others in order.
    """

    def key(frame: RawFrame) -> bytes:
        return hashlib.sha256(f"{seed}/{frame.filename}".encode()).digest()

    return sorted(frames, key=key)


def check_files(
    frames: Sequence[RawFrame], input_dir: str, size: tuple[int, int]
) -> tuple[list[RawFrame], list[dict[str, str]]]:
    """Returns the frames whose sizes agree, and {"file", "reason"} of others.

    Reads headers alone: a cut-off download is found now, not hours later.

    Args:
        frames: with or without labels.
        input_dir: the raw folder, to which the names in the result are
            relative.
        size: (height, width) that the frames will be resized to, or (0, 0).

    Raises:
        UserError: a file is no PNG image or is cut off.
    """
    height, width = size
    kept, mismatched = [], []
    smaller = 0
    with (
        # Threads: the work is waiting for the file system.
        ThreadPoolExecutor(_SCAN_THREADS) as executor,
        _long_check_bar(len(frames)) as bar,
    ):
        for frame, (image, label) in zip(
            frames, executor.map(_headers, frames), strict=True
        ):
            if bar is not None:
                bar.update()
            if label is not None and image[:2] != label[:2]:
                reason = (
                    f"image is {image.height}x{image.width}, label is "
                    f"{label.height}x{label.width}"
                )
                mismatched.append(_skip(frame.image_path, input_dir, reason))
                continue
            kept.append(frame)
            smaller += image.height < height or image.width < width
    if smaller:
        print(
            f"note: {smaller} of {len(kept)} frames are smaller than "
            f"{height}x{width} and are enlarged"
        )
    return kept, mismatched


def _long_check_bar(num_frames: int) -> contextlib.AbstractContextManager:
    if num_frames < _LONG_CHECK:
        return contextlib.nullcontext()
    return ProgressBar(num_frames, "checking", "frame")


def _headers(frame: RawFrame) -> tuple[png.PngHeader, png.PngHeader | None]:
    label = None
    if frame.label_path is not None:
        label = png.read_header(frame.label_path)
    return png.read_header(frame.image_path), label


def _skip(path: Path, input_dir: str, reason: str) -> dict[str, str]:
    return {"file": str(path.relative_to(input_dir)), "reason": reason}
