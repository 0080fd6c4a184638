"""A generator on full frames in bounded memory: tiles, but no seams.

Instance normalisation takes the mean and variance of a whole image, so tiles
that are translated one by one differ where they meet, however much they
overlap. Here every convolution runs over the whole image, tile by tile, before
the normalisation after it takes the statistics of all its tiles together: the
result is the whole image's, up to rounding.

A tile is a strip of rows across the whole width; the rows that a convolution
needs beyond it are its neighbours'. Activations are kept between layers at
half and quarter resolution. Those at full resolution, the largest and the
cheapest to compute, are computed a second time instead.
"""

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import keras
import tensorflow as tf

from kliep_tf.cyclegan.layers import InstanceNormalization, ReflectionPadding

_CONVOLVING = (
    ReflectionPadding,
    keras.layers.UpSampling2D,
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
)
_ACTIVATING = (keras.layers.ReLU, keras.layers.Activation)


class TiledGenerator:
    """Computes what a generator of `make_generator` does, tile by tile."""

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
            tile_height: int32 [], rows of a tile, at each resolution: a row
                takes as much memory at half the width and twice the channels.

        Returns:
            float32 [1, H, W, 3] in [-1, 1].
        """
        activations = [_stored(image)]
        scale = Fraction(1)
        for stage in self._stages:
            scale *= stage.scale
            rows = stage.convolve(activations[-1])
            if stage.norm is not None:
                if scale < 1:
                    rows, moments = _store_and_measure(rows, tile_height)
                else:
                    moments = _measure(rows, tile_height)
                rows = _normalized(rows, moments, stage.norm.epsilon)
            if stage.ends_block:
                # Stored, or every row taken later would be a sum over blocks.
                rows = _store(_sum(activations[-2], rows), tile_height)
            if stage.activation is not None:
                rows = _mapped(stage.activation, rows)
            activations.append(rows)
        return _store(rows, tile_height).take(0, rows.height)


class _Rows(NamedTuple):
    """An activation [1, H, W, C]: stored, or computed where it is taken.

    Attributes:
        height: int32 [], H.
        take: returns rows `start` to `stop`, [1, stop - start, W, C].
    """

    height: tf.Tensor
    take: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class _Moments(NamedTuple):
    mean: tf.Tensor  # float32 [C]
    variance: tf.Tensor  # float32 [C]


@dataclasses.dataclass
class _Stage:
    """Padding and a convolution, and what comes before the next of them.

    Attributes:
        layers: padding, upsampling and convolution.
        norm: the normalisation, if there is one.
        ends_block: the input of the stage before is added.
        activation: applied last, if there is one.
    """

    layers: list[keras.Layer]
    norm: InstanceNormalization | None = None
    ends_block: bool = False
    activation: keras.Layer | None = None

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
        """Rows of input beyond a tile's own that its output depends on."""
        reach = self.layers[-1].kernel_size[0] // 2
        # Whole strides only: a strip's first row must not change parity.
        stride = self.scale.denominator
        return -(-reach // stride) * stride

    def convolve(self, rows: _Rows) -> _Rows:
        """Returns the convolution, computed where it is taken."""
        up, down = self.scale.numerator, self.scale.denominator

        def take(start, stop):
            first = tf.maximum(start // up * down - self.halo, 0)
            last = -(-stop // up) * down + self.halo
            output = rows.take(first, tf.minimum(last, rows.height))
            for layer in self.layers:
                output = layer(output)
            # The strip's own padding reached the halo alone, which goes; at
            # the image's border there is no halo, and the padding is right.
            skipped = start - first * up // down
            return output[:, skipped : skipped + stop - start]

        return _Rows(rows.height * up // down, take)


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
    return stages


def _stored(values: tf.Tensor) -> _Rows:
    return _Rows(tf.shape(values)[1], lambda start, stop: values[:, start:stop])


def _mapped(function: Callable, rows: _Rows) -> _Rows:
    return _Rows(
        rows.height, lambda start, stop: function(rows.take(start, stop))
    )


def _sum(first: _Rows, second: _Rows) -> _Rows:
    return _Rows(
        first.height,
        lambda start, stop: first.take(start, stop) + second.take(start, stop),
    )


def _normalized(rows: _Rows, moments: _Moments, epsilon: float) -> _Rows:
    factor = tf.math.rsqrt(moments.variance + epsilon)
    return _mapped(lambda values: (values - moments.mean) * factor, rows)


def _store(rows: _Rows, tile_height: tf.Tensor) -> _Rows:
    (tiles,) = _over_tiles(lambda values: [values[0]], rows, tile_height)
    return _stored(tiles.concat()[None])


def _measure(rows: _Rows, tile_height: tf.Tensor) -> _Moments:
    moments = _over_tiles(_tile_moments, rows, tile_height)
    return _pooled(*(array.stack() for array in moments))


def _store_and_measure(
    rows: _Rows, tile_height: tf.Tensor
) -> tuple[_Rows, _Moments]:
    tiles, *moments = _over_tiles(
        lambda values: [values[0], *_tile_moments(values)], rows, tile_height
    )
    stored = _stored(tiles.concat()[None])
    return stored, _pooled(*(array.stack() for array in moments))


def _over_tiles(
    function: Callable[[tf.Tensor], list[tf.Tensor]],
    rows: _Rows,
    tile_height: tf.Tensor,
) -> list[tf.TensorArray]:
    """Returns what `function` makes of each tile, one array a result.

    Args:
        function: of float32 [1, h, W, C], h up to `tile_height`.
        rows: taken tile by tile, one at a time.
        tile_height: int32 [].
    """
    number = -(-rows.height // tile_height)

    def add_tile(tile, arrays):
        start = tile * tile_height
        stop = tf.minimum(start + tile_height, rows.height)
        results = function(rows.take(start, stop))
        return tile + 1, [
            array.write(tile, result)
            for array, result in zip(arrays, results, strict=True)
        ]

    arrays = [
        tf.TensorArray(
            tf.float32,
            number,
            infer_shape=False,
            element_shape=_any_height(example.shape),
        )
        for example in function(rows.take(0, 1))
    ]
    _, arrays = tf.while_loop(
        lambda tile, _: tile < number,
        add_tile,
        (0, arrays),
        parallel_iterations=1,
    )
    return arrays


def _any_height(shape: tf.TensorShape) -> tf.TensorShape:
    return tf.TensorShape([None, *shape[1:]]) if shape.rank == 3 else shape


def _tile_moments(values: tf.Tensor) -> list[tf.Tensor]:
    mean, variance = tf.nn.moments(values, [0, 1, 2])
    return [tf.cast(tf.size(values), tf.float32), mean, variance]


def _pooled(
    sizes: tf.Tensor, means: tf.Tensor, variances: tf.Tensor
) -> _Moments:
    """Returns the moments of the union of tiles from those of each.

    Args:
        sizes: float32 [T], in any unit.
        means: float32 [T, C].
        variances: float32 [T, C].
    """
    shares = (sizes / tf.reduce_sum(sizes))[:, None]
    mean = tf.reduce_sum(shares * means, 0)
    spread = variances + tf.square(means - mean)
    return _Moments(mean, tf.reduce_sum(shares * spread, 0))
