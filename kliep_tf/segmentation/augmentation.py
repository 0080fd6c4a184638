"""Random scale and padding, in front of the crop, flip and colours of all."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from kliep_tf.data import images
from kliep_tf.data.augmentation import (
    SCALE_STREAM,
    Augmentation,
    check_sizes,
)
from kliep_tf.data.datasets import IGNORE_LABEL
from kliep_tf.data.index import RecordIndex, image_sizes
from kliep_tf.errors import UserError

# Mid-grey: 0 once images are in [-1, 1].
_PADDING_COLOR = 127


@dataclasses.dataclass(frozen=True)
class SegmentationAugmentation:
    """What happens to an image and its label on their way to the network.

    Attributes:
        base: resizing, crop, flip and colours.
        min_scale: least factor that sizes are multiplied with before the crop.
        max_scale: largest such factor; it is uniform between the two.
    """

    base: Augmentation
    min_scale: float = 1.0
    max_scale: float = 1.0

    def __call__(
        self, image: tf.Tensor, label: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the augmented uint8 image [H, W, 3] and label [H, W, 1].

        What a crop larger than the scaled image adds is grey and ignored.
        """
        base = self.base
        if base.crop_size:
            image, label = self._resize(image, label, seed)
            image, label = _pad(image, label, base.crop_size)
            base = dataclasses.replace(base, image_size=None)
        return base(image, label, seed)

    @property
    def rescales(self) -> bool:
        """Whether sizes are random."""
        return (self.min_scale, self.max_scale) != (1.0, 1.0)

    def without_chance(self) -> "SegmentationAugmentation":
        """Returns the same at one scale, unmirrored and in true colours."""
        base = dataclasses.replace(self.base, flip=False, color_jitter=0.0)
        scale = math.sqrt(self.min_scale * self.max_scale)
        return SegmentationAugmentation(base, scale, scale)

    def check(self, index: RecordIndex, records_flag: str) -> None:
        """Raises a UserError if images do not fit.

        Sizes must be equal to be batched, and no smaller than the crop at the
        largest scale.
        """
        if not self.rescales:
            check_sizes(index, self.base, records_flag)
            return
        if not 0 < self.min_scale <= self.max_scale:
            raise UserError(
                f"--min_scale={self.min_scale} --max_scale={self.max_scale}: "
                "expected 0 < min_scale <= max_scale"
            )
        if self.base.crop_size is None:
            raise UserError(
                f"--min_scale={self.min_scale} --max_scale={self.max_scale}: "
                "expected --crop_height and --crop_width too, since images of "
                "different sizes make no batch"
            )
        sizes = {self.base.image_size} - {None} or image_sizes(index)
        for height, width in sorted(sizes):
            self._check_crop(height, width, records_flag)

    def _check_crop(self, height: int, width: int, records_flag: str) -> None:
        crop_height, crop_width = self.base.crop_size
        if (
            round(height * self.max_scale) < crop_height
            or round(width * self.max_scale) < crop_width
        ):
            raise UserError(
                f"--crop_height={crop_height} --crop_width={crop_width}: "
                f"expected a crop no larger than the images of "
                f"--{records_flag} at --max_scale={self.max_scale}, found "
                f"images of {height}x{width}"
            )

    def _resize(
        self, image: tf.Tensor, label: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Brings both to the size that is asked for, times the scale."""
        size = self.base.image_size
        if self.rescales:
            size = images.random_size(
                size or tf.shape(image)[:2],
                (self.min_scale, self.max_scale),
                tf.random.fold_in(seed, SCALE_STREAM),
            )
        elif size is None:
            return image, label
        return images.resize_image(image, size), images.resize_label(
            label, size
        )


def _pad(
    image: tf.Tensor, label: tf.Tensor, size: tuple[int, int]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Pads on the right and below to at least `size`."""
    lacking = tf.maximum(tf.constant(size) - tf.shape(image)[:2], 0)
    paddings = [[0, lacking[0]], [0, lacking[1]], [0, 0]]
    return (
        tf.pad(image, paddings, constant_values=np.uint8(_PADDING_COLOR)),
        tf.pad(label, paddings, constant_values=np.uint8(IGNORE_LABEL)),
    )
