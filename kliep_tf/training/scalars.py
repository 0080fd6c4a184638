"""Every scalar of the boards: what it is, its unit, which way is good.

TensorBoard shows the sentence beside the curve's name.
"""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

_CYCLE = (
    "mean absolute difference between {0} images in [-1, 1] and what comes "
    "back from the other domain, times importance and --cycle_weight; lower is "
    "better."
)
_IDENTITY = (
    "mean absolute difference between {0} images in [-1, 1] and what the "
    "generator of {0} images makes of them, times importance, --cycle_weight "
    "and --identity_weight; lower is better."
)
_GENERATOR = (
    "adversarial loss of this generator by --adversarial_loss, times "
    "importance; lower is better, for a fixed discriminator."
)
_DISCRIMINATOR = (
    "half the loss of the discriminator of {0} images by --adversarial_loss, "
    "times importance; near 0 for long it has won, and its generator learns "
    "no more."
)
_ACCURACY = (
    "share (0 to 1) of patches that the discriminator of {0} images judges "
    "rightly; 0.5 is an even game, 1 for long is a lost generator."
)
_NORM = (
    "Euclidean norm of the gradients of both {0}, over the global batch; "
    "steady is good, growth without end is not."
)
_RATE = (
    "step size of Adam for both {0}; constant, then falling to 0: there is "
    "no better way."
)
_SHARE = (
    "effective sample size as a share (0 to 1) of the {0} images; higher "
    "means that less rests on few of them."
)
_LARGEST = (
    "largest training weight of a {0} image, the mean being 1; lower means "
    "that less rests on a single one."
)

# By tag; one that ends in "/" is for all that begin so.
DESCRIPTIONS = {
    "speed/images_per_second": (
        "training images a second (of a CycleGAN, of each domain) on all "
        "replicas; higher is better."
    ),
    "generator/source_to_target": _GENERATOR,
    "generator/target_to_source": _GENERATOR,
    **{
        f"{kind}/{domain}": text.format(domain)
        for kind, text in (
            ("cycle", _CYCLE),
            ("identity", _IDENTITY),
            ("discriminator", _DISCRIMINATOR),
        )
        for domain in ("source", "target")
    },
    **{
        tag.format(domain): text.format(domain)
        for tag, text in (
            ("accuracy/{0}_discriminator", _ACCURACY),
            ("weights/{0}_effective_share", _SHARE),
            ("weights/{0}_largest", _LARGEST),
        )
        for domain in ("source", "target")
    },
    **{
        f"{kind}/{network}": text.format(f"{network}s")
        for kind, text in (("gradient_norm", _NORM), ("learning_rate", _RATE))
        for network in ("generator", "discriminator")
    },
    "consistency/mean_iou": (
        "mean IoU (0 to 1) between the labels of fixed source images and what "
        "the segmenter sees in their translations; higher is better."
    ),
    "consistency/pixel_accuracy": (
        "share (0 to 1) of labelled pixels of fixed source images that the "
        "segmenter still sees as labelled in their translations; higher is "
        "better."
    ),
    "consistency/sky_kept": (
        "share (0 to 1) of the sky's pixels still seen as sky after "
        "translation; higher is better."
    ),
    "consistency/sky_to_vegetation": (
        "share (0 to 1) of the sky's pixels seen as vegetation after "
        "translation; lower is better."
    ),
    "consistency_by_class/": (
        "share (0 to 1) of this class's labelled pixels still seen as it after "
        "translation; higher is better."
    ),
    "loss": (
        "mean cross-entropy of a labelled pixel in nats, images by their "
        "weights; lower is better."
    ),
    "pixel_accuracy": (
        "share (0 to 1) of labelled pixels of the training batches that are "
        "predicted rightly; higher is better."
    ),
    "learning_rate": (
        "step size of the optimizer by --schedule: there is no better way."
    ),
    "val/mean_iou": (
        "mean IoU (0 to 1) of the classes that occur in --val_records; higher "
        "is better."
    ),
    "val/pixel_accuracy": (
        "share (0 to 1) of labelled pixels of --val_records that are predicted "
        "rightly; higher is better."
    ),
    "val_iou/": (
        "IoU (0 to 1) of this class in --val_records; higher is better."
    ),
}


class ScalarWriter:
    """Writes scalars; says of each what it is once, not at every point."""

    def __init__(self):
        """Begins a board; a description belongs to a tag's first point."""
        self._described = set()

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Writes a point of each curve, by tag, to the default writer."""
        for tag, value in figures.items():
            text = None if tag in self._described else description_of(tag)
            self._described.add(tag)
            tf.summary.scalar(tag, np.float32(value), step, description=text)


def description_of(tag: str) -> str | None:
    """Returns the sentence for a tag, None for one that the table lacks."""
    family = tag.rpartition("/")[0] + "/"
    text = DESCRIPTIONS.get(tag, DESCRIPTIONS.get(family))
    return text and text[0].upper() + text[1:]
