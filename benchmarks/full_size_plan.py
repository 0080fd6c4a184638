"""The jobs of the full-size tables, and what each of them costs.

The tables plan their jobs themselves, from the shipped flagfiles, on empty
files in the place of records; each job's command is parsed by its program.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from pathlib import Path

from network_costs import Cost, Forward, count_forward

from kliep_tf import cli
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.experiments import cohorts, table1
from kliep_tf.experiments.comparison import commands, recipes
from kliep_tf.experiments.comparison.rows import (
    Row,
    judgements,
    segmentations,
)
from kliep_tf.experiments.comparison.setting import (
    TRAIN_SEGMENTER,
    Setting,
    make_setting,
)
from kliep_tf.experiments.running.jobs import Job, Output, in_order
from kliep_tf.segmentation.adaptation.adaptsegnet_networks import (
    output_discriminator,
)
from kliep_tf.segmentation.adaptation.adda import logit_discriminator
from kliep_tf.segmentation.networks import NETWORKS
from kliep_tf.segmentation.pretrained import freeze_normalization
from kliep_tf.train import TrainConfig
from kliep_tf.train_segmenter import TrainSegmenterConfig
from kliep_tf.translation.method import Setup
from kliep_tf.translation.methods import settings_of
from kliep_tf.translation.methods.unit.autoencoders import (
    make_autoencoders,
    make_translators,
)
from kliep_tf.translation.methods.unit.networks import (
    make_discriminator as make_unit_discriminator,
)
from kliep_tf.translation.networks import make_discriminator, make_generator

SEGMENTERS = ("drn_c_26", "deeplab_v3plus", "deeplab_v2")
RECORD_SIZE = (512, 1024)
VAL_SIZE = (1024, 2048)
NUM_IMAGES = {"source": 24_966, "target": 2_975, "val": 500}

# Of a generator and a discriminator, as published; a model has two of each.
PARAMETERS = {
    "cyclegan": (11_378_179, 2_764_737),
    "cycada": (11_378_179, 2_764_737),
    "unit": (11_140_483, 8_271_171),
}

# Of both directions: fakes, cycles and identities; the gradients by input and
# by weights cost a pass each. Discriminators: fakes for the generators' loss
# (no gradient by weights), real and fake for their own.
_GENERATOR_IMAGES, _PASSES = 2 * 3, 3
_DISCRIMINATOR_PASSES = 2 * (2 + 2 * _PASSES)
# UNIT, a direction: the translation that the discriminators learn from; then
# the image and its translation are encoded, and decoded as itself, as its
# translation, as its cycle.
_UNIT_ENCODER_PASSES = 2 * (1 + 2 * _PASSES)
_UNIT_DECODER_PASSES = 2 * (1 + 3 * _PASSES)
# CyCADA's segmenter: translations of both domains (the gradient by input, none
# by weights), and the target's images as they are.
_TASK_PASSES = 2 * 2 + 1
# Adaptations: the discriminator of the target's predictions for the segmenter's
# loss, and both domains' for its own.
_DOMAIN_PASSES = 2 + 2 * _PASSES
_KINDS = {"table1": (table1, table1.Table1Config)}
_KINDS["cohorts"] = (cohorts, cohorts.CohortsConfig)


@dataclasses.dataclass(frozen=True)
class Table:
    """One table, planned.

    Attributes:
        name: of its flagfile.
        setting: what its rows share.
        rows: of the table.
        scored: by row and seed, the last job of its segmenter.
        judged: by row and seed, the judge's work.
    """

    name: str
    setting: Setting
    rows: list[Row]
    scored: Mapping[tuple[str, int], Job]
    judged: Mapping[tuple[str, int], Job]

    @property
    def jobs(self) -> dict[str, Job]:
        """All jobs by their digests, makers first."""
        wanted = [*self.scored.values(), *self.judged.values()]
        return {job.digest: job for job in in_order(wanted)}


def plan_table(kind: str, segmenter: str, folder: Path) -> Table:
    """Returns the table of one flagfile.

    Args:
        kind: "table1" or "cohorts".
        segmenter: in SEGMENTERS.
        folder: for the empty files; the same for tables that share.
    """
    module, config_class = _KINDS[kind]
    name = f"{kind}_{segmenter}"
    argv = ["plan", f"--flagfile=configs/{name}.flags"]
    config = cli.parse(config_class, argv)
    changes = {
        f"{role}_records": _empty_records(folder, role) for role in NUM_IMAGES
    }
    for flag in ("backbone_weights", "teacher_weights"):
        if getattr(config, flag, ""):
            changes[flag] = _file(folder / f"{segmenter}.npz")
    config = dataclasses.replace(config, **changes)
    setting = make_setting(config)
    rows = module.make_study(config, setting).rows
    scored = segmentations(setting, rows, config.num_seeds)
    judged = judgements(setting, rows, config.num_seeds)
    return Table(name, setting, list(rows), scored, judged)


def job_cost(job: Job, setting: Setting) -> Cost:
    """Returns what a job costs."""
    kind = job.module.rpartition(".")[2]
    return _COSTS[kind](job, setting)


def kept_bytes(job: Job) -> float:
    """Returns the activations that a training step holds at once."""
    config = parsed(job)
    if job.module == TRAIN_SEGMENTER:
        kept = segmenter_forward(config).kept
    elif job.module == recipes.ADAPT_SEGMENTER:
        sides = _adapted_sizes(config)
        passes = [segmenter_forward(config, size).kept for size in sides]
        # ADDA's segmenter sees one domain after the other.
        kept = max(passes) if config.method == "adda" else sum(passes)
    elif config.method == "unit":
        size = (config.crop_height, config.crop_width)
        encoder, decoder, _ = unit_passes(config, size)
        kept = 2 * (2 * encoder.kept + 3 * decoder.kept)
    else:
        # Fakes, cycles and identities of both directions are held at once.
        kept = _GENERATOR_IMAGES * cyclegan_passes(config)[0].kept
        if config.method == "cycada":
            kept += 2 * _task_forward(job).kept
    return config.batch_size * kept


@functools.cache
def parsed(job: Job):
    """Returns the configuration that a job's program reads."""
    return commands.parsed(job)


def num_images(records, setting: Setting) -> int:
    """Returns how many images records hold; translations hold the source's."""
    if isinstance(records, Output) or records is setting.source:
        return NUM_IMAGES["source"]
    return NUM_IMAGES["target" if records is setting.target else "val"]


def segmenter_steps(job: Job, setting: Setting) -> int:
    """Returns the steps of a train_segmenter job."""
    config = parsed(job)
    images = num_images(job.flags["train_records"], setting)
    if config.epochs:
        return math.ceil(config.epochs * images / config.batch_size)
    return config.steps


def segmenter_forward(
    config: TrainSegmenterConfig, size: tuple[int, int] | None = None
) -> Forward:
    """Returns a pass of its network, by default at the training's size."""
    seen = (config.crop_height, config.crop_width)
    if config.crop_height is None:
        seen = (config.image_height, config.image_width)
    frozen = config.freeze_batch_norm and bool(config.backbone_weights)
    return _segmenter_pass(config.network, size or seen, frozen)


def segmenter_parameters(config: TrainSegmenterConfig) -> int:
    """Returns the number of its network's weights."""
    return _network(config.network).count_params()


def cyclegan_passes(config: TrainConfig) -> tuple[Forward, Forward]:
    """Returns a pass of a generator and of a discriminator in training."""
    size = (config.crop_height, config.crop_width)
    return _gan_pass("generator", size), _gan_pass("discriminator", size)


def _train_segmenter(job: Job, setting: Setting) -> Cost:
    config = parsed(job)
    images = segmenter_steps(job, setting) * config.batch_size
    return segmenter_forward(config).cost.times(_PASSES * images)


def _train(job: Job, setting: Setting) -> Cost:
    config = parsed(job)
    return {
        "cyclegan": _cyclegan_step,
        "cycada": _cycada_step,
        "unit": _unit_step,
    }[config.method](job).times(config.steps * config.batch_size)


def _cyclegan_step(job: Job) -> Cost:
    """Returns what an image of each domain costs, forward and backward."""
    generator, discriminator = cyclegan_passes(parsed(job))
    return generator.cost.times(_GENERATOR_IMAGES * _PASSES).plus(
        discriminator.cost.times(_DISCRIMINATOR_PASSES)
    )


def _cycada_step(job: Job) -> Cost:
    seen = _task_forward(job).cost
    return _cyclegan_step(job).plus(seen.times(_TASK_PASSES))


def _task_forward(job: Job) -> Forward:
    config = parsed(job)
    task = parsed(job.flags["task_segmenter"].job)
    return segmenter_forward(task, (config.crop_height, config.crop_width))


def _unit_step(job: Job) -> Cost:
    config = parsed(job)
    size = (config.crop_height, config.crop_width)
    encoder, decoder, discriminator = unit_passes(config, size)
    return (
        encoder.cost.times(_UNIT_ENCODER_PASSES)
        .plus(decoder.cost.times(_UNIT_DECODER_PASSES))
        .plus(discriminator.cost.times(_DISCRIMINATOR_PASSES))
    )


def unit_passes(
    config: TrainConfig, size: tuple[int, int]
) -> tuple[Forward, Forward, Forward]:
    """Returns passes of an encoder, a decoder and a discriminator of 2018."""
    settings = cli.part_of(config, settings_of("unit"))
    return _unit_passes(settings, size)


@functools.cache
def _unit_passes(
    settings, size: tuple[int, int]
) -> tuple[Forward, Forward, Forward]:
    autoencoders = make_autoencoders(settings, Setup(image_size=size))
    encoder = count_forward(autoencoders.parts["source_encoder"], size)
    both = count_forward(make_translators(autoencoders).source_to_target, size)
    decoder = Forward(
        both.cost.plus(encoder.cost.times(-1)), both.kept - encoder.kept
    )
    discriminator = make_unit_discriminator(
        settings.unit_form,
        settings.discriminator_filters,
        settings.discriminator_scales,
        "float32",
        0,
        "discriminator",
    )
    return encoder, decoder, count_forward(discriminator, size)


def _adapt_segmenter(job: Job, setting: Setting) -> Cost:
    """A teacher looks at the target; domain classifiers of ROAD are left out.

    ADDA's segmenter is taken to learn in every step.
    """
    config = parsed(job)
    source, target = _adapted_sizes(config)
    of_source = segmenter_forward(config, source).cost
    of_target = segmenter_forward(config, target).cost
    step = of_source.plus(of_target).times(_PASSES)
    if config.method == "road":
        step = step.plus(of_target.times(bool(config.teacher_weights)))
    else:
        judged = domain_forward(config, target).cost
        levels = config.levels if config.method == "adaptsegnet" else 1
        step = step.plus(judged.times(levels * _DOMAIN_PASSES))
    if config.method == "adda":
        # The discriminator's step sees both domains before the segmenter's.
        step = step.plus(of_source).plus(of_target)
    return step.times(config.steps * config.batch_size)


def _adapted_sizes(config) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns (height, width) of the source's images and of the target's."""
    if config.crop_height:
        crop = (config.crop_height, config.crop_width)
        return crop, crop
    source = (config.image_height, config.image_width)
    if config.target_height:
        return source, (config.target_height, config.target_width)
    return source, source


@functools.cache
def domain_forward(config, size: tuple[int, int]) -> Forward:
    """Returns a pass of an adaptation's discriminator."""
    classes, filters = len(CITYSCAPES_CLASSES), config.discriminator_filters
    if config.method == "adda":
        dropout = config.discriminator_dropout
        network = logit_discriminator(classes, filters, dropout, 0)
    else:
        network = output_discriminator(classes, filters, 0)
    return count_forward(network, size, channels=classes)


def _translate(job: Job, setting: Setting) -> Cost:
    images = num_images(job.flags["source_records"], setting)
    config = parsed(job.flags["saved_model"].job)
    if config.method == "unit":
        encoder, decoder, _ = unit_passes(config, RECORD_SIZE)
        return encoder.cost.plus(decoder.cost).times(images)
    return _gan_pass("generator", RECORD_SIZE).cost.times(images)


def _evaluate(job: Job, setting: Setting) -> Cost:
    records = job.flags["records"]
    stored = VAL_SIZE if records is setting.val else RECORD_SIZE
    (scale,) = map(float, parsed(job).scales)
    size = tuple(round(scale * length) for length in stored)
    trained = parsed(job.flags["segmenter"].job)
    forward = segmenter_forward(trained, size)
    return forward.cost.times(num_images(records, setting))


def _estimate_weights(job: Job, setting: Setting) -> Cost:
    trained = parsed(job.flags["segmenter"].job)
    images = NUM_IMAGES["source"] + NUM_IMAGES["target"]
    return segmenter_forward(trained).cost.times(images)


_COSTS = {
    "adapt_segmenter": _adapt_segmenter,
    "estimate_weights": _estimate_weights,
    "evaluate": _evaluate,
    "train": _train,
    "train_segmenter": _train_segmenter,
    "translate": _translate,
}


@functools.cache
def _network(name: str):
    return NETWORKS[name](len(CITYSCAPES_CLASSES), 0, "float32")


@functools.cache
def _segmenter_pass(name: str, size: tuple[int, int], frozen: bool) -> Forward:
    network = _network(name)
    # For good: a network's recipe freezes it always or never.
    if frozen:
        freeze_normalization(network)
    return count_forward(network, size)


@functools.cache
def _gan_pass(name: str, size: tuple[int, int]) -> Forward:
    # The published networks, as the train flagfile has them.
    makers = {"generator": make_generator, "discriminator": make_discriminator}
    return count_forward(makers[name](), size)


def _empty_records(folder: Path, role: str) -> str:
    return str(
        Path(_file(folder / role / f"{role}-00000-of-00001.tfrecord")).parent
    )


def _file(path: Path) -> str:
    """Makes a file once: its time is part of the jobs' identity."""
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return str(path)
