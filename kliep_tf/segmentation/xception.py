"""Xception-65, as DeepLabv3+ uses it.

Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic
Image Segmentation", ECCV 2018, after Chollet's Xception. Layers bear the names
of tensorflow/models, `research/deeplab/core/xception.py`, dots for slashes.
"""

from typing import NamedTuple

import keras
import tensorflow as tf

from kliep_tf.segmentation.layers import LayerFactory


class _Block(NamedTuple):
    name: str
    channels: tuple[int, int, int]
    units: int
    stride: int
    skip: str  # "conv", "sum" or "none"


_BLOCKS = (
    _Block("entry_flow.block1", (128, 128, 128), 1, 2, "conv"),
    _Block("entry_flow.block2", (256, 256, 256), 1, 2, "conv"),
    _Block("entry_flow.block3", (728, 728, 728), 1, 2, "conv"),
    _Block("middle_flow.block1", (728, 728, 728), 16, 1, "sum"),
    _Block("exit_flow.block1", (728, 1024, 1024), 1, 2, "conv"),
    _Block("exit_flow.block2", (1536, 1536, 2048), 1, 1, "none"),
)
# What the decoder takes: stride 4, before the block's own stride.
_LOW_LEVEL = "entry_flow.block2.unit_1.xception_module.separable_conv2"


def xception_65(make: LayerFactory, output_stride: int) -> keras.Model:
    """Returns the backbone: 37,867,312 parameters.

    Its outputs are low-level features of stride 4 (256 channels) and features
    of the output stride (2,048 channels).

    Args:
        make: the layers' common properties.
        output_stride: 8, 16 or 32; strides beyond it become dilations.
    """
    image = keras.Input((None, None, 3), dtype="float32")
    x = make.convolve(image, 32, 3, "entry_flow.conv1_1", strides=2)
    x = make.relu(make.normalize(x, "entry_flow.conv1_1.BatchNorm"))
    x = make.convolve(x, 64, 3, "entry_flow.conv1_2")
    x = make.relu(make.normalize(x, "entry_flow.conv1_2.BatchNorm"))
    stride, dilation = 2, 1
    taps: dict[str, tf.Tensor] = {}
    for block in _BLOCKS:
        for number in range(1, block.units + 1):
            # Once the output stride is reached, dilate instead.
            strided = stride < output_stride
            x = _module(
                make,
                x,
                block,
                f"{block.name}.unit_{number}.xception_module",
                stride=block.stride if strided else 1,
                dilation=dilation,
                taps=taps,
            )
            if strided:
                stride *= block.stride
            else:
                dilation *= block.stride
    return keras.Model(image, [taps[_LOW_LEVEL], x], name="backbone")


def convolve_separably(
    make: LayerFactory,
    x: tf.Tensor,
    filters: int,
    name: str,
    *,
    strides: int = 1,
    dilation: int = 1,
    activate: bool = True,
    initializers: tuple = (None, None),
) -> tf.Tensor:
    """Depthwise 3x3, then 1x1, each with batch normalisation of its own.

    Args:
        make: the layers' common properties.
        x: [N, H, W, C].
        filters: channels of the result.
        name: the depthwise layer is `{name}_depthwise`.
        strides: of the depthwise convolution.
        dilation: of the depthwise convolution.
        activate: a ReLU after each of the two.
        initializers: of the depthwise and of the 1x1 kernel.
    """
    x = make.convolve_depthwise(
        x,
        3,
        f"{name}_depthwise",
        strides=strides,
        dilation=dilation,
        initializer=initializers[0],
    )
    x = make.normalize(x, f"{name}_depthwise.BatchNorm")
    x = make.relu(x) if activate else x
    x = make.convolve(
        x, filters, 1, f"{name}_pointwise", initializer=initializers[1]
    )
    x = make.normalize(x, f"{name}_pointwise.BatchNorm")
    return make.relu(x) if activate else x


def _module(
    make: LayerFactory,
    x: tf.Tensor,
    block: _Block,
    name: str,
    *,
    stride: int,
    dilation: int,
    taps: dict[str, tf.Tensor],
) -> tf.Tensor:
    """Three separable convolutions, the last one strided, and a shortcut."""
    found = x
    for number, channels in enumerate(block.channels, start=1):
        # The last block alone has its ReLUs behind the convolutions.
        activate = block.skip == "none"
        found = convolve_separably(
            make,
            found if activate else make.relu(found),
            channels,
            f"{name}.separable_conv{number}",
            strides=stride if number == 3 else 1,
            dilation=dilation,
            activate=activate,
        )
        taps[f"{name}.separable_conv{number}"] = found
    if block.skip == "none":
        return found
    if block.skip == "conv":
        x = make.convolve(
            x, block.channels[-1], 1, f"{name}.shortcut", strides=stride
        )
        x = make.normalize(x, f"{name}.shortcut.BatchNorm")
    return make.add(found, x)
