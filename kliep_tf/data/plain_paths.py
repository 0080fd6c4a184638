"""Paths that TensorFlow's readers of checkpoints take for patterns."""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def plain_path(path: str | os.PathLike) -> Iterator[str]:
    """Gives a path to the same file without characters of a pattern.

    TensorFlow looks for a checkpoint by its path as by a pattern, and finds
    none in a folder such as "run [1]". The other path leads through a symbolic
    link to the folder, which is removed at the end.

    Args:
        path: of a checkpoint, that is of its files without their endings.
    """
    folder, name = os.path.split(os.path.abspath(path))
    if not re.search(r"[][*?\\]", folder):
        yield os.fspath(path)
        return
    with tempfile.TemporaryDirectory(prefix="kliep_tf_link_") as directory:
        link = os.path.join(directory, "folder")
        os.symlink(folder, link)
        yield os.path.join(link, name)
