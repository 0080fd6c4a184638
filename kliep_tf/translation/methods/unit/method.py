"""UNIT as a method: what the programs and the training run ask of it."""

import tensorflow as tf

from kliep_tf.data.plain_paths import plain_path
from kliep_tf.errors import UserError, reason_of
from kliep_tf.training.checkpoints import DAMAGE
from kliep_tf.translation.method import (
    ExportableGenerator,
    ImageSizes,
    Method,
    Setup,
)
from kliep_tf.translation.methods.unit.autoencoders import (
    make_autoencoders,
    make_translators,
)
from kliep_tf.translation.methods.unit.model import UNIT
from kliep_tf.translation.methods.unit.objectives import discriminator_unit
from kliep_tf.translation.methods.unit.settings import (
    UNITSettings,
    check_settings,
)
from kliep_tf.translation.methods.unit.texts import DESCRIPTIONS

# Two halvings; reflection takes two pixels at a quarter of the size.
_SIZES = ImageSizes(multiple=4, least=8)


def restore(
    checkpoint: str, settings: UNITSettings, averaged: bool
) -> ExportableGenerator:
    """Returns the source-to-target generator that a checkpoint holds.

    It has no noise, is in float32, and cannot be tiled: the form of 2018
    normalises over whole images in its decoder.

    Args:
        checkpoint: its path, without .index.
        settings: of the training.
        averaged: of no consequence: no average is kept.

    Raises:
        UserError: the checkpoint is damaged or of another network.
    """
    autoencoders = make_autoencoders(settings, Setup(image_size=(8, 8)))
    reader = tf.train.Checkpoint(**autoencoders.parts)
    try:
        with plain_path(checkpoint) as path:
            status = reader.read(path)
        status.assert_existing_objects_matched().expect_partial()
    except DAMAGE as error:
        raise UserError(
            f"{checkpoint}: expected a checkpoint of the UNIT of "
            f"{settings.unit_form} with {settings.generator_filters} filters "
            f"and {settings.num_residual_blocks} residual blocks, found "
            f"{reason_of(error)}"
        ) from error
    translators = make_translators(autoencoders)
    return ExportableGenerator(translators.source_to_target, _SIZES)


def _files(settings: UNITSettings) -> list[str]:
    path = settings.perceptual_weights
    return [path] if path else []


METHOD = Method(
    settings=UNITSettings,
    check=check_settings,
    build=UNIT,
    restore=restore,
    sizes=_SIZES,
    descriptions=DESCRIPTIONS,
    compared_by=("cycle/source", "cycle/target"),
    discriminator_unit=discriminator_unit,
    advice="a lower --learning_rate or fewer --discriminator_filters may help",
    files=_files,
)
