"""DRN-C-26, a dilated residual network.

Yu, Koltun and Funkhouser, "Dilated Residual Networks", CVPR 2017, with the 1x1
head that its authors segment Cityscapes with. Layers bear the names of the
authors' PyTorch code.
"""

import keras
import tensorflow as tf

from kliep_tf.segmentation.layers import (
    LayerFactory,
    logits_of_size,
    to_imagenet_scale,
)

# (blocks, channels, stride, dilation, residual) of layer1 to layer8.
_LEVELS = (
    (1, 16, 1, 1, True),
    (1, 32, 2, 1, True),
    (2, 64, 2, 1, True),
    (2, 128, 2, 1, True),
    (2, 256, 1, 2, True),
    (2, 512, 1, 4, True),
    (1, 512, 1, 2, False),
    (1, 512, 1, 1, False),
)


def drn_c_26(
    num_classes: int, seed: int, dtype: str = "float32"
) -> keras.Model:
    """Returns DRN-C-26 with its head: 20,623,331 parameters at 19 classes.

    Output stride 8; the logits are brought to the image's size bilinearly.

    Args:
        num_classes: number of logits a pixel.
        seed: of the initial weights.
        dtype: a Keras dtype policy, "float32" or "mixed_bfloat16".
    """
    make = LayerFactory(seed, dtype, initializer=_fan_out_normal)
    image = keras.Input((None, None, 3), dtype="float32")
    features = _backbone(make)(image)
    logits = make.convolve(features, num_classes, 1, "seg", use_bias=True)
    return keras.Model(image, logits_of_size(logits, image), name="drn_c_26")


def _fan_out_normal(seed: int) -> keras.initializers.Initializer:
    # Standard deviation sqrt(2 / (kernel area * filters)).
    return keras.initializers.VarianceScaling(
        2.0, "fan_out", "untruncated_normal", seed=seed
    )


def _backbone(make: LayerFactory) -> keras.Model:
    image = keras.Input((None, None, 3), dtype="float32")
    x = to_imagenet_scale(image, make.dtype)
    x = make.convolve(x, 16, 7, "conv1")
    x = make.relu(make.normalize(x, "bn1"))
    for number, level in enumerate(_LEVELS, start=1):
        blocks, channels, stride, dilation, residual = level
        for block in range(blocks):
            x = _basic_block(
                make,
                x,
                channels,
                f"layer{number}.{block}",
                stride=stride if block == 0 else 1,
                dilation=dilation,
                residual=residual,
            )
    return keras.Model(image, x, name="backbone")


def _basic_block(
    make: LayerFactory,
    x: tf.Tensor,
    channels: int,
    name: str,
    *,
    stride: int,
    dilation: int,
    residual: bool,
) -> tf.Tensor:
    """Two 3x3 convolutions, added to their input where `residual`."""
    found = make.convolve(
        x, channels, 3, f"{name}.conv1", strides=stride, dilation=dilation
    )
    found = make.relu(make.normalize(found, f"{name}.bn1"))
    found = make.convolve(
        found, channels, 3, f"{name}.conv2", dilation=dilation
    )
    found = make.normalize(found, f"{name}.bn2")
    if not residual:
        return make.relu(found)
    if stride != 1 or x.shape[-1] != channels:
        x = make.convolve(
            x, channels, 1, f"{name}.downsample.0", strides=stride
        )
        x = make.normalize(x, f"{name}.downsample.1")
    return make.relu(make.add(found, x))
