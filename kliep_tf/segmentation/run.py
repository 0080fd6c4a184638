"""One training run: network under a strategy, data, loop, board."""

import dataclasses
import os
from pathlib import Path

import numpy as np

from kliep_tf import runs
from kliep_tf.data import pipeline
from kliep_tf.data.datasets import NUM_CLASSES
from kliep_tf.data.index import RecordIndex
from kliep_tf.segmentation.augmentation import SegmentationAugmentation
from kliep_tf.segmentation.networks import NETWORKS, Network
from kliep_tf.segmentation.optimizers import (
    GradientRule,
    OptimizerSettings,
    make_optimizer,
)
from kliep_tf.segmentation.pictures import make_pictures
from kliep_tf.segmentation.pretrained import (
    freeze_normalization,
    load_backbone,
)
from kliep_tf.segmentation.training import make_train_step
from kliep_tf.segmentation.validation import make_validation
from kliep_tf.training import distribution
from kliep_tf.training.checkpoints import Checkpoints
from kliep_tf.training.loop import Hook, LoopSettings, run_steps

_KEPT_CHECKPOINTS = 2


@dataclasses.dataclass(frozen=True)
class SegmentationData:
    """What is learned from, and what is checked on.

    Attributes:
        index: the training examples; repeated where they are resampled.
        augmentation: what is done to them.
        example_weights: float32 [N], of each example's loss, or None.
        val_paths: shards of labelled examples for IoU curves; may be empty.
    """

    index: RecordIndex
    augmentation: SegmentationAugmentation
    example_weights: np.ndarray | None = None
    val_paths: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class NetworkSettings:
    """Which network is made.

    Attributes:
        name: in NETWORKS.
        seed: of the initial weights.
        mixed_precision: compute in bfloat16.
        backbone_weights: file of the backbone's weights, or "".
        freeze_batch_norm: keep the normalisation that was loaded.
    """

    name: str
    seed: int
    mixed_precision: bool = False
    backbone_weights: str = ""
    freeze_batch_norm: bool = False

    def build(self) -> Network:
        """Returns the network as training begins with it."""
        dtype = "mixed_bfloat16" if self.mixed_precision else "float32"
        network = NETWORKS[self.name](NUM_CLASSES, self.seed, dtype)
        if self.backbone_weights:
            load_backbone(network, self.backbone_weights)
            if self.freeze_batch_norm:
                freeze_normalization(network)
        return network

    def plain_copy(self, network: Network) -> Network:
        """Returns the network in float32 and outside of any strategy."""
        plain = NETWORKS[self.name](NUM_CLASSES, self.seed, "float32")
        plain.set_weights(network.get_weights())
        return plain


def run_training(
    data: SegmentationData,
    network_settings: NetworkSettings,
    optimizer_settings: OptimizerSettings,
    loop_settings: LoopSettings,
    *,
    strategy_name: str,
    picture_every: int,
    val_every: int,
    seed: int,
    run_dir: str | os.PathLike,
) -> Network:
    """Trains, from the newest checkpoint if there is one, to the last step.

    Args:
        data: examples.
        network_settings: which network.
        optimizer_settings: how it learns.
        loop_settings: for how long.
        strategy_name: a name in `distribution.STRATEGIES`.
        picture_every: steps between pictures on TensorBoard.
        val_every: steps between points of the IoU curves.
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
    step = make_train_step(network, optimizer, batch_size, rule)

    def make_batches(start: int):
        dataset = pipeline.make_labelled_dataset(
            data.index,
            data.augmentation,
            batch_size=batch_size,
            seed=seed,
            start_step=start,
            example_weights=data.example_weights,
        )
        return distribution.distribute(strategy, dataset)

    calm = data.augmentation.without_chance()
    hooks = [
        Hook(picture_every, make_pictures(network, data.index, calm, seed))
    ]
    if data.val_paths:
        hooks.append(Hook(val_every, make_validation(network, data.val_paths)))
    state = {"network": network, "optimizer": optimizer}
    run_steps(
        distribution.replicated_step(strategy, step),
        make_batches,
        Checkpoints(run_dir / runs.CHECKPOINTS, state, _KEPT_CHECKPOINTS),
        loop_settings,
        run_dir / runs.TENSORBOARD,
        hooks,
        describe_batch=lambda step: _describe_batch(
            data.index, batch_size, seed, step
        ),
    )
    return network


def _describe_batch(
    index: RecordIndex, batch_size: int, seed: int, step: int
) -> str:
    (names,) = pipeline.filenames_of_step(
        index, batch_size=batch_size, seed=seed, step=step
    )
    return ", ".join(names)
