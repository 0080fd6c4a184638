import pytest

from tests.conftest import make_once, write_records


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


@pytest.fixture(scope="session")
def tiny(shared_root):
    """Flags of experiments whose every program runs in seconds.

    They share a cache, as users' experiments do.
    """

    def make(root):
        write_records(root / "source", number=4, sky=0.5, bright=True)
        write_records(root / "target", number=4, sky=0.3, bright=False)
        (root / "train.flags").write_text(
            "--steps=2\n--generator_filters=2\n--discriminator_filters=2\n"
            "--num_residual_blocks=1\n--image_height=32\n--image_width=48\n"
        )
        (root / "segmenter.flags").write_text("--network=tiny\n--steps=2\n")
        (root / "adaptsegnet.flags").write_text(
            "--network=tiny\n--steps=2\n--batch_size=2\n"
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
        # One segmenter less; the demo's test has one.
        "features": "class_histogram",
        "num_seeds": 1,
    }
