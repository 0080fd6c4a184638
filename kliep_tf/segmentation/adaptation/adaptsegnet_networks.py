"""The networks of AdaptSegNet: its discriminator, a segmenter of two levels."""

import keras

from kliep_tf.errors import UserError
from kliep_tf.segmentation.adaptation.method import Setup, classifier_input
from kliep_tf.segmentation.deeplab import atrous_classifiers
from kliep_tf.segmentation.layers import LayerFactory, logits_of_size
from kliep_tf.segmentation.optimizers import backbone_of

# The stage of ResNet-101 that the auxiliary classifier reads: conv4_x.
AUXILIARY_LAYER = "layer3"


def output_discriminator(
    num_classes: int, filters: int, seed: int, dtype: str = "float32"
) -> keras.Model:
    """Returns the fully convolutional discriminator of probabilities.

    2,781,121 parameters at 19 classes and 64 filters. A logit is that of
    "source".

    Args:
        num_classes: channels of the probabilities.
        filters: of the first convolution.
        seed: of the initial weights.
        dtype: a Keras dtype policy.
    """
    make = LayerFactory(seed, dtype, initializer=_uniform_fan_in)
    shares = keras.Input((None, None, num_classes), dtype="float32")
    x = shares
    for factor in (1, 2, 4, 8):
        x = make.convolve(x, factor * filters, 4, strides=2, use_bias=True)
        x = keras.layers.LeakyReLU(0.2, dtype=dtype)(x)
    logits = make.convolve(x, 1, 4, strides=2, use_bias=True)
    return keras.Model(shares, logits, name="output_discriminator")


def network_of_levels(
    network: keras.Model, setup: Setup, levels: int
) -> keras.Model:
    """Returns the segmenter with one output of logits a level.

    With two levels the outputs are those of the segmenter and of an auxiliary
    classifier. The layers are those of `network`, its backbone is computed
    once.

    Raises:
        UserError: the network has no stage for a second level.
    """
    if levels == 1:
        return network
    backbone = _backbone_with_stage(network)
    image, features = network.input, classifier_input(network)
    head = keras.Model([features, image], network.output)
    pixels = keras.Input((None, None, 3), dtype="float32")
    stage, last = keras.Model(
        backbone.input,
        [backbone.get_layer(AUXILIARY_LAYER).output, backbone.output],
        name="backbone",
    )(pixels)
    make = LayerFactory(setup.seed + 1, setup.dtype)
    auxiliary = atrous_classifiers(
        make, stage, setup.num_classes, "auxiliary_aspp"
    )
    logits = [head([last, pixels]), logits_of_size(auxiliary, pixels)]
    return keras.Model(pixels, logits, name=network.name)


def _backbone_with_stage(network: keras.Model) -> keras.Model:
    backbone = backbone_of(network)
    names = [layer.name for layer in backbone.layers] if backbone else []
    if AUXILIARY_LAYER not in names:
        raise UserError(
            "--levels=2: expected --network=deeplab_v2_resnet101, whose "
            f"backbone has a stage {AUXILIARY_LAYER}, found {network.name}"
        )
    return backbone


def _uniform_fan_in(seed: int) -> keras.initializers.Initializer:
    """PyTorch's default for convolutions: within 1 / sqrt(fan in)."""
    return keras.initializers.VarianceScaling(
        1 / 3, "fan_in", "uniform", seed=seed
    )
