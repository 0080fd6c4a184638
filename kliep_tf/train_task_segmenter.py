"""The segmenter that a translation method asks for: named, found or trained.

It learned from the source's labels and judges translations. A method that asks
for one has the flags --task_segmenter, which names it, and --semantic_weight,
without which it is not used. Where it is not named it is the one that describes
images for the weights, or, where these have needed none, one like it in the run
directory.
"""

import dataclasses
import functools
import os
from collections.abc import Callable

from kliep_tf import train_weights
from kliep_tf.data.index import RecordIndex
from kliep_tf.errors import UserError
from kliep_tf.estimate_segmenters import (
    teacher_model,
    train_teacher,
    working_size,
)
from kliep_tf.segmentation.frozen import FrozenSegmenter
from kliep_tf.train_flags import TrainConfig
from kliep_tf.training import saved_models


def check(config: TrainConfig, source: RecordIndex) -> None:
    """Raises a UserError, before anything is written, if it is of no use."""
    if not _used(config):
        return
    path = _existing(config)
    if config.distribution != "multi_worker":
        if path:
            FrozenSegmenter(path, source.classes)
        return
    # Loaded later: their strategy must be made before any operation runs.
    if not path:
        raise UserError(
            f"--method={config.method} --distribution=multi_worker: expected "
            "a --task_segmenter, found none; train one by train_segmenter first"
        )


def fingerprint(config: TrainConfig) -> dict[str, str]:
    """Returns the fingerprint of the segmenter, if there is one.

    A run that trains it itself has none when it begins.
    """
    path = _existing(config)
    if not path or not saved_models.is_whole(path):
        return {}
    return {"task segmenter": saved_models.fingerprint(path)}


def provide(
    config: TrainConfig, source: RecordIndex
) -> Callable[[], FrozenSegmenter] | None:
    """Returns what loads it, trained first if need be; None without a use."""
    if not _used(config):
        return None
    path = _existing(config) or _train(config, source)
    return functools.partial(FrozenSegmenter, path, source.classes)


def _used(config: TrainConfig) -> bool:
    """Whether the method's losses with the segmenter have any weight."""
    return vars(config)["semantic_weight"] > 0


def _existing(config: TrainConfig) -> str:
    """Returns the SavedModel that is named or found, or ""."""
    named = vars(config)["task_segmenter"] or config.segmenter
    if named:
        return named
    # A run that has begun to train its own goes on with it.
    if os.path.isdir(os.path.dirname(_own(config))):
        return ""
    found = teacher_model(train_weights.weights_dir(config), "source")
    return found if saved_models.is_whole(found) else ""


def _own(config: TrainConfig) -> str:
    return teacher_model(config.run_dir, "source")


def _train(config: TrainConfig, source: RecordIndex) -> str:
    estimate = train_weights.estimate_config(config)
    estimate = dataclasses.replace(estimate, weights_dir=config.run_dir)
    return train_teacher(estimate, "source", working_size(source))
