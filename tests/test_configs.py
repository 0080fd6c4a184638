"""Every flagfile that ships is parsed by the program it is written for."""

import dataclasses
import os
from pathlib import Path

import pytest

from kliep_tf import cli
from kliep_tf.cyclegan.networks import MIN_SIZE, SIZE_MULTIPLE
from kliep_tf.train import TrainConfig
from tests.conftest import ROOT
from tfrecords_tools.convert_cityscapes import ConvertCityscapesConfig
from tfrecords_tools.convert_gta5 import ConvertGta5Config

CONFIGS = ROOT / "configs"

# A new flagfile gets a line here, or the tests fail.
PROGRAMS = {
    "convert_cityscapes.flags": ConvertCityscapesConfig,
    "convert_gta5.flags": ConvertGta5Config,
    "demo.flags": TrainConfig,
    "gta2cs.flags": TrainConfig,
}

# What whoever uses a flagfile has to add.
ADDED = {
    "demo.flags": [
        "--source_records=source",
        "--target_records=target",
        "--run_dir=run",
    ],
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
    config = parse(name, "--seed=12345")
    assert config.seed == 12345


@pytest.mark.parametrize("name", FLAGFILES)
def test_paths_are_relative_to_the_working_directory(name):
    config = parse(name)
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name.endswith(("_dir", "_records")):
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
