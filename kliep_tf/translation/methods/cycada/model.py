"""CyCADA: a CycleGAN whose translations a segmenter must still understand."""

import functools
from collections.abc import Callable
from typing import Protocol

import tensorflow as tf

from kliep_tf.data.pipeline import LabelledUnpairedBatch
from kliep_tf.translation.losses import global_mean
from kliep_tf.translation.method import Setup
from kliep_tf.translation.methods.cycada.settings import (
    TASK_SEGMENTER,
    CyCADASettings,
)
from kliep_tf.translation.methods.cyclegan.model import CycleGAN
from kliep_tf.translation.methods.cyclegan.objectives import Translations


class TaskSegmenter(Protocol):
    """f_s: a segmenter that learned from the source, and learns no more."""

    def cross_entropy(self, labels: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """Returns float32 [N]: each image's mean over its labelled pixels.

        Args:
            labels: integers [N, H, W, 1], the ignore label where nothing is
                known.
            images: floats [N, H, W, 3] in [-1, 1], to which gradients pass.
        """

    def predict(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the most probable class of each pixel, int32 [N, H, W, 1].

        Args:
            images: floats [N, H, W, 3] in [-1, 1].
        """


class CyCADA(CycleGAN):
    """A CycleGAN with both semantic losses.

    `train_step` takes a LabelledUnpairedBatch. The segmenter is neither among
    the variables that learn nor among the `trackables`: a run that continues
    reads it from its SavedModel again.
    """

    batch_type = LabelledUnpairedBatch

    def __init__(self, settings: CyCADASettings, setup: Setup):
        """Builds the networks and, if it is needed, loads the segmenter."""
        super().__init__(settings, setup)
        self.settings: CyCADASettings = settings
        self._task_segmenter: TaskSegmenter | None = None
        if settings.semantic_weight:
            self._task_segmenter = setup.handed_in[TASK_SEGMENTER]()

    def _generator_losses(
        self, batch: LabelledUnpairedBatch, translations: Translations
    ) -> dict[str, tf.Tensor]:
        losses = super()._generator_losses(batch, translations)
        if self._task_segmenter is None:
            return losses
        semantic = functools.partial(
            semantic_losses,
            self._task_segmenter,
            batch,
            translations,
            weight=self.settings.semantic_weight,
            global_batch_size=self.setup.global_batch_size,
        )
        return {**losses, **self._after_warmup(semantic)}

    def _after_warmup(
        self, semantic: Callable[[], dict[str, tf.Tensor]]
    ) -> dict[str, tf.Tensor]:
        """Returns both terms, zeros while the warm-up lasts."""
        warmup = self.settings.semantic_warmup_steps
        if not warmup:
            return semantic()
        zero = tf.zeros([])
        # The steps before this one: the optimizer has not counted it yet.
        over = self.generator_optimizer.iterations >= warmup
        if self.setup.jit_compile:
            # In a branch XLA does not know the sizes of gradients, and has no
            # convolution of unknown sizes: the terms are computed in any case.
            return {
                name: tf.where(over, loss, zero)
                for name, loss in semantic().items()
            }
        return tf.cond(
            over,
            semantic,
            lambda: {"semantic/source": zero, "semantic/target": zero},
        )


def semantic_losses(
    segmenter: TaskSegmenter,
    batch: LabelledUnpairedBatch,
    translations: Translations,
    *,
    weight: float,
    global_batch_size: int,
) -> dict[str, tf.Tensor]:
    """Returns both semantic losses, this replica's parts of global means.

    Each image's mean cross-entropy, times its importance: of f_s(g_t(x_s))
    against the label of x_s, and of f_s(g_s(x_t)) against the most probable
    classes of f_s(x_t). That is CyCADA's eq. 4, with labels where they exist.

    Args:
        segmenter: f_s.
        batch: real images, labels and weights.
        translations: what the generators made of the images.
        weight: of both losses.
        global_batch_size: images of each domain in a step, on all replicas.
    """
    seen = segmenter.predict(batch.target)
    labels = tf.concat([tf.cast(batch.source_label, seen.dtype), seen], 0)
    fakes = tf.concat([translations.fake_target, translations.fake_source], 0)
    of_source, of_target = tf.split(segmenter.cross_entropy(labels, fakes), 2)
    return {
        "semantic/source": weight
        * global_mean(of_source, batch.source_weight, global_batch_size),
        "semantic/target": weight
        * global_mean(of_target, batch.target_weight, global_batch_size),
    }
