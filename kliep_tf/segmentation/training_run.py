"""The training run of a segmenter: strategy, network, data, loop, hooks."""

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kliep_tf import runs
from kliep_tf.data import pipeline
from kliep_tf.data.augmentation import Augmentation
from kliep_tf.data.index import RecordIndex
from kliep_tf.segmentation.monitoring import DESCRIPTIONS, Monitoring
from kliep_tf.segmentation.networks import NetworkSettings
from kliep_tf.segmentation.optimizers import (
    GradientRule,
    OptimizerSettings,
    make_optimizer,
)
from kliep_tf.segmentation.train_step import make_train_step
from kliep_tf.training import distribution
from kliep_tf.training.checkpoints import Checkpoints
from kliep_tf.training.loop import LoopSettings, run_steps

_KEPT_CHECKPOINTS = 2


@dataclasses.dataclass(frozen=True)
class SegmentationData:
    """The examples of one training.

    Attributes:
        index: the training examples; repeated where they are resampled.
        augmentation: of images and labels.
        example_weights: float32 [N], of each example's loss, or None.
    """

    index: RecordIndex
    augmentation: Augmentation
    example_weights: np.ndarray | None = None


def run_training(
    data: SegmentationData,
    network_settings: NetworkSettings,
    optimizer_settings: OptimizerSettings,
    loop_settings: LoopSettings,
    monitoring: Monitoring,
    *,
    strategy_name: str,
    seed: int,
    run_dir: str | os.PathLike,
) -> keras.Model:
    """Trains, from the newest checkpoint if there is one, to the last step.

    Args:
        data: examples.
        network_settings: which network.
        optimizer_settings: how it learns.
        loop_settings: for how long.
        monitoring: what TensorBoard shows.
        strategy_name: a name in `distribution.STRATEGIES`.
        seed: of the order and the augmentation.
        run_dir: the claimed run directory.

    Returns:
        The trained network, made under the strategy.
    """
    run_dir = Path(run_dir)
    batch_size = loop_settings.batch_size
    strategy = distribution.make_strategy(strategy_name, batch_size)
    with strategy.scope():
        network = network_settings.build()
        optimizer = make_optimizer(network, optimizer_settings)
    rule = GradientRule(network, optimizer_settings)
    ignore_label = data.index.classes.ignore_label
    step = make_train_step(network, optimizer, batch_size, rule, ignore_label)

    def make_batches(start: int) -> Iterable[Any]:
        dataset = pipeline.make_labelled_dataset(
            data.index,
            data.augmentation,
            batch_size=batch_size,
            seed=seed,
            start_step=start,
            example_weights=data.example_weights,
        )
        return distribution.distribute(strategy, dataset)

    state = {"network": network, "optimizer": optimizer}
    run_steps(
        distribution.replicated_step(strategy, step),
        make_batches,
        Checkpoints(run_dir / runs.CHECKPOINTS, state, _KEPT_CHECKPOINTS),
        loop_settings,
        run_dir / runs.TENSORBOARD,
        monitoring.hooks(network, data.index, data.augmentation, seed),
        describe_batch=lambda step: _describe_batch(
            data.index, batch_size, seed, step
        ),
        descriptions=DESCRIPTIONS,
    )
    return network


def _describe_batch(
    index: RecordIndex, batch_size: int, seed: int, step: int
) -> str:
    (names,) = pipeline.filenames_of_step(
        index, batch_size=batch_size, seed=seed, step=step
    )
    return ", ".join(names)
