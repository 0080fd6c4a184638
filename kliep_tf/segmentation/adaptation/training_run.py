"""The training run of an adaptation: strategy, data of both domains, loop."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kliep_tf import runs
from kliep_tf.data import pipeline
from kliep_tf.data.augmentation import Augmentation
from kliep_tf.data.index import RecordIndex
from kliep_tf.segmentation.adaptation.method import Adapter, Method, Step
from kliep_tf.segmentation.monitoring import DESCRIPTIONS, Monitoring
from kliep_tf.training import distribution
from kliep_tf.training.checkpoints import Checkpoints
from kliep_tf.training.loop import LoopSettings, run_steps

_KEPT_CHECKPOINTS = 2


@dataclasses.dataclass(frozen=True)
class AdaptationData:
    """The examples of both domains.

    Attributes:
        source: labelled examples.
        target: examples whose labels, if any, are not read.
        source_weights: float32 [N_s], importance, 1 for the published method.
        target_weights: float32 [N_t].
        source_augmentation: of source images and labels.
        target_augmentation: of target images.
        seed: of the order and the augmentation.
    """

    source: RecordIndex
    target: RecordIndex
    source_weights: np.ndarray
    target_weights: np.ndarray
    source_augmentation: Augmentation
    target_augmentation: Augmentation
    seed: int


def run_adaptation(
    data: AdaptationData,
    method: Method,
    build_network: Callable[[], keras.Model],
    build_adapter: Callable[[keras.Model, Callable[[Step], Step]], Adapter],
    loop_settings: LoopSettings,
    monitoring: Monitoring,
    *,
    strategy_name: str,
    run_dir: str | os.PathLike,
) -> tuple[keras.Model, str]:
    """Trains, from the newest checkpoint if there is one, to the last step.

    Args:
        data: of both domains.
        method: whose scalars are described.
        build_network: returns the segmenter to adapt.
        build_adapter: takes the segmenter and a function that runs a step on
            all replicas. Both are called under the strategy's scope.
        loop_settings: for how long.
        monitoring: what TensorBoard shows.
        strategy_name: a name in `distribution.STRATEGIES`.
        run_dir: the claimed run directory.

    Returns:
        The adapted segmenter, made under the strategy, and the method's remark
        on the training, or "".
    """
    run_dir = Path(run_dir)
    batch_size = loop_settings.batch_size
    strategy = distribution.make_strategy(strategy_name, batch_size)
    replicate = functools.partial(distribution.replicated_step, strategy)
    with strategy.scope():
        network = build_network()
        adapter = build_adapter(network, replicate)

    def make_batches(start: int) -> Iterable[Any]:
        dataset = pipeline.make_unpaired_dataset(
            data.source,
            data.target,
            data.source_augmentation,
            source_weights=data.source_weights,
            target_weights=data.target_weights,
            batch_size=batch_size,
            seed=data.seed,
            start_step=start,
            with_source_labels=True,
            target_augmentation=data.target_augmentation,
        )
        return distribution.distribute(strategy, dataset)

    state = {"network": network, **adapter.trackables()}
    run_steps(
        adapter.train_step,
        make_batches,
        Checkpoints(run_dir / runs.CHECKPOINTS, state, _KEPT_CHECKPOINTS),
        loop_settings,
        run_dir / runs.TENSORBOARD,
        monitoring.hooks(
            network, data.source, data.source_augmentation, data.seed
        ),
        describe_batch=lambda step: _describe_batch(data, batch_size, step),
        descriptions={**DESCRIPTIONS, **method.descriptions},
    )
    return network, adapter.remark()


def _describe_batch(data: AdaptationData, batch_size: int, step: int) -> str:
    source, target = pipeline.filenames_of_step(
        data.source,
        data.target,
        batch_size=batch_size,
        seed=data.seed,
        step=step,
    )
    return f"source {', '.join(source)} and target {', '.join(target)}"
