"""The flagfiles of Tables I and III: what they share, and all their jobs."""

import dataclasses
from pathlib import Path

import pytest

from kliep_tf.experiments import cohorts, table1
from kliep_tf.experiments.cohorts import CohortsConfig
from kliep_tf.experiments.comparison.setting import make_setting
from kliep_tf.experiments.demo_run.flags import DemoConfig
from kliep_tf.experiments.demo_run.plan import plan
from kliep_tf.experiments.running.jobs import Job, Output
from kliep_tf.experiments.table1 import Table1Config
from kliep_tf.train import TrainConfig
from tests.experiments.real_programs import MODULES, parse_command
from tests.experiments.real_programs import jobs_of as all_jobs
from tests.test_configs import CONFIGS, PROGRAMS, fits_networks, parse

TABLES = [
    name
    for name, program in PROGRAMS.items()
    if program in (Table1Config, CohortsConfig) and name != "full_size.flags"
]
NETWORKS = {
    "drn_c_26": "drn_c_26",
    "deeplab_v3plus": "deeplab_v3plus_xception65",
    "deeplab_v2": "deeplab_v2_resnet101",
}


@pytest.mark.parametrize("kind", ["table1", "cohorts"])
@pytest.mark.parametrize("network", NETWORKS)
def test_full_size_tables_train_the_networks_they_are_called_by(kind, network):
    config = parse(f"{kind}_{network}.flags")
    segmenter = Path(config.segmenter_flagfile).name
    assert parse(segmenter).network == NETWORKS[network]
    assert config.output_dir == f"results/{kind}_{network}"
    # Their recipes presume pretrained weights.
    assert bool(config.backbone_weights) == ("deeplab" in network)


def test_full_size_tables_share_all_but_the_segmenters():
    own = ("output_dir", "segmenter_flagfile", "backbone_weights")
    common = vars(parse("full_size.flags"))
    names = [
        f"{kind}_{network}.flags"
        for kind in ("table1", "cohorts")
        for network in NETWORKS
    ]
    for name in names:
        config = vars(parse(name))
        for flag in common.keys() - set(own):
            assert config[flag] == common[flag], (name, flag)


def test_full_size_tables_read_what_the_converters_write():
    config = parse("full_size.flags")
    train = parse("convert_cityscapes.flags")
    val = parse("convert_cityscapes_val.flags")
    for records, converter in (
        (config.source_records, parse("convert_gta5.flags")),
        (config.target_records, train),
        (config.val_records, val),
    ):
        assert Path(records).parent == Path(converter.output_dir)
        assert Path(records).name == f"{converter.split}-*"
    # Cityscapes' own size, 1024x2048, seen at the training's.
    assert (val.image_height, val.image_width) == (0, 0)
    seen = [config.val_scale * length for length in (1024, 2048)]
    assert seen == [train.image_height, train.image_width]
    assert config.train_flagfile == "configs/gta2cs_one_gpu.flags"


def jobs_of(config, source, target) -> list[Job]:
    """Returns the jobs of a table on these records."""
    config = dataclasses.replace(
        config,
        source_records=str(source),
        target_records=str(target),
        val_records=str(target),
    )
    module = table1 if isinstance(config, Table1Config) else cohorts
    setting = make_setting(config)
    study = module.make_study(config, setting)
    return all_jobs(study, setting, config.seeds)


@pytest.mark.parametrize("name", TABLES)
def test_every_job_of_a_table_has_the_flags_of_its_program(
    name, source_records, target_records, tmp_path
):
    config = parse(name)
    weights = tmp_path / "weights.npz"
    weights.write_bytes(b"weights")
    given = {
        flag: str(weights)
        for flag in ("backbone_weights", "teacher_weights")
        if getattr(config, flag, "")
    }
    config = dataclasses.replace(config, **given)
    jobs = jobs_of(config, source_records, target_records)
    assert {job.module for job in jobs} >= MODULES
    for job in jobs:
        parsed = parse_command(job, Path("cache"))
        if isinstance(parsed, TrainConfig):
            lengths = (
                parsed.crop_height or parsed.image_height,
                parsed.crop_width or parsed.image_width,
            )
            assert all(map(fits_networks, lengths)), lengths


def is_shared(job: Job) -> bool:
    """Whether this is a translation, or its training, but not CyCADA's.

    CyCADA's begins with a segmenter of the table's network.
    """
    if job.module == "kliep_tf.translate":
        job = job.flags["saved_model"].job
    return job.module == "kliep_tf.train" and "task_segmenter" not in job.flags


@pytest.mark.parametrize("kind", ["table1", "cohorts"])
def test_networks_share_cyclegans_and_translations(
    kind, source_records, target_records
):
    digests = []
    for network in NETWORKS:
        config = parse(f"{kind}_{network}.flags", "--backbone_weights=")
        if kind == "table1":
            config = dataclasses.replace(config, teacher_weights="")
        jobs = jobs_of(config, source_records, target_records)
        digests.append({job.digest for job in jobs if is_shared(job)})
        num_rows = 5 if kind == "table1" else 3  # UNIT without and with weights
        assert len(digests[-1]) == 2 * num_rows * config.num_seeds
    assert digests[0] == digests[1] == digests[2]


@pytest.mark.parametrize("kind", ["table1", "cohorts"])
def test_tables_of_the_city_read_what_make_demo_writes(kind):
    config = parse(f"{kind}_city.flags")
    root, flagfile = Path("demo"), str(CONFIGS / "demo.flags")
    demo = plan(DemoConfig(output_dir=str(root)), flagfile)
    assert config.source_records == str(demo.source.output_dir(root))
    for split, records in (
        ("train", config.target_records),
        ("val", config.val_records),
    ):
        written = Output(demo.target[split], f"{split}-*")
        assert records == written.path(root)
