"""What decides a CycleGAN, and the networks that follow from it."""

import dataclasses

import keras
import tensorflow as tf

from kliep_tf.translation.networks import make_discriminator, make_generator

CONVOLUTIONS = ("auto", "direct", "winograd")
# With fewer, what is cheap beside the products is so no longer.
_MIN_WINOGRAD_CHANNELS = 128


@dataclasses.dataclass(frozen=True)
class CycleGANSettings:
    """Everything that decides what a CycleGAN computes.

    Attributes:
        image_size: (height, width) of the training images, for the pools.
        global_batch_size: images of each domain in a step, on all replicas.
        generator_filters: channels of the generators at full resolution.
        discriminator_filters: channels of the discriminators' first layer.
        num_residual_blocks: of each generator.
        upsampling: of the generators, a name in UPSAMPLINGS.
        spectral_norm: normalise the discriminators' kernels by their largest
            singular value instead of their activations by instance.
        adversarial_loss: a name in ADVERSARIAL_LOSSES.
        cycle_weight: of the cycle losses, both ways.
        identity_weight: of the identity losses, as a factor of the cycle
            weight; 0 leaves them out and saves their time.
        pool_size: fakes remembered for each discriminator.
        generator_ema: decay of a running average of both generators' weights;
            0 keeps none.
        rematerialize: compute the generators' activations twice instead of
            keeping them for the gradient.
        convolution: how the generators' residual blocks convolve, a name in
            CONVOLUTIONS: as written, or by a quarter of the multiplications.
            Both give the same but for rounding; the second keeps 36/9 as many
            values as the kernels have (16/9 in bfloat16) from the first pass
            of a step to its gradients. "auto" is what is faster.
        dtype: Keras dtype policy of the networks.
        jit_compile: compile gradients by XLA.
        seed: of initial weights and pools.
    """

    image_size: tuple[int, int]
    global_batch_size: int = 1
    generator_filters: int = 64
    discriminator_filters: int = 64
    num_residual_blocks: int = 9
    upsampling: str = "transposed"
    spectral_norm: bool = False
    adversarial_loss: str = "lsgan"
    cycle_weight: float = 10.0
    identity_weight: float = 0.5
    pool_size: int = 50
    generator_ema: float = 0.0
    rematerialize: bool = False
    convolution: str = "auto"
    dtype: str = "float32"
    jit_compile: bool = False
    seed: int = 0


def make_generators(
    settings: CycleGANSettings, prefix: str = ""
) -> tuple[keras.Model, keras.Model]:
    """Returns source-to-target and target-to-source, named after `prefix`."""
    # Four independent seeds; the two of a kind must not start equal.
    return tuple(
        make_generator(
            filters=settings.generator_filters,
            num_residual_blocks=settings.num_residual_blocks,
            upsampling=settings.upsampling,
            winograd=uses_winograd(settings),
            dtype=settings.dtype,
            seed=4 * settings.seed + number,
            name=prefix + name,
        )
        for number, name in ((0, "source_to_target"), (1, "target_to_source"))
    )


def make_discriminators(
    settings: CycleGANSettings,
) -> tuple[keras.Model, keras.Model]:
    """Returns the target's discriminator and the source's."""
    return tuple(
        make_discriminator(
            filters=settings.discriminator_filters,
            spectral_norm=settings.spectral_norm,
            dtype=settings.dtype,
            seed=4 * settings.seed + number,
            name=f"{domain}_discriminator",
        )
        for number, domain in ((2, "target"), (3, "source"))
    )


def uses_winograd(settings: CycleGANSettings) -> bool:
    """Whether residual blocks convolve by `WinogradConv2D`.

    GPU libraries have their own, in one kernel, and XLA calls them.
    """
    if settings.convolution != "auto":
        return settings.convolution == "winograd"
    return (
        4 * settings.generator_filters >= _MIN_WINOGRAD_CHANNELS
        and not settings.jit_compile
        and not tf.config.list_physical_devices("GPU")
    )
