"""Temporary folders that are swept when their process was killed."""

import os
import shutil
import tempfile
import time
from pathlib import Path

import filelock

_LOCK = ".lock"
# Between a folder's making and its lock there is a moment.
_SECONDS_BEFORE_A_LOCK = 600


def scratch_folder(prefix: str) -> tempfile.TemporaryDirectory:
    """Returns a folder that is removed with the process.

    Folders of the same prefix whose process was killed are removed now: a lock
    of the system's, which ends with its process, tells which they are.
    """
    sweep(prefix)
    folder = tempfile.TemporaryDirectory(prefix=prefix)
    lock = _lock_of(Path(folder.name))
    lock.acquire()
    folder.lock = lock  # type: ignore[attr-defined]  # held as long as that
    return folder


def sweep(prefix: str) -> None:
    """Removes the folders of a prefix that no process holds."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        try:
            if not _is_held(folder):
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # another user's, or gone by now
            continue


def _is_held(folder: Path) -> bool:
    if not (folder / _LOCK).exists():
        age = time.time() - os.stat(folder).st_mtime
        return age < _SECONDS_BEFORE_A_LOCK
    lock = _lock_of(folder)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        return True
    lock.release()
    return False


def _lock_of(folder: Path) -> filelock.BaseFileLock:
    return filelock.FileLock(folder / _LOCK, fallback_to_soft=False)
