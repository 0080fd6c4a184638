"""DeepLabv2 with ResNet-101 and DeepLabv3+ with Xception-65.

Chen et al., "DeepLab: Semantic Image Segmentation with Deep Convolutional Nets,
Atrous Convolution, and Fully Connected CRFs", PAMI 2018 (without the CRF), and
"Encoder-Decoder with Atrous Separable Convolution for Semantic Image
Segmentation", ECCV 2018.
"""

import functools

import keras
import tensorflow as tf

from kliep_tf.segmentation.layers import (
    CountedDropout,
    LayerFactory,
    logits_of_size,
)
from kliep_tf.segmentation.resnet import resnet_101
from kliep_tf.segmentation.xception import convolve_separably, xception_65

# Atrous rates of the spatial pyramid by output stride (DeepLabv3, section 4).
_RATES = {16: (6, 12, 18), 8: (12, 24, 36)}
_V2_RATES = (6, 12, 18, 24)
_DEPTH = 256
_LOW_LEVEL_DEPTH = 48


def deeplab_v2_resnet101(
    num_classes: int, seed: int, dtype: str = "float32"
) -> keras.Model:
    """Returns DeepLabv2, "ASPP-L": four dilated classifiers, summed.

    43,901,068 parameters at 19 classes, output stride 8.

    Args:
        num_classes: number of logits a pixel.
        seed: of the initial weights.
        dtype: a Keras dtype policy, "float32" or "mixed_bfloat16".
    """
    make = LayerFactory(seed, dtype)
    image = keras.Input((None, None, 3), dtype="float32")
    features = resnet_101(make)(image)
    logits = atrous_classifiers(make, features, num_classes, "aspp")
    logits = logits_of_size(logits, image)
    return keras.Model(image, logits, name="deeplab_v2_resnet101")


def atrous_classifiers(
    make: LayerFactory, features: tf.Tensor, num_classes: int, name: str
) -> tf.Tensor:
    """Returns logits of DeepLabv2's head: dilated 3x3 classifiers, summed.

    Args:
        make: the layers' common properties.
        features: [N, h, w, C].
        num_classes: number of logits a pixel.
        name: of the layers, before their number.
    """
    branches = [
        make.convolve(
            features,
            num_classes,
            3,
            f"{name}.{number}",
            dilation=rate,
            use_bias=True,
            initializer=keras.initializers.RandomNormal(
                stddev=0.01, seed=make.next_seed()
            ),
        )
        for number, rate in enumerate(_V2_RATES)
    ]
    return make.add(*branches)


def deeplab_v3plus_xception65(
    num_classes: int,
    seed: int,
    dtype: str = "float32",
    *,
    output_stride: int = 16,
) -> keras.Model:
    """Returns DeepLabv3+: ASPP, then a decoder of stride 4.

    Args:
        num_classes: number of logits a pixel.
        seed: of the initial weights.
        dtype: a Keras dtype policy, "float32" or "mixed_bfloat16".
        output_stride: of the backbone, 16 or 8, which takes 4 times the
            memory.
    """
    backbone = LayerFactory(
        seed,
        dtype,
        initializer=functools.partial(_truncated_normal, 0.09),
        epsilon=1e-3,
        momentum=0.9997,
    )
    head = LayerFactory(
        seed + 1,
        dtype,
        initializer=keras.initializers.GlorotUniform,
        momentum=0.9997,
    )
    image = keras.Input((None, None, 3), dtype="float32")
    low_level, features = xception_65(backbone, output_stride)(image)
    features = _pyramid(head, features, _RATES[output_stride])
    features = _decode(head, features, low_level)
    logits = head.convolve(
        features,
        num_classes,
        1,
        "logits.semantic",
        use_bias=True,
        initializer=_truncated_normal(0.01, head.next_seed()),
    )
    logits = logits_of_size(logits, image)
    return keras.Model(image, logits, name="deeplab_v3plus_xception65")


def _pyramid(
    make: LayerFactory, x: tf.Tensor, rates: tuple[int, ...]
) -> tf.Tensor:
    """Atrous spatial pyramid pooling with image-level features."""
    pooled = keras.layers.GlobalAveragePooling2D(
        keepdims=True, dtype=make.dtype
    )(x)
    pooled = _convolve_normalized(make, pooled, _DEPTH, "image_pooling")
    branches = [
        make.resize(pooled, like=x),
        _convolve_normalized(make, x, _DEPTH, "aspp0"),
    ]
    for number, rate in enumerate(rates, start=1):
        branches.append(_separable(make, x, f"aspp{number}", dilation=rate))
    joined = make.concatenate(*branches)
    joined = _convolve_normalized(make, joined, _DEPTH, "concat_projection")
    return CountedDropout(0.1, make.next_seed(), dtype=make.dtype)(joined)


def _decode(
    make: LayerFactory, features: tf.Tensor, low_level: tf.Tensor
) -> tf.Tensor:
    low_level = _convolve_normalized(
        make, low_level, _LOW_LEVEL_DEPTH, "decoder.feature_projection0"
    )
    features = make.resize(features, like=low_level)
    x = make.concatenate(features, low_level)
    x = _separable(make, x, "decoder.decoder_conv0")
    return _separable(make, x, "decoder.decoder_conv1")


def _convolve_normalized(
    make: LayerFactory, x: tf.Tensor, filters: int, name: str
) -> tf.Tensor:
    x = make.convolve(x, filters, 1, name)
    return make.relu(make.normalize(x, f"{name}.BatchNorm"))


def _separable(
    make: LayerFactory, x: tf.Tensor, name: str, *, dilation: int = 1
) -> tf.Tensor:
    return convolve_separably(
        make,
        x,
        _DEPTH,
        name,
        dilation=dilation,
        initializers=(
            _truncated_normal(0.33, make.next_seed()),
            _truncated_normal(0.06, make.next_seed()),
        ),
    )


def _truncated_normal(
    stddev: float, seed: int
) -> keras.initializers.Initializer:
    return keras.initializers.TruncatedNormal(stddev=stddev, seed=seed)
