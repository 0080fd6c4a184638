"""The networks of Zhu et al. 2017 and their authors' code.

Appendix 7.2 of "Unpaired Image-to-Image Translation using Cycle-Consistent
Adversarial Networks" in its notation: c7s1-64, d128, d256, R256 x 9, u128,
u64, c7s1-3 and C64-C128-C256-C512.
"""

import functools
import itertools
from collections.abc import Callable

import keras
import tensorflow as tf

from kliep_tf.translation.layer_maker import LayerMaker
from kliep_tf.translation.method import ImageSizes

# Two stride-2 stages: a generator halves height and width twice.
SIZE_MULTIPLE = 4
# Residual blocks pad a quarter of the size by reflection, which takes 2.
GENERATOR_SIZES = ImageSizes(SIZE_MULTIPLE, least=2 * SIZE_MULTIPLE)
# Below this the 70x70 discriminator has no output left.
MIN_SIZE = 24
# What a logit sees by layers of stride 2: 16, 34 or 70 pixels.
MAX_DISCRIMINATOR_LAYERS = 3
UPSAMPLINGS = ("transposed", "resize")
# With fewer, what is cheap beside the products is so no longer.
_MIN_WINOGRAD_CHANNELS = 128


def make_generator(
    *,
    filters: int = 64,
    num_residual_blocks: int = 9,
    upsampling: str = "transposed",
    winograd: bool = False,
    dtype: str = "float32",
    seed: int = 0,
    name: str = "generator",
) -> keras.Model:
    """Returns a generator of [N, H, W, 3] to [N, H, W, 3], both in [-1, 1].

    H and W are multiples of 4. With the defaults it has 11,378,179 parameters.

    Args:
        filters: channels at full resolution; 2x and 4x below.
        num_residual_blocks: 9 in the paper, 6 for images of 128 pixels.
        upsampling: "transposed" convolutions as in the paper, or "resize":
            nearest neighbours and a convolution, which leaves no checkerboard
            (Odena et al. 2016) and has as many parameters.
        winograd: compute the residual blocks' convolutions by
            `WinogradConv2D`. Variables and checkpoints are the same.
        dtype: a Keras dtype policy, such as "mixed_bfloat16"; the output is
            float32 in any case.
        seed: of the initial weights.
        name: of the model.
    """
    layer = LayerMaker(dtype, seed)
    inputs = keras.Input((None, None, 3), dtype="float32")
    x = layer.pad(3)(inputs)
    x = layer.norm_relu(layer.conv(filters, 7)(x))
    for factor in (2, 4):
        x = layer.conv(factor * filters, 3, strides=2, padding="same")(x)
        x = layer.norm_relu(x)
    for _ in range(num_residual_blocks):
        x = _residual_block(x, 4 * filters, winograd, layer)
    for factor in (2, 1):
        x = layer.norm_relu(_upsample(x, factor * filters, upsampling, layer))
    x = layer.conv(3, 7)(layer.pad(3)(x))
    outputs = keras.layers.Activation("tanh", dtype="float32")(x)
    return keras.Model(inputs, outputs, name=name)


def make_discriminator(
    *,
    filters: int = 64,
    num_layers: int = 3,
    spectral_norm: bool = False,
    dtype: str = "float32",
    seed: int = 0,
    name: str = "discriminator",
) -> keras.Model:
    """Returns a PatchGAN of [N, H, W, 3] to logits [N, H', W', 1].

    With the defaults a logit sees 70x70 pixels, and there are 2,764,737
    parameters (Isola et al. 2017, appendix 6.1.2).

    Args:
        filters: channels of the first convolution; 2x, 4x and 8x follow.
        num_layers: convolutions of stride 2; with 1, 2 and 3 a logit sees 16,
            34 and 70 pixels.
        spectral_norm: hold every kernel's largest singular value at 1
            (Miyato et al. 2018) instead of normalising activations by
            instance, which would undo any scale of the kernels.
        dtype: a Keras dtype policy; the logits are float32 in any case.
        seed: of the initial weights.
        name: of the model.
    """
    layer = LayerMaker(dtype, seed)
    patch_conv = functools.partial(layer.patch_conv, spectral=spectral_norm)
    inputs = keras.Input((None, None, 3), dtype="float32")
    x = layer.leaky_relu(patch_conv(filters, strides=2)(inputs))
    for number in range(1, num_layers + 1):
        strides = 2 if number < num_layers else 1
        x = patch_conv(2**number * filters, strides=strides)(x)
        x = layer.leaky_relu(x if spectral_norm else layer.norm()(x))
    x = patch_conv(1, strides=1)(x)
    outputs = keras.layers.Activation("linear", dtype="float32")(x)
    return keras.Model(inputs, outputs, name=name)


def suits_winograd(filters: int) -> bool:
    """Whether `WinogradConv2D` is faster in a generator of these filters.

    It is on CPUs. GPU libraries have their own filtering in one kernel.
    """
    return (
        4 * filters >= _MIN_WINOGRAD_CHANNELS
        and not tf.config.list_physical_devices("GPU")
    )


def rematerialize(generator: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the generator's forward pass for training in less memory.

    Activations are computed twice (Chen et al. 2016, "Training Deep Nets with
    Sublinear Memory Cost"): only what passes between the generator's parts
    (encoder, residual blocks, decoder) is kept for the gradient; what is
    inside a part is computed again when the gradient reaches it. The weights
    are the generator's own.

    Keras's RematScope wraps single layers, whose inputs are kept all the same:
    here that would save next to nothing.
    """
    parts = [tf.recompute_grad(part) for part in _parts(generator)]

    def forward(images: tf.Tensor) -> tf.Tensor:
        for part in parts:
            images = part(images)
        return images

    return forward


def _parts(generator: keras.Model) -> list[keras.Model]:
    """Cuts a generator before its first block and after each."""
    blocks = [
        layer
        for layer in generator.layers
        if isinstance(layer, keras.layers.Add)
    ]
    # What is added to comes first of the two.
    before_blocks = [blocks[0].input[0]] if blocks else []
    cuts = [
        generator.inputs[0],
        *before_blocks,
        *(block.output for block in blocks),
        generator.outputs[0],
    ]
    return [
        keras.Model(start, end, name=f"{generator.name}_part_{number}")
        for number, (start, end) in enumerate(itertools.pairwise(cuts))
    ]


def _upsample(
    x: tf.Tensor, filters: int, kind: str, layer: LayerMaker
) -> tf.Tensor:
    """u128, u64: twice the height and width."""
    if kind == "transposed":
        return layer.transposed_conv(filters, 3)(x)
    x = keras.layers.UpSampling2D(2, dtype=layer.dtype)(x)
    return layer.mirrored_conv(x, filters)


def _residual_block(
    x: tf.Tensor, filters: int, winograd: bool, layer: LayerMaker
) -> tf.Tensor:
    """R256: two 3x3 convolutions, no activation after the sum."""
    conv = layer.winograd_conv if winograd else layer.mirrored_conv
    y = layer.norm_relu(conv(x, filters))
    y = layer.norm()(conv(y, filters))
    return keras.layers.Add(dtype=layer.dtype)([x, y])
