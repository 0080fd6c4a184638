"""Runs a generator on large frames strip by strip, without seams.

Instance normalisation takes the mean and variance of a whole image, so strips
that are translated one by one differ where they meet, however much they
overlap. Here every normalisation takes the statistics of all strips together:
the result is the whole image's, up to rounding.

Activations are kept at the lowest resolution alone, that of the residual
blocks: a block's input and one more, each replaced row by row. Those at full
and half resolution are computed anew whenever statistics or results are taken
of what follows them: in all, an eighth more work. So memory grows with the
frame, as two activations at a quarter of height and width do (with 64 filters
128 bytes a pixel of the frame, 256 MiB at 1024x2048), and with the strip's
height times the frame's width. docs/results/translation.md has measurements.
"""

import dataclasses
from fractions import Fraction

import keras
import tensorflow as tf

from kliep_tf.translation.layers import InstanceNormalization, ReflectionPadding
from kliep_tf.translation.tiling.strips import (
    Moments,
    Rows,
    measure,
    overwrite,
    rows_of,
    store,
)

_CONVOLVING = (
    ReflectionPadding,
    keras.layers.UpSampling2D,
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
)
_ACTIVATING = (keras.layers.ReLU, keras.layers.Activation)
# Rows before a block's input and its inner activation. A 3x3 convolution that
# replaces the latter moves it up by one row, so that the strip that comes next
# still finds the row above it.
_SLOT = 1


class TiledGenerator:
    """Computes what a generator of `make_generator` does, strip by strip."""

    def __init__(self, generator: keras.Model):
        """Takes a float32 generator and shares its variables.

        Raises:
            TypeError: some layer is none of those of `make_generator`.
        """
        self._stages = _split_into_stages(generator)

    def __call__(self, image: tf.Tensor, tile_height: tf.Tensor) -> tf.Tensor:
        """Translates one image.

        Args:
            image: float32 [1, H, W, 3] in [-1, 1]; H and W multiples of 4.
            tile_height: int32 [], rows of the image in a strip; at lower
                resolutions a strip has as many fewer rows, at least one.

        Returns:
            float32 [1, H, W, 3] in [-1, 1].
        """
        rows = rows_of(image)
        inputs = [rows]  # of every stage
        for stage in self._stages:
            strip_height = _scaled(tile_height, stage.output_scale)
            rows = stage.convolve(rows)
            if stage.norm is not None:
                rows, moments = _measured(stage, rows, strip_height)
                rows = _normalized(rows, moments, stage.norm.epsilon)
            if stage.ends_block:
                rows, _ = overwrite(inputs[-2].add(rows), strip_height, _SLOT)
            if stage.activation is not None:
                rows = rows.map(stage.activation)
            inputs.append(rows)
        rows, _ = store(rows, strip_height)
        return rows.take(0, rows.height)


@dataclasses.dataclass
class _Stage:
    """Padding and a convolution, and what comes before the next of them.

    Attributes:
        layers: padding, upsampling and convolution.
        norm: the normalisation, if there is one.
        ends_block: the input of the stage before is added.
        activation: applied last, if there is one.
        output_scale: height of the output, by that of the image.
        is_lowest: no other stage's output is lower.
    """

    layers: list[keras.Layer]
    norm: InstanceNormalization | None = None
    ends_block: bool = False
    activation: keras.layers.Layer | None = None
    output_scale: Fraction = Fraction(1)
    is_lowest: bool = False

    @property
    def scale(self) -> Fraction:
        """Height of the output, by that of the input."""
        convolution = self.layers[-1]
        stride = convolution.strides[0]
        if isinstance(convolution, keras.layers.Conv2DTranspose):
            return Fraction(stride)
        for layer in self.layers:
            if isinstance(layer, keras.layers.UpSampling2D):
                return Fraction(layer.size[0])
        return Fraction(1, stride)

    @property
    def halo(self) -> int:
        """Rows of input beyond a strip's own that its output depends on."""
        reach = self.layers[-1].kernel_size[0] // 2
        # Whole strides only: a strip's first row must not change parity.
        stride = self.scale.denominator
        return -(-reach // stride) * stride

    def convolve(self, rows: Rows) -> Rows:
        """Returns the convolution, computed where it is taken."""
        up, down = self.scale.numerator, self.scale.denominator

        def read(
            stored: tf.TensorArray | None, start: tf.Tensor, stop: tf.Tensor
        ) -> tf.Tensor:
            first = tf.maximum(start // up * down - self.halo, 0)
            last = -(-stop // up) * down + self.halo
            last = tf.minimum(last, rows.height)
            strip = _Strip(
                rows.read(stored, first, last),
                first,
                reaches_bottom=last == rows.height,
            )
            for layer in self.layers:
                strip = _apply(layer, strip)
            skipped = start - strip.first
            return strip.values[:, skipped : skipped + stop - start]

        channels = self.layers[-1].filters
        return Rows(rows.height * up // down, channels, rows.stored, read)


@dataclasses.dataclass
class _Strip:
    """Some rows on their way through a stage's layers.

    Attributes:
        values: float32 [1, h, W, C].
        first: int32 [], which row of the whole the first of them is.
        reaches_bottom: bool [], the whole's last row is among them.
    """

    values: tf.Tensor
    first: tf.Tensor
    reaches_bottom: tf.Tensor


def _apply(layer: keras.Layer, strip: _Strip) -> _Strip:
    """Returns rows of what `layer` makes of the whole.

    The rows beside an edge at which more rows would follow are wrong where a
    layer pads by itself, and missing where the padding is a layer.
    """
    if isinstance(layer, ReflectionPadding):
        return _padded(strip, layer.padding)
    first = strip.first
    if isinstance(layer, keras.layers.UpSampling2D):
        first = first * layer.size[0]
    elif isinstance(layer, keras.layers.Conv2DTranspose):
        first = first * layer.strides[0]
    elif layer.padding == "valid":
        first = first + layer.kernel_size[0] // 2
    else:
        first = first // layer.strides[0]
    return _Strip(layer(strip.values), first, strip.reaches_bottom)


def _padded(strip: _Strip, padding: int) -> _Strip:
    """Pads left and right, and at the top and bottom of the whole alone."""
    top = tf.where(strip.first == 0, padding, 0)
    bottom = tf.where(strip.reaches_bottom, padding, 0)
    paddings = [[0, 0], [top, bottom], [padding, padding], [0, 0]]
    values = tf.pad(strip.values, paddings, "REFLECT")
    return _Strip(values, strip.first - top, strip.reaches_bottom)


def _measured(
    stage: _Stage, rows: Rows, strip_height: tf.Tensor
) -> tuple[Rows, Moments]:
    """Returns a stage's convolution, stored at the lowest resolution."""
    if not stage.is_lowest:
        return rows, measure(rows, strip_height)
    if stage.ends_block:
        return overwrite(rows, strip_height, _SLOT - 1)
    return store(rows, strip_height, _SLOT)


def _normalized(rows: Rows, moments: Moments, epsilon: float) -> Rows:
    factor = tf.math.rsqrt(moments.variance + epsilon)
    return rows.map(lambda values: (values - moments.mean) * factor)


def _scaled(tile_height: tf.Tensor, scale: Fraction) -> tf.Tensor:
    return tf.maximum(tile_height * scale.numerator // scale.denominator, 1)


def _split_into_stages(generator: keras.Model) -> list[_Stage]:
    stages: list[_Stage] = []
    waiting: list[keras.Layer] = []
    for layer in generator.layers[1:]:  # without the InputLayer
        if isinstance(layer, _CONVOLVING):
            waiting.append(layer)
            if hasattr(layer, "kernel"):
                stages.append(_Stage(waiting))
                waiting = []
        elif isinstance(layer, InstanceNormalization):
            stages[-1].norm = layer
        elif isinstance(layer, keras.layers.Add):
            stages[-1].ends_block = True
        elif isinstance(layer, _ACTIVATING):
            stages[-1].activation = layer
        else:
            raise TypeError(f"{layer}: not known how to tile this layer")
    _find_scales(stages)
    return stages


def _find_scales(stages: list[_Stage]) -> None:
    scale = Fraction(1)
    for stage in stages:
        scale *= stage.scale
        stage.output_scale = scale
    lowest = min(stage.output_scale for stage in stages)
    for stage in stages:
        stage.is_lowest = stage.output_scale == lowest
