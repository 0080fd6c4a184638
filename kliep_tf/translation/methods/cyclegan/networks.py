"""The four networks of a CycleGAN, as its settings say."""

import keras

from kliep_tf.translation.method import Setup
from kliep_tf.translation.methods.cyclegan.settings import CycleGANSettings
from kliep_tf.translation.networks import (
    make_discriminator,
    make_generator,
    suits_winograd,
)


def make_generators(
    settings: CycleGANSettings, setup: Setup, prefix: str = ""
) -> tuple[keras.Model, keras.Model]:
    """Returns source-to-target and target-to-source, named after `prefix`."""
    # Four independent seeds; the two of a kind must not start equal.
    to_target, to_source = (
        make_generator(
            filters=settings.generator_filters,
            num_residual_blocks=settings.num_residual_blocks,
            upsampling=settings.upsampling,
            winograd=uses_winograd(settings, setup),
            dtype=setup.dtype,
            seed=4 * setup.seed + number,
            name=prefix + name,
        )
        for number, name in ((0, "source_to_target"), (1, "target_to_source"))
    )
    return to_target, to_source


def make_discriminators(
    settings: CycleGANSettings, setup: Setup
) -> tuple[keras.Model, keras.Model]:
    """Returns the target's discriminator and the source's."""
    of_target, of_source = (
        make_discriminator(
            filters=settings.discriminator_filters,
            num_layers=settings.discriminator_layers,
            spectral_norm=settings.spectral_norm,
            dtype=setup.dtype,
            seed=4 * setup.seed + number,
            name=f"{domain}_discriminator",
        )
        for number, domain in ((2, "target"), (3, "source"))
    )
    return of_target, of_source


def uses_winograd(settings: CycleGANSettings, setup: Setup) -> bool:
    """Whether residual blocks convolve by `WinogradConv2D`.

    With --convolution=auto they do where it is faster. XLA calls libraries
    that have their own filtering.
    """
    if settings.convolution != "auto":
        return settings.convolution == "winograd"
    return not setup.jit_compile and suits_winograd(settings.generator_filters)
