"""Says of which split each frame of a dataset is.

A frame is of one split or of none, by its name and path alone: adding files to
a folder moves no frame to another split.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from kliep_tf.errors import UserError
from tfrecords_tools.joining import key_of

FLAG = "--split_by"
FOLDER = "folder"
_GROUP = "(?P<split>"
_SPLIT_NAME = re.compile(r"[A-Za-z0-9_.-]+")


def assign_splits(
    images: Mapping[str, Path], rule: str, *, join: str, seed: int
) -> dict[str, list[str]]:
    """Returns the keys of the images of each split, in their order.

    Args:
        images: by key.
        rule: "folder", a regular expression with a group `split`, shares such
            as "train:0.9,val:0.1", or files of names such as
            "train.txt,val.txt".
        join: how keys are found in paths, for files of paths.
        seed: of shares.

    Raises:
        UserError: the rule is none, names no image, or puts one in two splits.
    """
    if rule == FOLDER:
        split_of = _by_folder(images)
    elif _GROUP in rule:
        split_of = _by_expression(rule)
    elif ":" in rule:
        split_of = _by_shares(rule, seed)
    else:
        split_of = _by_lists(rule.split(","), images, join)
    splits: dict[str, list[str]] = {}
    for key, path in images.items():
        splits.setdefault(split_of(key, path), []).append(key)
    left = splits.pop("", [])
    if not splits:
        raise UserError(f"{FLAG}={rule}: expected splits, found none")
    for name in splits:
        check_name(name, FLAG)
    if left:
        print(
            f"note: {len(left)} of {len(images)} images are in no split and "
            f"are left out (first: {images[left[0]]})"
        )
    return splits


def check_name(split: str, flag: str) -> None:
    """Raises a UserError for a name with which no file can begin."""
    if not _SPLIT_NAME.fullmatch(split):
        raise UserError(
            f"{flag}={split}: expected letters, digits, '_', '.' and "
            "'-', since names of files begin with it"
        )


_SplitOf = Callable[[str, Path], str]


def _by_folder(images: Mapping[str, Path]) -> _SplitOf:
    """The folder right below the one that all images share."""
    root = os.path.commonpath([path.parent for path in images.values()])

    def split_of(key: str, path: Path) -> str:
        parts = path.relative_to(root).parts
        return parts[0] if len(parts) > 1 else ""

    return split_of


def _by_expression(rule: str) -> _SplitOf:
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise UserError(
            f"{FLAG}={rule}: expected a regular expression ({error})"
        ) from None

    def split_of(key: str, path: Path) -> str:
        match = pattern.search(path.as_posix())
        return (match["split"] or "") if match else ""

    return split_of


def _by_shares(rule: str, seed: int) -> _SplitOf:
    """A share of all frames each, drawn by hashes of their names."""
    bounds: dict[str, float] = {}
    total = 0.0
    for part in rule.split(","):
        name, _, number = part.partition(":")
        try:
            share = float(number)
        except ValueError:
            share = -1.0
        total += share
        if not 0 < share <= 1 or total > 1 + 1e-9 or name in bounds:
            raise UserError(
                f"{FLAG}={rule}: expected shares above 0 that sum to 1 or "
                "less, such as train:0.9,val:0.1"
            )
        bounds[name] = total

    def split_of(key: str, path: Path) -> str:
        # Other hashes than those that order the frames: a split would else
        # be a part of that order.
        digest = hashlib.sha256(f"split/{seed}/{key}".encode()).digest()
        drawn = int.from_bytes(digest[:8]) / 2**64
        return next((name for name in bounds if drawn < bounds[name]), "")

    return split_of


def _by_lists(
    files: Iterable[str], images: Mapping[str, Path], join: str
) -> _SplitOf:
    """The file that lists the frame; its stem is the split's name."""
    split_of: dict[str, str] = {}
    for file in files:
        split = Path(file).stem
        for key in _listed(Path(file), images, join):
            other = split_of.setdefault(key, split)
            if other != split:
                raise UserError(
                    f"{file}: expected frames of no other split, found {key!r} "
                    f"of {other} too"
                )
    return lambda key, path: split_of.get(key, "")


def _listed(path: Path, images: Mapping[str, Path], join: str) -> list[str]:
    """Returns the keys of the images that a file names, one a line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError):
        raise UserError(
            f"{FLAG}={path}: expected folder, a regular expression with a "
            "group (?P<split>...), shares such as train:0.9,val:0.1 or a file "
            "of names, found none of them"
        ) from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    keys = [_key_of_line(line, images, join) for line in lines]
    found = [key for key in keys if key]
    if not found:
        shown = lines[0] if lines else "nothing"
        raise UserError(
            f"{path}: expected names of images, one a line, found {shown!r}"
        )
    if len(found) < len(lines):
        missing = lines[keys.index("")]
        print(
            f"note: {len(lines) - len(found)} of {len(lines)} names in {path} "
            f"are of no image (first: {missing})"
        )
    return found


def _key_of_line(line: str, images: Mapping[str, Path], join: str) -> str:
    """Returns the key that a line names, "" for none.

    A line is a key, a file or a path, or begins with one: many lists name the
    image and the label in one line.
    """
    for text in (line, re.split(r"[\s,;]", line)[0]):
        candidates = [text, Path(text).name, Path(text).stem]
        if join and re.search(join, text):
            candidates.append(key_of(Path(text), join))
        for key in candidates:
            if key in images:
                return key
    return ""
