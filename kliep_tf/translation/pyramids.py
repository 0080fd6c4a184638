"""Images at several scales, each half of the one before."""

from typing import Any

import keras
import tensorflow as tf

# What a pixel and its two neighbours count, and what stands for neighbours
# beyond the border.
_FILTERS = {
    # OpenCV's Gaussian of 3 pixels; the border pixel stands for its neighbour.
    "gaussian": ((1.0, 2.0, 1.0), "SYMMETRIC"),
    # The mean of those that exist.
    "box": ((1.0, 1.0, 1.0), "CONSTANT"),
}
FILTERS = tuple(_FILTERS)


@keras.saving.register_keras_serializable("kliep_tf")
class HalfSize(keras.layers.Layer):
    """Blurs an image over 3x3 pixels and takes every second pixel.

    The first pixel is always taken: [N, H, W, C] becomes [N, ceil(H / 2),
    ceil(W / 2), C].
    """

    def __init__(self, filter: str, **kwargs: Any):
        """Takes the kind of blur, one of FILTERS."""
        super().__init__(**kwargs)
        self.filter = filter

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Halves [N, H, W, C]."""
        counts, border = _FILTERS[self.filter]
        # Beyond the border CONSTANT has zeros, which must not count.
        total = _filtered(tf.ones_like(inputs[:1, :, :, :1]), counts, border)
        return _filtered(inputs, counts, border) / total

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the halved shape."""
        batch, *sides, channels = input_shape
        height, width = (
            None if side is None else (side + 1) // 2 for side in sides
        )
        return (batch, height, width, channels)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "filter": self.filter}


def make_pyramid(
    images: tf.Tensor, num_scales: int, filter: str, dtype: str
) -> list[tf.Tensor]:
    """Returns symbolic images [N, H, W, C] at full size, at half, and so on.

    Args:
        images: of a functional model.
        num_scales: 1 for the images alone.
        filter: of `HalfSize`.
        dtype: a Keras dtype policy.
    """
    scales = [images]
    for _ in range(num_scales - 1):
        scales.append(HalfSize(filter, dtype=dtype)(scales[-1]))
    return scales


def _filtered(
    images: tf.Tensor, counts: tuple[float, ...], border: str
) -> tf.Tensor:
    """Returns every second weighted sum over 3x3 pixels."""
    both = [1, 1]
    padded = tf.pad(images, [[0, 0], both, both, [0, 0]], border)
    rows = sum(
        count * padded[:, start : start - 2 or None : 2]
        for start, count in enumerate(counts)
    )
    return sum(
        count * rows[:, :, start : start - 2 or None : 2]
        for start, count in enumerate(counts)
    )
