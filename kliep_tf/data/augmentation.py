"""Random augmentation of training images: scale, crop, flip, colours."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from kliep_tf.data import images
from kliep_tf.data.class_sets import IGNORE_LABEL
from kliep_tf.data.index import RecordIndex, image_sizes
from kliep_tf.errors import UserError

# Of an example's seed; crop, flip and colours are split off the same one.
SCALE_STREAM = 3
# 0.29 x 100 is a little below 29.
_ROUNDING = 1e-6
# Mid-grey: 0 once images are in [-1, 1].
_PADDING_COLOR = 127


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What happens to an image on its way to the network.

    Attributes:
        image_size: (height, width) to resize to, or None to keep the size.
        crop_size: (height, width) of a random window, or None for all of it.
        flip: mirror every other image, at random.
        color_jitter: strength of `images.random_colors`; 0 is none.
        min_scale: least factor that sizes are multiplied with before the crop.
        max_scale: largest such factor; it is uniform between the two.
        pads: images that a scale makes smaller than the crop are padded on
            the right and below, grey and with `ignore_label`. Without it such
            scales are an error.
        ignore_label: of the labels' ClassSet.
    """

    image_size: tuple[int, int] | None = None
    crop_size: tuple[int, int] | None = None
    flip: bool = False
    color_jitter: float = 0.0
    min_scale: float = 1.0
    max_scale: float = 1.0
    pads: bool = False
    ignore_label: int = IGNORE_LABEL

    @property
    def rescales(self) -> bool:
        """Whether sizes before the crop are random."""
        return (self.min_scale, self.max_scale) != (1.0, 1.0)

    def without_chance(self) -> "Augmentation":
        """Returns the same at one scale, unmirrored and in true colours."""
        scale = math.sqrt(self.min_scale * self.max_scale)
        return dataclasses.replace(
            self, flip=False, color_jitter=0.0, min_scale=scale, max_scale=scale
        )

    def __call__(
        self, image: tf.Tensor, label: tf.Tensor | None, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns the augmented image and, if given, its label.

        Args:
            image: uint8 [H, W, 3].
            label: uint8 [H, W, 1], or None.
            seed: int [2].
        """
        crop_seed, flip_seed, color_seed = tf.unstack(tf.random.split(seed, 3))
        size = self._size(image, seed)
        if size is not None:
            image = images.resize_image(image, size)
            if label is not None:
                label = images.resize_label(label, size)
        if label is not None:
            # A window cut out of both would show two places.
            tf.debugging.assert_equal(
                tf.shape(image)[:2],
                tf.shape(label)[:2],
                "expected a label of its image's size, found another",
            )
        tensors = [image] if label is None else [image, label]
        if self.crop_size:
            if self.pads:
                fills = (_PADDING_COLOR, self.ignore_label)
                tensors = [
                    _pad(tensor, self.crop_size, fill)
                    for tensor, fill in zip(tensors, fills, strict=False)
                ]
            tensors = images.random_crop(tensors, self.crop_size, crop_seed)
        if self.flip:
            tensors = images.random_flip(tensors, flip_seed)
        image = tensors[0]
        if self.color_jitter:
            image = images.random_colors(image, self.color_jitter, color_seed)
        return image, None if label is None else tensors[1]

    def _size(
        self, image: tf.Tensor, seed: tf.Tensor
    ) -> tuple[int, int] | tf.Tensor | None:
        """Returns the size to resize to, None to keep the image's."""
        if not self.rescales:
            return self.image_size
        return images.random_size(
            self.image_size or tf.shape(image)[:2],
            (self.min_scale, self.max_scale),
            tf.random.fold_in(seed, SCALE_STREAM),
        )


def check_sizes(
    index: RecordIndex, augmentation: Augmentation, records_flag: str
) -> None:
    """Raises a UserError if some image does not fit the augmentation.

    Sizes must be equal to be batched, and no smaller than the crop: at the
    least scale, or at the largest where smaller ones are padded.
    """
    low, high = augmentation.min_scale, augmentation.max_scale
    scales = f"--min_scale={low} --max_scale={high}"
    if not 0 < low <= high:
        raise UserError(f"{scales}: expected 0 < min_scale <= max_scale")
    if augmentation.rescales and augmentation.crop_size is None:
        raise UserError(
            f"{scales}: expected --crop_height and --crop_width too, since "
            "images of different sizes make no batch"
        )
    sizes = (
        {augmentation.image_size}
        if augmentation.image_size
        else image_sizes(index)
    )
    if augmentation.crop_size is not None:
        _check_crop(sizes, augmentation.crop_size, augmentation, records_flag)
    elif len(sizes) > 1:
        shown = ", ".join(f"{h}x{w}" for h, w in sorted(sizes)[:3])
        raise UserError(
            f"--{records_flag}: expected images of one size, found {shown};"
            " set --image_height and --image_width"
        )


def _check_crop(
    sizes: set[tuple[int, int]],
    crop_size: tuple[int, int],
    augmentation: Augmentation,
    records_flag: str,
) -> None:
    crop_height, crop_width = crop_size
    name = "max_scale" if augmentation.pads else "min_scale"
    scale = getattr(augmentation, name)
    for height, width in sorted(sizes):
        scaled_height, scaled_width = (
            math.floor(side * scale + _ROUNDING) for side in (height, width)
        )
        if scaled_height < crop_height or scaled_width < crop_width:
            at = f" at --{name}={scale}" if augmentation.rescales else ""
            raise UserError(
                f"--crop_height={crop_height} --crop_width={crop_width}: "
                f"expected a crop no larger than the images of "
                f"--{records_flag}{at}, found images of {height}x{width}"
            )


def _pad(tensor: tf.Tensor, size: tuple[int, int], fill: int) -> tf.Tensor:
    """Pads [H, W, C] on the right and below to at least `size`."""
    lacking = tf.maximum(tf.constant(size) - tf.shape(tensor)[:2], 0)
    paddings = [[0, lacking[0]], [0, lacking[1]], [0, 0]]
    return tf.pad(tensor, paddings, constant_values=np.uint8(fill))
