"""The flags of UNIT."""

import dataclasses

from kliep_tf import cli
from kliep_tf.errors import UserError
from kliep_tf.training.vgg16 import MIN_SIZE, require_vgg16
from kliep_tf.translation.losses import ADVERSARIAL_LOSSES
from kliep_tf.translation.method import Setup

FORMS = ("2017", "2018")
# Each scale of a discriminator halves its image four times.
_LEAST_FACTOR = 16
# A single feature is nothing that could be normalised.
_LEAST_PERCEPTUAL_SIZE = 2 * MIN_SIZE


@dataclasses.dataclass(frozen=True, kw_only=True)
class UNITSettings:
    """What decides a UNIT; its fields are flags of `train`."""

    unit_form: str = cli.flag(
        "2017: of the publication, a latent space that both domains share "
        "layers of; 2018: of the authors' later code, which has a "
        "configuration for GTA5 to Cityscapes, a variational autoencoder a "
        "domain with nothing shared",
        default="2018",
        choices=FORMS,
    )
    generator_filters: int = cli.flag(
        "channels of encoders and decoders at full resolution",
        default=64,
        minimum=1,
    )
    discriminator_filters: int = cli.flag(
        "channels of the discriminators' first layers", default=64, minimum=1
    )
    num_residual_blocks: int = cli.flag(
        "residual blocks of each encoder and of each decoder; in the form of "
        "2017 one of them is shared",
        default=4,
        minimum=1,
    )
    discriminator_scales: int = cli.flag(
        "scales at which a discriminator sees an image: whole, half, quarter",
        default=3,
        minimum=1,
    )
    adversarial_loss: str = cli.flag(
        "lsgan: least squares; bce: log loss; hinge; auto: that of the form, "
        "bce in 2017 and lsgan in 2018",
        default="auto",
        choices=("auto", *sorted(ADVERSARIAL_LOSSES)),
    )
    reconstruction_weight: float = cli.flag(
        "weight of the distances between images and their reconstructions; "
        "the form of 2017 multiplies all terms by ten",
        default=10.0,
        minimum=0,
    )
    cycle_weight: float = cli.flag(
        "weight of both cycle losses, likewise", default=10.0, minimum=0
    )
    kl_weight: float = cli.flag(
        "weight of the mean squares of the latent codes, likewise",
        default=0.01,
        minimum=0,
    )
    perceptual_weights: str = cli.flag(
        "local file of VGG-16's weights, Keras's or torchvision's, for the "
        "perceptual loss of the form of 2018; without it that loss is off, "
        "and nothing but adversary and cycle holds a translation to its "
        "image: objects may vanish",
        default="",
        read_as="unit files",
        mirrored="input",
    )
    perceptual_weight: float = cli.flag(
        "weight of the perceptual loss, where there is a file for it",
        default=1.0,
        minimum=0,
    )
    learning_rate: float = cli.flag(
        "Adam's first rate", default=1e-4, above=0, maximum=cli.MAX_ADAM_RATE
    )
    halve_rate_every: int = cli.flag(
        "steps after which the form of 2018 halves the rate, again and again; "
        "0 never does. The form of 2017 keeps it",
        default=100_000,
        minimum=0,
    )
    weight_decay: float = cli.flag(
        "times each variable is added to its gradient, as in PyTorch's Adam",
        default=1e-4,
        minimum=0,
    )

    @property
    def is_shared(self) -> bool:
        """Whether this is the form of 2017, with a shared latent space."""
        return self.unit_form == "2017"

    @property
    def loss_name(self) -> str:
        """The adversarial loss, a name in ADVERSARIAL_LOSSES."""
        if self.adversarial_loss != "auto":
            return self.adversarial_loss
        return "bce" if self.is_shared else "lsgan"


def check_settings(settings: UNITSettings, setup: Setup) -> None:
    """Raises a UserError if images are too small, or the file is no VGG-16."""
    where = f"--method=unit --unit_form={settings.unit_form}"
    least = _least_size(settings)
    if min(setup.image_size) < least:
        raise UserError(
            f"{where}: expected images or crops of {least} pixels or more for "
            f"{settings.discriminator_scales} scales, found "
            f"{min(setup.image_size)}; fewer --discriminator_scales take less"
        )
    if not settings.perceptual_weights:
        return
    if settings.is_shared:
        raise UserError(
            f"{where}: expected no --perceptual_weights, since only the form "
            f"of 2018 has that loss; found {settings.perceptual_weights}"
        )
    if min(setup.image_size) < _LEAST_PERCEPTUAL_SIZE:
        raise UserError(
            "--perceptual_weights: expected images or crops of "
            f"{_LEAST_PERCEPTUAL_SIZE} pixels or more, found "
            f"{min(setup.image_size)}"
        )
    require_vgg16(settings.perceptual_weights, "perceptual_weights")


def _least_size(settings: UNITSettings) -> int:
    if settings.is_shared:
        return 8  # zero padding takes any
    # Reflection takes two pixels where the last of four halvings begins.
    return _LEAST_FACTOR * 2 ** (settings.discriminator_scales - 1)
