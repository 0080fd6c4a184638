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
from kliep_tf.estimate_weights import EstimateConfig
from kliep_tf.evaluate import EvaluateConfig
from kliep_tf.experiments import cohorts, table1
from kliep_tf.experiments.comparison import recipes
from kliep_tf.experiments.comparison.rows import (
    Row,
    judgements,
    segmentations,
)
from kliep_tf.experiments.running.jobs import Job, Output, in_order
from kliep_tf.segmentation.networks import NETWORKS
from kliep_tf.segmentation.pretrained import freeze_normalization
from kliep_tf.train import TrainConfig
from kliep_tf.train_segmenter import TrainSegmenterConfig
from kliep_tf.translate import TranslateConfig
from kliep_tf.translation.networks import make_discriminator, make_generator

SEGMENTERS = ("drn_c_26", "deeplab_v3plus", "deeplab_v2")
RECORD_SIZE = (512, 1024)
VAL_SIZE = (1024, 2048)
NUM_IMAGES = {"source": 24_966, "target": 2_975, "val": 500}

# Of a generator and a discriminator, both of each.
CYCLEGAN_PARAMETERS = (11_378_179, 2_764_737)

# Of both directions: fakes, cycles and identities; the gradients by input and
# by weights cost a pass each. Discriminators: fakes for the generators' loss
# (no gradient by weights), real and fake for their own.
_GENERATOR_IMAGES, _PASSES = 2 * 3, 3
_DISCRIMINATOR_PASSES = 2 * (2 + 2 * _PASSES)
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
    setting: recipes.Setting
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
    if config.backbone_weights:
        changes["backbone_weights"] = _file(folder / f"{segmenter}.npz")
    config = dataclasses.replace(config, **changes)
    setting = recipes.make_setting(config)
    rows = module.make_study(config, setting).rows
    scored = segmentations(setting, rows, config.num_seeds)
    judged = judgements(setting, rows, config.num_seeds)
    return Table(name, setting, list(rows), scored, judged)


def job_cost(job: Job, setting: recipes.Setting) -> Cost:
    """Returns what a job costs."""
    kind = job.module.rpartition(".")[2]
    return _COSTS[kind](job, setting)


@functools.cache
def parsed(job: Job):
    """Returns the configuration that a job's program reads."""
    config_class = {
        "estimate_weights": EstimateConfig,
        "evaluate": EvaluateConfig,
        "train": TrainConfig,
        "train_segmenter": TrainSegmenterConfig,
        "translate": TranslateConfig,
    }[job.module.rpartition(".")[2]]
    return cli.parse(config_class, job.command(Path("cache"))[2:])


def num_images(records, setting: recipes.Setting) -> int:
    """Returns how many images records hold; translations hold the source's."""
    if isinstance(records, Output) or records is setting.source:
        return NUM_IMAGES["source"]
    return NUM_IMAGES["target" if records is setting.target else "val"]


def segmenter_steps(job: Job, setting: recipes.Setting) -> int:
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


def _train_segmenter(job: Job, setting: recipes.Setting) -> Cost:
    config = parsed(job)
    images = segmenter_steps(job, setting) * config.batch_size
    return segmenter_forward(config).cost.times(_PASSES * images)


def _train(job: Job, setting: recipes.Setting) -> Cost:
    config = parsed(job)
    generator, discriminator = cyclegan_passes(config)
    step = generator.cost.times(_GENERATOR_IMAGES * _PASSES).plus(
        discriminator.cost.times(_DISCRIMINATOR_PASSES)
    )
    return step.times(config.steps * config.batch_size)


def _translate(job: Job, setting: recipes.Setting) -> Cost:
    images = num_images(job.flags["source_records"], setting)
    return _gan_pass("generator", RECORD_SIZE).cost.times(images)


def _evaluate(job: Job, setting: recipes.Setting) -> Cost:
    records = job.flags["records"]
    stored = VAL_SIZE if records is setting.val else RECORD_SIZE
    (scale,) = map(float, parsed(job).scales)
    size = tuple(round(scale * length) for length in stored)
    trained = parsed(job.flags["segmenter"].job)
    forward = segmenter_forward(trained, size)
    return forward.cost.times(num_images(records, setting))


def _estimate_weights(job: Job, setting: recipes.Setting) -> Cost:
    trained = parsed(job.flags["segmenter"].job)
    images = NUM_IMAGES["source"] + NUM_IMAGES["target"]
    return segmenter_forward(trained).cost.times(images)


_COSTS = {
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
