"""ROAD: distillation of real style, and domain classifiers by place.

Chen, Li and Van Gool, "ROAD: Reality Oriented Adaptation for Semantic
Segmentation of Urban Scenes", CVPR 2018. On target images the segmenter's
features stay close to those of a frozen network that photographs taught; and
each cell of a 3x3 grid over the frame has a domain classifier of its own, whose
gradient reaches the segmenter reversed.

The authors' code is not public. What the publication leaves open is chosen
here: a classifier is two 1x1 convolutions with a ReLU between them; they learn
by the segmenter's optimizer, as fast as its head, from the same loss, weight
included; images are whole and unmirrored frames, so that a cell is a place of
the original frame. docs/methods/road.md says so too.

Each term is weighted by its image's importance; weights of 1 give the published
losses.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from kliep_tf import flag_fields
from kliep_tf.data.pipeline import LabelledUnpairedBatch
from kliep_tf.data.tensors import tensor_files
from kliep_tf.errors import UserError
from kliep_tf.segmentation.adaptation.method import (
    Method,
    SegmenterOptimizer,
    Setup,
    Step,
    accuracy,
    log_loss,
)
from kliep_tf.segmentation.adaptation.road_parts import (
    GRID,
    cells,
    distance,
    domain_classifiers,
    last_features,
    over_cells,
    reverse_gradient,
)
from kliep_tf.segmentation.networks import NETWORKS
from kliep_tf.segmentation.pretrained import load_backbone
from kliep_tf.segmentation.train_step import cross_entropy, pixel_accuracies
from kliep_tf.training.distribution import all_reduce_sum


@dataclasses.dataclass(frozen=True, kw_only=True)
class RoadSettings:
    """The flags of --method=road."""

    teacher_weights: str = flag_fields.flag(
        "File of the weights of the network's backbone, trained on photographs "
        "(ImageNet), in a format of --backbone_weights: the frozen teacher.",
        default="",
        read_as="road files",
        mirrored="input",
    )
    distillation_weight: float = flag_fields.flag(
        "Weight of the distance between the segmenter's features and the "
        "teacher's on target images; 0 does without a teacher.",
        default=0.1,
        minimum=0,
    )
    spatial_weight: float = flag_fields.flag(
        "Weight of the domain classifiers' loss.", default=0.01, minimum=0
    )
    classifier_filters: int = flag_fields.flag(
        "Filters between the two convolutions of a domain classifier.",
        default=256,
        minimum=1,
    )


class Road:
    """Segmenter, frozen teacher and domain classifiers at work."""

    def __init__(
        self,
        network: keras.Model,
        settings: RoadSettings,
        setup: Setup,
        replicate: Callable[[Step], Step],
    ):
        """Loads the teacher and builds the classifiers and optimizers."""
        self._settings, self._setup = settings, setup
        features = last_features(network)
        self._network = keras.Model(
            network.inputs, [*network.outputs, features]
        )
        _check_grid(self._network, setup)
        self._teacher = None
        if settings.distillation_weight:
            self._teacher = frozen_teacher(settings, setup)
        self._classifiers = domain_classifiers(
            features.shape[-1],
            settings.classifier_filters,
            setup.seed + 1,
            setup.dtype,
        )
        self._optimizer = SegmenterOptimizer(network, setup.optimizer)
        self._classifier_optimizer = SegmenterOptimizer(
            self._classifiers, setup.optimizer
        )
        self.train_step = replicate(self._replica_step)

    def trackables(self) -> Mapping[str, Any]:
        """Returns all that a checkpoint must hold but the network."""
        return {
            "optimizer": self._optimizer.keras_optimizer,
            "classifiers": self._classifiers,
            "classifier_optimizer": self._classifier_optimizer.keras_optimizer,
        }

    def remark(self) -> str:
        """Returns that there was no teacher, if so."""
        if self._teacher is not None:
            return ""
        return (
            "without --teacher_weights this is ROAD's spatial adaptation "
            "alone, without its distillation"
        )

    def _replica_step(
        self, batch: LabelledUnpairedBatch
    ) -> Mapping[str, tf.Tensor]:
        rate = self._optimizer.learning_rate
        own = self._optimizer.variables
        theirs = self._classifier_optimizer.variables
        with tf.GradientTape() as tape:
            loss, scalars = self._loss(batch)
        gradients = tape.gradient(loss, [*own, *theirs])
        self._optimizer.apply(gradients[: len(own)])
        self._classifier_optimizer.apply(gradients[len(own) :])
        return {**all_reduce_sum(scalars), "learning_rate": rate}

    def _loss(
        self, batch: LabelledUnpairedBatch
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        mean, settings = self._setup.mean, self._settings
        logits, of_source = self._network(batch.source, training=True)
        _, of_target = self._network(batch.target, training=True)
        label, ignore_label = batch.source_label, self._setup.ignore_label
        entropy = mean(
            cross_entropy(label, logits, ignore_label), batch.source_weight
        )
        on_source = self._classifiers(cells(reverse_gradient(of_source)))
        on_target = self._classifiers(cells(reverse_gradient(of_target)))
        told = mean(
            over_cells(on_source, lambda cell: log_loss(cell, called=True)),
            batch.source_weight,
        ) + mean(
            over_cells(on_target, lambda cell: log_loss(cell, called=False)),
            batch.target_weight,
        )
        right = over_cells(on_source, lambda cell: accuracy(cell, True))
        right += over_cells(on_target, lambda cell: accuracy(cell, False))
        even = tf.ones_like(batch.source_weight)
        hits = pixel_accuracies(label, logits, ignore_label)
        loss = entropy + settings.spatial_weight * told
        scalars = {
            "loss": entropy,
            "pixel_accuracy": mean(hits, even),
            "spatial": told,
            "accuracy/domain_classifiers": 0.5 * mean(right, even),
        }
        if self._teacher is not None:
            taught = self._teacher(batch.target, training=False)
            apart = mean(distance(of_target, taught), batch.target_weight)
            loss += settings.distillation_weight * apart
            scalars["distillation"] = apart
        return loss, scalars


def frozen_teacher(settings: RoadSettings, setup: Setup) -> keras.Model:
    """Returns the pretrained backbone, of images to its last features.

    Raises:
        UserError: the file does not hold the weights of the network's backbone.
    """
    network = NETWORKS[setup.network_name](
        setup.num_classes, setup.seed, setup.dtype
    )
    load_backbone(network, settings.teacher_weights, "teacher_weights")
    teacher = keras.Model(network.inputs, last_features(network))
    teacher.trainable = False
    return teacher


def _check_grid(network: keras.Model, setup: Setup) -> None:
    side = setup.least_side
    _, (_, height, width, _) = network.compute_output_shape((1, side, side, 3))
    if min(height, width) < GRID:
        raise UserError(
            f"--method=road: expected images whose features have {GRID} rows "
            f"and columns or more, found {min(height, width)} of {side} pixels"
        )


def _check(settings: RoadSettings, setup: Setup) -> None:
    if setup.sees_parts:
        raise UserError(
            "--method=road: expected --noflip and no --crop_height, since each "
            "domain classifier is for one place of the frame"
        )
    if settings.distillation_weight and not settings.teacher_weights:
        raise UserError(
            "--method=road: expected --teacher_weights, a file of the "
            "network's backbone trained on ImageNet, such as "
            "--backbone_weights takes (torchvision's resnet101 for "
            "deeplab_v2_resnet101, fyu/drn's drn_c_26 for drn_c_26), or "
            "--distillation_weight=0; found neither"
        )


def _files(settings: RoadSettings) -> list[str]:
    if not settings.teacher_weights:
        return []
    return tensor_files(settings.teacher_weights)


METHOD = Method(
    settings=RoadSettings,
    check=_check,
    build=Road,
    files=_files,
    descriptions={
        "spatial": (
            "sum of the domain classifiers' log losses of both domains, mean "
            "over the cells, times importance; 1.39 where they cannot tell the "
            "domains."
        ),
        "distillation": (
            "mean L2 distance between the segmenter's features of target "
            "images and the frozen teacher's, times importance; lower is "
            "nearer to the teacher."
        ),
        "accuracy/": (
            "share (0 to 1) of places whose domain the classifiers judge "
            "rightly; 0.5 where they cannot tell the domains."
        ),
    },
)
