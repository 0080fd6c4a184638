"""The flags of CycleGAN."""

import dataclasses

from kliep_tf import cli
from kliep_tf.errors import UserError
from kliep_tf.translation.losses import ADVERSARIAL_LOSSES
from kliep_tf.translation.method import Setup
from kliep_tf.translation.networks import (
    MAX_DISCRIMINATOR_LAYERS,
    UPSAMPLINGS,
)

CONVOLUTIONS = ("auto", "direct", "winograd")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CycleGANSettings:
    """What decides a CycleGAN; its fields are flags of `train`."""

    generator_filters: int = cli.flag(
        "channels of the generators at full resolution",
        default=64,
        minimum=1,
    )
    discriminator_filters: int = cli.flag(
        "channels of the discriminators' first layer",
        default=64,
        minimum=1,
    )
    discriminator_layers: int = cli.flag(
        "discriminators' convolutions of stride 2: 1, 2 and 3 judge patches of "
        "16, 34 and 70 pixels. Patches as large as an image judge its layout",
        default=3,
        minimum=1,
        maximum=MAX_DISCRIMINATOR_LAYERS,
    )
    num_residual_blocks: int = cli.flag(
        "residual blocks of each generator", default=9, minimum=0
    )
    upsampling: str = cli.flag(
        "how generators enlarge: by transposed convolutions, as published, or "
        "by resizing and convolving, which leaves no checkerboard",
        default="transposed",
        choices=UPSAMPLINGS,
    )
    spectral_norm: bool = cli.flag(
        "hold the discriminators' kernels at spectral norm 1, instead of "
        "normalising their activations by instance",
        default=False,
    )
    adversarial_loss: str = cli.flag(
        "lsgan: least squares; bce: the log loss of eq. 12; hinge",
        default="lsgan",
        choices=sorted(ADVERSARIAL_LOSSES),
    )
    cycle_weight: float = cli.flag(
        "weight of both cycle losses", default=10.0, minimum=0
    )
    identity_weight: float = cli.flag(
        "weight of the identity losses as a factor of --cycle_weight; 0 "
        "leaves them out and saves their time",
        default=0.5,
        minimum=0,
    )
    learning_rate: float = cli.flag(
        "Adam's rate, constant for half of the steps and then falling linearly",
        default=2e-4,
        above=0,
        maximum=cli.MAX_ADAM_RATE,
    )
    pool_size: int = cli.flag(
        "older fakes shown to each discriminator; 0 for none",
        default=50,
        minimum=0,
    )
    generator_ema: float = cli.flag(
        "decay a step, such as 0.999, of a running average of the generators' "
        "weights; the averaged generator is then exported and shown on "
        "TensorBoard. 0 keeps no average",
        default=0.0,
        minimum=0,
        below=1,
    )
    rematerialize: bool = cli.flag(
        "save memory on large frames: compute the generators' activations a "
        "second time for the gradient instead of keeping them",
        default=False,
    )
    convolution: str = cli.flag(
        "how the generators' residual blocks convolve. direct: as written; "
        "winograd: the same but for rounding, with a quarter of the "
        "multiplications and more memory (the transformed kernels of both "
        "published generators take 340 MB during a step, 75 in bfloat16); "
        "auto: winograd on CPUs where it is faster",
        default="auto",
        choices=CONVOLUTIONS,
    )


def check_settings(settings: CycleGANSettings, setup: Setup) -> None:
    """Raises a UserError if a batch does not fit into a pool."""
    if 0 < settings.pool_size < setup.global_batch_size:
        raise UserError(
            f"--pool_size={settings.pool_size}: expected 0 or at least the "
            f"batch of {setup.global_batch_size}"
        )
