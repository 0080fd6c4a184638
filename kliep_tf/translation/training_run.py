"""One training run of any method: data, model under a strategy, loop, board."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kliep_tf import runs
from kliep_tf.data import pipeline
from kliep_tf.data.augmentation import Augmentation
from kliep_tf.data.index import RecordIndex
from kliep_tf.training import board
from kliep_tf.training.checkpoints import Checkpoints
from kliep_tf.training.distribution import (
    distribute_shares,
    make_strategy,
    replicated_step,
)
from kliep_tf.training.loop import Hook, LoopSettings, run_steps
from kliep_tf.training.scalars import ScalarWriter
from kliep_tf.training.workers import Team, Worker
from kliep_tf.translation import monitoring
from kliep_tf.translation.method import Method, TranslationModel

_NUM_GRID_EXAMPLES = 4
# What the table of hyperparameters compares runs by, whatever the method.
_METRICS = ("weights/source_effective_share",)
_LEADING = (
    "source_weight_exponent",
    "target_weight_exponent",
    "learning_rate",
    "steps",
    "seed",
)

# Takes a generator of images and returns scalars by name.
ConsistencyCheck = Callable[[Callable[[tf.Tensor], tf.Tensor]], Mapping]


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """Both domains' examples, their training weights and their augmentation.

    Attributes:
        source: the source domain's examples.
        target: the target domain's examples.
        source_weights: float32 [N_s], w ** a with mean 1.
        target_weights: float32 [N_t], psi ** b with mean 1.
        augmentation: applied to both domains.
        image_size: (height, width) before any crop, for pictures.
        seed: of the input order and augmentation.
    """

    source: RecordIndex
    target: RecordIndex
    source_weights: np.ndarray
    target_weights: np.ndarray
    augmentation: Augmentation
    image_size: tuple[int, int]
    seed: int


@dataclasses.dataclass(frozen=True)
class Monitoring:
    """What TensorBoard is to show besides the losses.

    Attributes:
        run_name: what the run is called in the table of hyperparameters.
        program: the module of the program that trains.
        config: its frozen config, shown as text and as hyperparameters.
        image_every: steps between pictures.
        consistency_every: steps between checks of semantic consistency.
        compared_by: the check's scalars by which the table of hyperparameters
            compares runs, those without a check too.
        descriptions: of the check's scalars, by tag.
        make_consistency_check: returns the check, called once the strategy is
            made, before which TensorFlow must not run; or None for no check.
        discriminator_unit: how many times CycleGAN's a discriminator's loss is.
    """

    run_name: str
    program: str
    config: Any
    image_every: int
    consistency_every: int
    compared_by: tuple[str, ...] = ()
    descriptions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    make_consistency_check: Callable[[], ConsistencyCheck] | None = None
    discriminator_unit: float = 1.0


def run_training(
    data: TrainingData,
    method: Method,
    build_model: Callable[[], TranslationModel],
    loop_settings: LoopSettings,
    shown: Monitoring,
    *,
    distribution: str,
    worker: Worker,
    run_dir: str | os.PathLike,
) -> None:
    """Trains, from the newest checkpoint if there is one, to the last step.

    Args:
        data: both domains.
        method: of which the data and the board are.
        build_model: returns its compiled model, for the same batch size as the
            loop's. Called under the strategy's scope.
        loop_settings: of the loop.
        shown: on TensorBoard.
        distribution: a name in CLUSTER_STRATEGIES.
        worker: this process; the chief has claimed the run directory.
        run_dir: the run directory, on a disk that all workers share.
    """
    batch_size = loop_settings.batch_size
    strategy = make_strategy(distribution, batch_size)
    with strategy.scope():
        model = build_model()
        checkpoints = Checkpoints(
            os.path.join(run_dir, runs.CHECKPOINTS),
            model.trackables(),
            loop_settings.keep_checkpoints,
        )
    directory = os.path.join(run_dir, runs.TENSORBOARD)
    watch = monitoring.CollapseWatch(
        loop_settings.num_steps,
        advice=method.advice,
        loss_unit=shown.discriminator_unit,
    )
    scalars = ScalarWriter({**method.descriptions, **shown.descriptions})
    hooks = []
    if worker.is_chief:
        _write_constants(directory, data, method, shown)
        hooks = _hooks(model, data, method, shown, watch, scalars)

    def see_figures(step: int, means: Mapping[str, float]) -> None:
        watch.see_losses(step, means)
        scalars.write(step, model.learning_rates(step))

    run_steps(
        replicated_step(strategy, model.train_step),
        _batches(data, method, batch_size, strategy, worker),
        checkpoints,
        loop_settings,
        directory,
        hooks,
        see_figures=see_figures,
        team=Team(strategy, worker),
        describe_batch=lambda step: _describe_batch(data, batch_size, step),
        descriptions=method.descriptions,
    )
    if worker.is_chief:
        with tf.summary.create_file_writer(directory).as_default():
            board.write_success()


def _batches(
    data: TrainingData,
    method: Method,
    batch_size: int,
    strategy: tf.distribute.Strategy,
    worker: Worker,
) -> Callable[[int], Any]:
    """Returns the function of a start step to batches from there on."""

    def batches_from(start_step: int) -> Iterable[Any]:
        def make_dataset(share: tuple[int, int]) -> tf.data.Dataset:
            return pipeline.make_unpaired_dataset(
                data.source,
                data.target,
                data.augmentation,
                source_weights=data.source_weights,
                target_weights=data.target_weights,
                batch_size=batch_size,
                seed=data.seed,
                start_step=start_step,
                share=share,
                with_source_labels=method.needs_source_labels,
            )

        return distribute_shares(strategy, worker, make_dataset, batch_size)

    return batches_from


def _describe_batch(data: TrainingData, batch_size: int, step: int) -> str:
    source, target = pipeline.filenames_of_step(
        data.source,
        data.target,
        batch_size=batch_size,
        seed=data.seed,
        step=step,
    )
    return f"source {', '.join(source)} and target {', '.join(target)}"


def _write_constants(
    directory: str, data: TrainingData, method: Method, shown: Monitoring
) -> None:
    with tf.summary.create_file_writer(directory).as_default():
        board.write_command(shown.program, shown.config)
        board.write_config(runs.arguments_of(shown.config))
        board.write_hyperparameters(
            shown.run_name,
            shown.config,
            (*shown.compared_by, *_METRICS, *method.compared_by),
            _LEADING,
        )
        monitoring.write_weights("source", data.source_weights)
        monitoring.write_weights("target", data.target_weights)


def _hooks(
    model: TranslationModel,
    data: TrainingData,
    method: Method,
    shown: Monitoring,
    watch: monitoring.CollapseWatch,
    scalars: ScalarWriter,
) -> list[Hook]:
    size = method.sizes.fit(data.image_size)
    grids = monitoring.TranslationGrids(
        model,
        monitoring.fixed_examples(data.source, _NUM_GRID_EXAMPLES, size),
        monitoring.fixed_examples(data.target, _NUM_GRID_EXAMPLES, size),
        watch.see_outputs,
    )
    hooks = [Hook(shown.image_every, grids.write)]
    if shown.make_consistency_check:
        check = shown.make_consistency_check()

        def write_consistency(step: int) -> None:
            generator = model.export_generators.source_to_target
            figures = check(lambda batch: generator(batch, training=False))
            scalars.write(step, figures)

        hooks.append(Hook(shown.consistency_every, write_consistency))
    return hooks
