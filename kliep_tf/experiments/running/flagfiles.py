"""The flagfiles that experiments hand to the programs they run."""

import hashlib
import json
import os
import re
from pathlib import Path

from kliep_tf import fingerprints
from kliep_tf.data.tensors import tensor_files
from kliep_tf.errors import UserError

DEMO_FLAGFILE = "configs/demo.flags"
TRAIN_FLAGFILE = "configs/cyclegan_city.flags"
SEGMENTER_FLAGFILE = "configs/city_segmenter.flags"

_NESTED = ("--flagfile=", "-flagfile=")
_COMMENTS = ("#", "//")


def find_flagfile(given: str, default: str, flag: str, program: str) -> str:
    """Returns the path of the flagfile given, or of the checkout's.

    Args:
        given: what the user named, "" for nothing.
        default: a path in the checkout.
        flag: the flag that names another one.
        program: whose flags are expected.

    Raises:
        UserError: there is no such file.
    """
    checkout = Path(__file__).resolve().parents[3]
    path = Path(given) if given else checkout / default
    if path.is_file():
        return str(path)
    if given:
        raise UserError(
            f"--{flag}={path}: expected a flagfile of {program}, found no file"
        )
    raise UserError(
        f"{path}: expected the flagfile of a checkout, found none; run from "
        f"one, or name a flagfile of {program} by --{flag}"
    )


def flagfile_digest(path: str) -> str:
    """Returns a short digest of a flagfile's flags, as jobs see them.

    Raises:
        UserError: there is no such file, or it names itself.
    """
    text = json.dumps(flagfile_lines(path))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def flagfile_lines(path: str, inside: tuple[str, ...] = ()) -> list[str]:
    """Returns the flags in a flagfile, so that a new comment changes nothing.

    A flagfile named in it is replaced by its flags, as absl does, so that the
    identity follows them too.

    Raises:
        UserError: there is no such file, or it names itself.
    """
    if not path:
        return []
    if path in inside:
        raise UserError(f"{path}: expected a flagfile, found it within itself")
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path}: expected a flagfile, found none") from None
    found = []
    for line in map(str.strip, lines):
        if line.startswith(_NESTED):
            nested = os.path.expanduser(line.partition("=")[2].strip())
            found += flagfile_lines(nested, (*inside, path))
        elif line and not line.startswith(_COMMENTS):
            # A value may stand in a line of its own, below its flag.
            found.append(line)
            found += _pretrained_weights(line)
    return found


def sets_flag(path: str, name: str) -> bool:
    """Returns whether a flagfile, or one that it names, sets a flag."""
    names = (
        re.split(r"[=\s]", line.lstrip("-"), maxsplit=1)[0]
        for line in flagfile_lines(path)
    )
    return name in names


def _pretrained_weights(line: str) -> list[str]:
    """Returns what identifies the weights that a line of a flagfile names."""
    name, _, path = line.lstrip("-").partition("=")
    if name != "backbone_weights":
        return []
    files = tensor_files(path.strip())
    # Another flag may override one that names no file.
    return [fingerprints.of(files)] if all(map(os.path.exists, files)) else []
