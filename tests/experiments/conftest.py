from pathlib import Path

import pytest

from kliep_tf.experiments import table1
from kliep_tf.experiments.comparison import rows
from kliep_tf.experiments.comparison.setting import make_setting
from kliep_tf.experiments.running.jobs import Job, in_order
from kliep_tf.segmentation.networks import NETWORKS
from tests.conftest import make_once, write_records
from tests.experiments.real_programs import run_here
from tests.programs import tiny_training
from tests.segmentation import small_network


@pytest.fixture(scope="module")
def common(source_records, target_records, tmp_path_factory):
    """Flags of all experiments on a pair of domains."""
    return {
        "source_records": str(source_records),
        "target_records": str(target_records),
        "val_records": str(target_records),
        "cache_dir": str(tmp_path_factory.mktemp("cache")),
        "num_seeds": 2,
    }


# Of the package: elsewhere nobody knows the tiny method.
@pytest.fixture(scope="package")
def tiny_known():
    """Lets programs take the tiny method and a small network of the tests."""
    networks = small_network.NETWORKS.items()
    with pytest.MonkeyPatch.context() as patch:
        for known, name, value in (
            *tiny_training.ADDITIONS,
            *((NETWORKS, name, network) for name, network in networks),
        ):
            patch.setitem(known, name, value)
        yield


@pytest.fixture(scope="package")
def tiny(shared_root, tiny_known):
    """Flags of experiments whose every program runs in seconds.

    They share a cache, as users' experiments do.
    """

    def make(root):
        write_records(root / "source", number=4, sky=0.5, bright=True)
        write_records(root / "target", number=4, sky=0.3, bright=False)
        (root / "train.flags").write_text(
            "--method=tiny\n--steps=2\n--image_height=32\n--image_width=48\n"
        )
        (root / "segmenter.flags").write_text("--network=small\n--steps=2\n")
        (root / "adaptsegnet.flags").write_text(
            "--network=small\n--steps=2\n--batch_size=2\n"
            "--discriminator_filters=2\n"
        )

    root = make_once(shared_root / "tiny_experiments", make)
    source, target = root / "source", root / "target"
    return {
        "source_records": str(source),
        "target_records": str(target),
        "val_records": str(target),
        "cache_dir": str(root / "cache"),
        "train_flagfile": str(root / "train.flags"),
        "segmenter_flagfile": str(root / "segmenter.flags"),
        # They need no segmenter.
        "features": "class_histogram",
        "num_seeds": 1,
    }


@pytest.fixture(scope="package")
def tiny_table(tiny) -> dict:
    """Flags of a table with rows of each kind, of which `ran` ran a part."""
    flagfile = Path(tiny["segmenter_flagfile"]).with_name("adaptsegnet.flags")
    return tiny | {
        # uLSIF, which has no solver to compile.
        "methods": ("weighted:1:0.5:ulsif",),
        "rows": (
            "adapted=adaptsegnet",
            "both=cyclegan:1:0.5:ulsif+adaptsegnet",
        ),
        "recipes": (f"adaptsegnet={flagfile}",),
    }


@pytest.fixture(scope="package")
def ran(tiny_table) -> list[Job]:
    """Jobs of the tiny table that have run for real: one of each program.

    In the cache of `tiny`. Whoever needs more of a kind takes copies.
    """
    config = table1.Table1Config(output_dir="x", **tiny_table)
    setting = make_setting(config)
    compared = table1.make_study(config, setting).rows
    scored = rows.segmentations(setting, compared, [0])
    judged = rows.judgements(setting, compared, [0])
    wanted = [scored["both", 0], judged["weighted", 0]]
    run_here(wanted, Path(config.cache_dir))
    return in_order(wanted)
