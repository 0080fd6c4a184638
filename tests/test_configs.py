"""Every flagfile that ships is parsed by the program it is written for."""

import dataclasses
import os
from pathlib import Path

import pytest

from kliep_tf import cli
from kliep_tf.adapt_segmenter import AdaptSegmenterConfig
from kliep_tf.experiments.cohorts import CohortsConfig
from kliep_tf.experiments.exponents import ExponentsConfig
from kliep_tf.experiments.table1 import Table1Config
from kliep_tf.train import TrainConfig
from kliep_tf.train_segmenter import TrainSegmenterConfig
from kliep_tf.translation.networks import MIN_SIZE, SIZE_MULTIPLE
from tests.conftest import ROOT
from tfrecords_tools.convert_cityscapes import ConvertCityscapesConfig
from tfrecords_tools.convert_gta5 import ConvertGta5Config

CONFIGS = ROOT / "configs"

# A new flagfile gets a line here, or the tests fail.
PROGRAMS = {
    "adaptsegnet.flags": AdaptSegmenterConfig,
    "adaptsegnet_city.flags": AdaptSegmenterConfig,
    "adda.flags": AdaptSegmenterConfig,
    "adda_city.flags": AdaptSegmenterConfig,
    "city_segmenter.flags": TrainSegmenterConfig,
    "cohorts_camvid.flags": CohortsConfig,
    "cohorts_city.flags": CohortsConfig,
    "cohorts_deeplab_v2.flags": CohortsConfig,
    "cohorts_deeplab_v3plus.flags": CohortsConfig,
    "cohorts_drn_c_26.flags": CohortsConfig,
    "convert_cityscapes.flags": ConvertCityscapesConfig,
    "convert_cityscapes_val.flags": ConvertCityscapesConfig,
    "convert_gta5.flags": ConvertGta5Config,
    "cycada_camvid.flags": TrainConfig,
    "cycada_city.flags": TrainConfig,
    "cycada_city_long.flags": TrainConfig,
    "cycada_photographs.flags": TrainConfig,
    "cyclegan_camvid.flags": TrainConfig,
    "cyclegan_city.flags": TrainConfig,
    "cyclegan_photographs.flags": TrainConfig,
    "deeplab_v2.flags": TrainSegmenterConfig,
    "deeplab_v3plus.flags": TrainSegmenterConfig,
    "demo.flags": TrainConfig,
    "drn_c_26.flags": TrainSegmenterConfig,
    "exponents_city.flags": ExponentsConfig,
    "full_size.flags": CohortsConfig,
    "gta2cs.flags": TrainConfig,
    "gta2cs_cycada.flags": TrainConfig,
    "gta2cs_cycada_one_gpu.flags": TrainConfig,
    "gta2cs_half.flags": TrainConfig,
    "gta2cs_one_gpu.flags": TrainConfig,
    "gta2cs_unit.flags": TrainConfig,
    "gta2cs_unit_2017.flags": TrainConfig,
    "photograph_segmenter.flags": TrainSegmenterConfig,
    "road.flags": AdaptSegmenterConfig,
    "road_city.flags": AdaptSegmenterConfig,
    "table1_camvid.flags": Table1Config,
    "table1_camvid_cityscapes.flags": Table1Config,
    "table1_camvid_long.flags": Table1Config,
    "table1_city.flags": Table1Config,
    "table1_cityscapes.flags": Table1Config,
    "table1_cityscapes_long.flags": Table1Config,
    "table1_cityscapes_textured.flags": Table1Config,
    "table1_deeplab_v2.flags": Table1Config,
    "table1_deeplab_v3plus.flags": Table1Config,
    "table1_drn_c_26.flags": Table1Config,
    "unit_city.flags": TrainConfig,
    "weighting_camvid.flags": ExponentsConfig,
    "weighting_carla.flags": ExponentsConfig,
    "weighting_city.flags": ExponentsConfig,
    "weighting_cityscapes.flags": ExponentsConfig,
}

# What whoever uses a flagfile has to add.
TRAINED = [
    "--source_records=source",
    "--target_records=target",
    "--run_dir=run",
]
ADDED = {
    "adaptsegnet_city.flags": TRAINED,
    "adda_city.flags": TRAINED,
    "cycada_camvid.flags": TRAINED,
    "cycada_city.flags": TRAINED,
    "cycada_city_long.flags": TRAINED,
    "cycada_photographs.flags": TRAINED,
    "road_city.flags": TRAINED,
    "city_segmenter.flags": ["--train_records=train", "--run_dir=run"],
    "photograph_segmenter.flags": ["--train_records=train", "--run_dir=run"],
    "cyclegan_camvid.flags": TRAINED,
    "cyclegan_city.flags": TRAINED,
    "cyclegan_photographs.flags": TRAINED,
    "demo.flags": TRAINED,
    "full_size.flags": ["--output_dir=out"],
    "unit_city.flags": TRAINED,
}

FLAGFILES = sorted(path.name for path in CONFIGS.iterdir())


def parse(name: str, *overrides: str):
    words = [f"--flagfile={CONFIGS / name}", *ADDED.get(name, []), *overrides]
    return cli.parse(PROGRAMS[name], ["program", *words])


def flags_in(name: str) -> list[str]:
    """Returns the names of the flags that a flagfile sets."""
    lines = (CONFIGS / name).read_text(encoding="utf-8").splitlines()
    return [
        line.strip().removeprefix("--").partition("=")[0]
        for line in lines
        if line.strip() and not line.startswith("#")
    ]


def fits_networks(length: int) -> bool:
    return length >= MIN_SIZE and length % SIZE_MULTIPLE == 0


@pytest.mark.parametrize("name", FLAGFILES)
def test_flagfile_belongs_to_a_program(name):
    assert name in PROGRAMS


@pytest.mark.parametrize("name", FLAGFILES)
def test_flagfile_is_complete_and_every_flag_known(name):
    # parse raises for an unknown, missing or unusable flag.
    config = parse(name)
    for field in dataclasses.fields(config):
        if field.default is dataclasses.MISSING:
            assert getattr(config, field.name), field.name


@pytest.mark.parametrize("name", FLAGFILES)
def test_flagfile_sets_each_flag_once(name):
    flags = flags_in(name)
    assert sorted(flags) == sorted(set(flags))


@pytest.mark.parametrize("name", FLAGFILES)
def test_command_line_overrides_flagfile(name):
    config = parse(name)
    overridden = 0
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        # A name of a registry, such as --method, takes no other word either.
        named = field.metadata["choices"] or field.metadata["adds"]
        if field.name not in flags_in(name) or named:
            continue
        match value:
            case bool() | tuple():
                continue
            case int():
                above = value + 1
                other = above if above in field.metadata["range"] else value - 1
            case float():
                other = value / 2
            case _:
                other = f"{value}_other"
        found = parse(name, f"--{field.name}={other}")
        assert found == dataclasses.replace(config, **{field.name: other})
        overridden += 1
    assert overridden


@pytest.mark.parametrize("name", FLAGFILES)
def test_paths_are_relative_to_the_working_directory(name):
    config = parse(name)
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name.endswith(("_dir", "_records", "_flagfile", "_weights")):
            assert not os.path.isabs(value), field.name


def test_gta2cs_is_the_published_recipe():
    config = parse("gta2cs.flags")
    assert (config.image_height, config.image_width) == (512, 1024)
    for length in (config.crop_height, config.crop_width):
        assert 360 <= length <= 512
        assert fits_networks(length)
    assert config.distribution == "mirrored"
    assert config.source_weight_exponent == 1
    assert config.target_weight_exponent == 1
    assert config.cycle_weight * config.identity_weight == 10


def test_gta2cs_half_differs_in_its_exponents_alone(monkeypatch):
    monkeypatch.chdir(ROOT)  # it names gta2cs.flags from there
    half = parse("gta2cs_half.flags")
    assert half.source_weight_exponent == half.target_weight_exponent == 0.5
    assert dataclasses.replace(
        half,
        run_dir="runs/gta2cs",
        source_weight_exponent=1.0,
        target_weight_exponent=1.0,
    ) == parse("gta2cs.flags")


def test_gta2cs_on_one_gpu_sees_the_same_images(monkeypatch):
    monkeypatch.chdir(ROOT)
    one, all_gpus = parse("gta2cs_one_gpu.flags"), parse("gta2cs.flags")
    assert (one.distribution, one.batch_size) == ("none", 1)
    assert one.steps == all_gpus.steps * all_gpus.batch_size
    same = {
        name: getattr(all_gpus, name)
        for name in ("distribution", "batch_size", "steps")
    }
    unseen = {
        field.name: getattr(all_gpus, field.name)
        for field in dataclasses.fields(TrainConfig)
        if not field.metadata["affects_output"]
    }
    assert dataclasses.replace(one, **same, **unseen) == all_gpus


def test_cycada_on_the_city_is_its_cyclegan_with_semantic_losses():
    cycada, cyclegan = parse("cycada_city.flags"), parse("cyclegan_city.flags")
    assert cycada.semantic_weight == 1
    for field in dataclasses.fields(cyclegan):
        if field.name != "method":
            found = getattr(cycada, field.name)
            assert found == getattr(cyclegan, field.name), field.name


def test_the_demo_trains_the_citys_cyclegan_for_longer():
    demo, cyclegan = parse("demo.flags"), parse("cyclegan_city.flags")
    assert demo == dataclasses.replace(cyclegan, steps=demo.steps)
    assert demo.steps > cyclegan.steps


def test_cycada_on_one_gpu_has_no_weights_and_cyclegans_recipe(monkeypatch):
    monkeypatch.chdir(ROOT)
    cycada = parse("gta2cs_cycada_one_gpu.flags")
    own = {
        "method": "cyclegan",
        "run_dir": "runs/gta2cs",
        "source_weight_exponent": 1.0,
        "target_weight_exponent": 1.0,
    }
    one_gpu = parse("gta2cs_one_gpu.flags")
    for field in dataclasses.fields(one_gpu):
        found = own.get(field.name, getattr(cycada, field.name))
        assert found == getattr(one_gpu, field.name), field.name


@pytest.mark.parametrize("num_gpus", [1, 2, 4, 8])
def test_gta2cs_shares_its_batch_equally(num_gpus):
    assert parse("gta2cs.flags").batch_size % num_gpus == 0


def test_gta2cs_reads_what_the_converters_write():
    config = parse("gta2cs.flags")
    pairs = (
        (config.source_records, parse("convert_gta5.flags")),
        (config.target_records, parse("convert_cityscapes.flags")),
    )
    for records, converter in pairs:
        assert Path(records).parent == Path(converter.output_dir)
        assert Path(records).name == f"{converter.split}-*"
        size = (converter.image_height, converter.image_width)
        assert size == (config.image_height, config.image_width)


def recipe(name: str) -> tuple:
    """Returns network, crop, rate, momentum and schedule of a flagfile."""
    config = parse(name)
    assert config.optimizer == "sgd"
    assert (config.min_scale, config.max_scale) == (0.5, 2)
    assert config.flip
    return (
        config.network,
        (config.crop_height, config.crop_width),
        config.learning_rate,
        config.momentum,
        config.schedule,
    )


def test_segmenters_have_the_published_recipes():
    network, *rest = recipe("drn_c_26.flags")
    assert network == "drn_c_26"
    assert rest == [(600, 600), 1e-3, 0.99, "step"]
    config = parse("drn_c_26.flags")
    assert config.epochs == 200
    assert config.epochs * config.drop_every == 100

    network, *rest = recipe("deeplab_v3plus.flags")
    assert network == "deeplab_v3plus_xception65"
    assert rest == [(513, 513), 7e-3, 0.9, "poly"]
    config = parse("deeplab_v3plus.flags")
    assert (config.steps, config.batch_size) == (90_000, 16)

    network, *rest = recipe("deeplab_v2.flags")
    assert network == "deeplab_v2_resnet101"
    assert rest[1:] == [2.5e-4, 0.9, "poly"]
    config = parse("deeplab_v2.flags")
    assert config.head_learning_rate_factor == 10
    assert config.weight_decay == 5e-4
    assert config.freeze_batch_norm


@pytest.mark.parametrize(
    "name", ["drn_c_26.flags", "deeplab_v3plus.flags", "deeplab_v2.flags"]
)
def test_segmenters_learn_from_what_translate_writes(name):
    config = parse(name)
    # Batches are shared equally by 1, 2, 4 or 8 GPUs.
    assert config.batch_size % 8 == 0
    converter = parse("convert_cityscapes.flags")
    assert Path(config.val_records).parent == Path(converter.output_dir)
    # The name that the README's full-size commands give to translate.
    folder, _, shards = config.train_records.rpartition("/")
    assert folder == "records/gta5_translated"
    assert shards == f"{parse('convert_gta5.flags').split}-*"
