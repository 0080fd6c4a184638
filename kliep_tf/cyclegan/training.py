"""One training run: data, model under a strategy, loop, board."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kliep_tf import runs
from kliep_tf.cyclegan import monitoring
from kliep_tf.cyclegan.model import CycleGAN, CycleGANSettings
from kliep_tf.cyclegan.schedules import make_optimizer
from kliep_tf.data import pipeline, records
from kliep_tf.data.index import RecordIndex
from kliep_tf.training.checkpoints import Checkpoints
from kliep_tf.training.distribution import (
    distribute,
    make_strategy,
    replicated_step,
)
from kliep_tf.training.loop import Hook, LoopSettings, run_steps

_NUM_GRID_EXAMPLES = 4


@dataclasses.dataclass(frozen=True)
class CycleGANData:
    """Both domains' examples, their training weights, and what is done to them.

    Attributes:
        source: the source domain's examples.
        target: the target domain's examples.
        source_weights: float32 [N_s], w ** a with mean 1.
        target_weights: float32 [N_t], psi ** b with mean 1.
        augmentation: applied to both domains.
        image_size: (height, width) before any crop, for pictures.
    """

    source: RecordIndex
    target: RecordIndex
    source_weights: np.ndarray
    target_weights: np.ndarray
    augmentation: pipeline.Augmentation
    image_size: tuple[int, int]


def run_training(
    data: CycleGANData,
    model_settings: CycleGANSettings,
    loop_settings: LoopSettings,
    *,
    learning_rate: float,
    distribution: str,
    image_every: int,
    seed: int,
    run_dir: str | os.PathLike,
    arguments: Mapping[str, Any],
) -> None:
    """Trains, from the newest checkpoint if there is one, to the last step.

    Args:
        data: both domains.
        model_settings: of the CycleGAN.
        loop_settings: of the loop.
        learning_rate: of all four networks.
        distribution: a name in STRATEGIES.
        image_every: steps between pictures on TensorBoard.
        seed: of the input order and augmentation.
        run_dir: the claimed run directory.
        arguments: the program's, shown on TensorBoard.
    """
    strategy = make_strategy(distribution, model_settings.global_batch_size)
    with strategy.scope():
        model = CycleGAN(model_settings)
        model.compile(
            make_optimizer(learning_rate, loop_settings.num_steps),
            make_optimizer(learning_rate, loop_settings.num_steps),
        )
        checkpoints = Checkpoints(
            os.path.join(run_dir, runs.CHECKPOINTS),
            model.trackables(),
            loop_settings.keep_checkpoints,
        )

    def make_batches(start_step: int):
        dataset = pipeline.make_unpaired_dataset(
            data.source,
            data.target,
            data.augmentation,
            source_weights=data.source_weights,
            target_weights=data.target_weights,
            batch_size=model_settings.global_batch_size,
            seed=seed,
            start_step=start_step,
        )
        return distribute(strategy, dataset)

    board = os.path.join(run_dir, runs.TENSORBOARD)
    _write_constants(board, data, arguments)
    run_steps(
        replicated_step(strategy, model.train_step),
        make_batches,
        checkpoints,
        loop_settings,
        board,
        _hooks(model, data, image_every, loop_settings.log_every),
    )


def _write_constants(
    board: str, data: CycleGANData, arguments: Mapping[str, Any]
) -> None:
    with tf.summary.create_file_writer(board).as_default():
        monitoring.write_config(arguments)
        monitoring.write_weights("source", data.source_weights)
        monitoring.write_weights("target", data.target_weights)


def _hooks(
    model: CycleGAN, data: CycleGANData, image_every: int, log_every: int
) -> list[Hook]:
    grids = monitoring.TranslationGrids(
        model,
        _first_images(data.source, data.image_size),
        _first_images(data.target, data.image_size),
    )

    def write_rate(step: int) -> None:
        rate = model.generator_optimizer.learning_rate
        tf.summary.scalar("rate/learning_rate", rate, step)

    return [Hook(image_every, grids.write), Hook(log_every, write_rate)]


def _first_images(index: RecordIndex, size: tuple[int, int]) -> np.ndarray:
    rows = range(min(_NUM_GRID_EXAMPLES, len(index)))
    parsed = [records.parse_example(index.read(row)) for row in rows]
    encoded = [example[records.ENCODED] for example in parsed]
    return monitoring.fixed_examples(encoded, size)
