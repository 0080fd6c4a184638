"""CycleGAN as a method: what the programs and the training run ask of it."""

import keras
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
from kliep_tf.translation.methods.cyclegan.model import CycleGAN
from kliep_tf.translation.methods.cyclegan.settings import (
    CycleGANSettings,
    check_settings,
)
from kliep_tf.translation.methods.cyclegan.texts import DESCRIPTIONS
from kliep_tf.translation.networks import (
    GENERATOR_SIZES,
    MIN_SIZE,
    SIZE_MULTIPLE,
    make_generator,
)
from kliep_tf.translation.optimizers import FusedAdam
from kliep_tf.translation.tiling.generator import TiledGenerator


def build(settings: CycleGANSettings, setup: Setup) -> CycleGAN:
    """Returns the model with its optimizers."""
    model = CycleGAN(settings, setup)
    compile_as_published(model)
    return model


def compile_as_published(model: CycleGAN) -> None:
    """Gives the model its optimizers: Adam of beta 0.5 and 0.999."""
    model.compile(*(_adam(model.schedule) for _ in range(2)))


def restore(
    checkpoint: str, settings: CycleGANSettings, averaged: bool
) -> ExportableGenerator:
    """Returns the source-to-target generator that a checkpoint holds.

    Always in float32: networks trained in mixed precision keep float32
    variables.

    Args:
        checkpoint: its path, without .index.
        settings: of the training.
        averaged: prefer the running average of the weights, which only runs
            with --generator_ema have.

    Raises:
        UserError: the checkpoint is damaged or of another network.
    """
    network = make_generator(
        filters=settings.generator_filters,
        num_residual_blocks=settings.num_residual_blocks,
        upsampling=settings.upsampling,
    )
    averaged = averaged and settings.generator_ema > 0
    name = "averaged_source_to_target" if averaged else "source_to_target"
    reader = tf.train.Checkpoint(**{name: network})
    try:
        with plain_path(checkpoint) as path:
            status = reader.read(path)
        status.assert_existing_objects_matched().expect_partial()
    except DAMAGE as error:
        raise UserError(
            f"{checkpoint}: expected a checkpoint of {name} with "
            f"{settings.generator_filters} filters and "
            f"{settings.num_residual_blocks} residual blocks, found "
            f"{reason_of(error)}"
        ) from error
    return exportable(network)


def exportable(network: keras.Model) -> ExportableGenerator:
    """Returns a generator of `make_generator` as it is exported."""
    return ExportableGenerator(
        network, GENERATOR_SIZES, tiled=TiledGenerator(network)
    )


def _adam(
    schedule: keras.optimizers.schedules.LearningRateSchedule,
) -> keras.optimizers.Optimizer:
    return FusedAdam(schedule, beta_1=0.5, beta_2=0.999)


METHOD = Method(
    settings=CycleGANSettings,
    check=check_settings,
    build=build,
    restore=restore,
    sizes=ImageSizes(SIZE_MULTIPLE, least=MIN_SIZE),
    descriptions=DESCRIPTIONS,
    compared_by=("cycle/source", "cycle/target"),
    advice="a lower --learning_rate, fewer --discriminator_filters or "
    "--spectral_norm may help",
)
