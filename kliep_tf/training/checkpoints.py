"""Checkpoints that survive a kill at any moment."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from kliep_tf.data.plain_paths import plain_path
from kliep_tf.errors import DataError, reason_of

# What TensorFlow raises for files cut short, altered, missing, or of another
# model: its readers translate some of their errors to Python's.
DAMAGE = (
    tf.errors.OpError,
    AssertionError,
    IndexError,
    RuntimeError,
    ValueError,
)


class Checkpoints:
    """Saves and restores everything that a run's future depends on.

    The manager's state file names a checkpoint only after it is whole, so
    that a run killed while saving continues from the one before.

    Attributes:
        step: int64 variable, the number of steps done.
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        state: Mapping[str, Any],
        keep: int,
    ):
        """Tracks `state` in `directory`.

        Args:
            directory: created on the first save.
            state: trackable objects by name: models, optimizers, pools.
            keep: number of checkpoints kept, the newest ones.
        """
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._checkpoint = tf.train.Checkpoint(step=self.step, **state)
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(directory), max_to_keep=keep
        )

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been saved yet."""
        return not self._manager.checkpoints

    def restore(self) -> int:
        """Restores the newest whole checkpoint; returns its step, or 0.

        A damaged one is reported, and the one before it is used.

        Raises:
            UserError: there are checkpoints but none can be read.
        """
        paths = list(reversed(self._manager.checkpoints))
        # Made by the first save otherwise, which would read it from the path
        # of then.
        _ = self._checkpoint.save_counter
        for path in paths:
            try:
                with plain_path(path) as plain:
                    status = self._checkpoint.read(plain)
                status.assert_existing_objects_matched()
                return self._steps_done()
            except DAMAGE as error:
                print(
                    f"{path}: damaged, trying the one before "
                    f"({reason_of(error)})"
                )
        if paths:
            raise DataError(
                f"{self._manager.directory}: expected a readable checkpoint, "
                f"found {len(paths)} damaged ones"
            )
        return 0

    def sweep(self) -> None:
        """Removes what kills inside `save` have left behind.

        Each may be as large as a checkpoint. For the one process that saves.
        """
        directory = Path(self._manager.directory)
        known = {os.path.basename(path) for path in self._manager.checkpoints}
        for entry in directory.glob("ckpt-*_temp"):
            shutil.rmtree(entry, ignore_errors=True)
        # Without the manager's file any checkpoint might be somebody's.
        for entry in directory.glob("ckpt-*.*") if known else ():
            if entry.name.split(".")[0] not in known:
                entry.unlink(missing_ok=True)
        for entry in directory.glob("checkpoint.tmp*"):
            entry.unlink(missing_ok=True)

    def save(self) -> None:
        """Writes a checkpoint numbered by the step.

        Raises:
            OSError: the disk is full, or the directory cannot be written.
        """
        directory = Path(self._manager.directory)
        # TensorFlow's count of saves, more of them in a run that was stopped:
        # the same state is to be the same bytes.
        self._checkpoint.save_counter.assign(self._steps_done())
        try:
            self._manager.save(checkpoint_number=self._steps_done())
        except tf.errors.OpError as error:
            for partial in directory.glob(f"ckpt-{self._steps_done()}*_temp"):
                shutil.rmtree(partial, ignore_errors=True)
            raise OSError(None, reason_of(error), str(directory)) from error
        # The manager removes by patterns, and none in a folder like "run [1]".
        self.sweep()

    def _steps_done(self) -> int:
        # int(variable) fails on the mirrored variables of a strategy.
        return int(self.step.numpy())


def checkpoint_steps(directory: str | os.PathLike) -> list[int]:
    """Returns the steps whose checkpoints `directory` holds, ascending."""
    state = tf.train.get_checkpoint_state(str(directory))
    paths = state.all_model_checkpoint_paths if state else []
    return sorted(int(path.rsplit("-", 1)[1]) for path in paths)
