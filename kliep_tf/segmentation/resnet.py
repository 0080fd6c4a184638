"""ResNet-101 at output stride 8, as DeepLabv2 uses it.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016. Layers
bear the names of torchvision's code, and the stride stands on the 3x3
convolutions, as there.
"""

import keras
import tensorflow as tf

from kliep_tf.segmentation.layers import LayerFactory, to_imagenet_scale

# (blocks, middle channels, stride, dilation) of layer1 to layer4. The last two
# are dilated instead of strided, every block of them alike.
_LEVELS = ((3, 64, 1, 1), (4, 128, 2, 1), (23, 256, 1, 2), (3, 512, 1, 4))
_EXPANSION = 4


def resnet_101(make: LayerFactory) -> keras.Model:
    """Returns the backbone: 42,500,160 parameters, 2,048 channels out.

    The outputs of its stages are the layers named layer1 to layer4.

    Images of height 8k + 1 give features of height k + 1.

    Args:
        make: the layers' common properties.
    """
    image = keras.Input((None, None, 3), dtype="float32")
    x = to_imagenet_scale(image, make.dtype)
    x = make.convolve(x, 64, 7, "conv1", strides=2)
    x = make.relu(make.normalize(x, "bn1"))
    x = _pool(make, x)
    for number, level in enumerate(_LEVELS, start=1):
        blocks, channels, stride, dilation = level
        for block in range(blocks):
            x = _bottleneck(
                make,
                x,
                channels,
                f"layer{number}.{block}",
                stride=stride if block == 0 else 1,
                dilation=dilation,
                output_name=f"layer{number}" if block == blocks - 1 else None,
            )
    return keras.Model(image, x, name="backbone")


def _pool(make: LayerFactory, x: tf.Tensor) -> tf.Tensor:
    """3x3 max pooling of stride 2 that rounds sizes up, as Caffe's does.

    After a ReLU, zeros around the image are as good as minus infinity.
    """
    x = keras.layers.ZeroPadding2D(((1, 2), (1, 2)), dtype=make.dtype)(x)
    return keras.layers.MaxPooling2D(3, 2, dtype=make.dtype)(x)


def _bottleneck(
    make: LayerFactory,
    x: tf.Tensor,
    channels: int,
    name: str,
    *,
    stride: int,
    dilation: int,
    output_name: str | None,
) -> tf.Tensor:
    """1x1, 3x3 and 1x1 convolutions, added to their input."""
    found = make.convolve(x, channels, 1, f"{name}.conv1")
    found = make.relu(make.normalize(found, f"{name}.bn1"))
    found = make.convolve(
        found, channels, 3, f"{name}.conv2", strides=stride, dilation=dilation
    )
    found = make.relu(make.normalize(found, f"{name}.bn2"))
    found = make.convolve(found, channels * _EXPANSION, 1, f"{name}.conv3")
    found = make.normalize(found, f"{name}.bn3")
    if stride != 1 or x.shape[-1] != channels * _EXPANSION:
        x = make.convolve(
            x,
            channels * _EXPANSION,
            1,
            f"{name}.downsample.0",
            strides=stride,
        )
        x = make.normalize(x, f"{name}.downsample.1")
    return make.relu(make.add(found, x), output_name)
