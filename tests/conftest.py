"""Tiny records of two domains, drawn once for the whole test session."""

import contextlib
import dataclasses
import functools
import gc
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

# Before NumPy: beside another process of the session, BLAS's threads burn the
# processor while they wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# XLA takes longer to optimise than tests take to run what it makes. `XLA_FLAGS=
# make test` compiles as users do; tests/density_ratio/test_blocks.py always
# does.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 "
    "--xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_use_fusion_emitters=false",
)

# Before TensorFlow: it sets what the programs, too, run TensorFlow with.
from kliep_tf import cli  # noqa: F401

# isort: split
import filelock
import numpy as np
import pytest

from kliep_tf.data.class_sets import CITYSCAPES_CLASSES, ClassSet
from tests import processes

pytest_plugins = ["tests.cpu_times"]

gc.set_threshold(*processes.GARBAGE_THRESHOLDS)


def pytest_configure(config: pytest.Config) -> None:
    """Lets the processes of pytest-xdist share the one that forks."""
    if getattr(config.option, "numprocesses", None):
        processes.share()


def pytest_collection_finish() -> None:
    """Spares the search for garbage all that stays until the end."""
    gc.freeze()


ROOT = Path(__file__).resolve().parent.parent
SIZE = (32, 48)


def respelled(config, directory: Path):
    """Returns a config whose inputs are the same by other paths.

    They are relative, and lead through a symbolic link.
    """
    link = directory / "root"
    link.symlink_to("/")
    changed = {}
    for field in dataclasses.fields(config):
        path = getattr(config, field.name)
        if field.metadata["read_as"] and path:
            changed[field.name] = os.path.relpath(link) + os.path.abspath(path)
    assert changed
    return dataclasses.replace(config, **changed)


def draw_scene(rng: np.random.Generator, sky_share: float, bright: bool):
    """Returns uint8 image and train ids: sky (10) above a road (0)."""
    height, width = SIZE
    horizon = round(float(sky_share) * height)
    label = np.zeros((height, width, 1), np.uint8)
    label[:horizon] = 10
    sky, road = ((90, 160, 250), (90, 80, 100))
    if not bright:
        sky, road = ((150, 150, 160), (60, 60, 55))
    image = np.where(label == 10, sky, road).astype(np.float64)
    image += rng.normal(0, 8, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), label


def write_records(
    directory: Path,
    *,
    number: int,
    sky: float,
    bright: bool,
    split: str = "train",
    labelled: bool = True,
    num_labelled: int | None = None,
    num_shards: int = 2,
    prefix: str = "",
    classes: ClassSet = CITYSCAPES_CLASSES,
) -> Path:
    """Writes a small dataset of scenes with dataset.json.

    Of a part of them where `num_labelled` is given, the first have labels.
    """
    # Here, not above: the process that hands out the tests needs none of it.
    import tensorflow as tf

    from kliep_tf.data import records, summaries

    if num_labelled is None:
        num_labelled = number if labelled else 0
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([number, int(100 * sky), bright])
    shards = {}
    for shard in range(num_shards):
        names, examples = [], []
        for row in range(shard, number, num_shards):
            share = np.clip(rng.normal(sky, 0.1), 0.05, 0.9)
            image, label = draw_scene(rng, share, bright)
            names.append(f"{prefix}{row:05d}")
            examples.append(
                records.encode_example(
                    tf.io.encode_png(image).numpy(),
                    filename=names[-1],
                    height=SIZE[0],
                    width=SIZE[1],
                    label=(
                        tf.io.encode_png(label).numpy()
                        if row < num_labelled
                        else None
                    ),
                )
            )
        name = records.shard_name(split, shard, num_shards)
        records.write_shard(directory / name, examples)
        shards[name] = names
    summaries.write_summary(
        directory,
        summaries.SplitSummary(
            dataset="scenes",
            split=split,
            shards=shards,
            image_sizes={f"{SIZE[0]}x{SIZE[1]}": number},
            labelled=num_labelled,
            class_pixel_shares={},
            classes=classes,
        ),
    )
    return directory


@pytest.fixture(scope="session")
def shared_root(tmp_path_factory) -> Path:
    """A directory that all processes of a test session share."""
    root = tmp_path_factory.getbasetemp()
    return root.parent if "PYTEST_XDIST_WORKER" in os.environ else root


def make_once(directory: Path, make: Callable[[Path], object]) -> Path:
    """Lets `make` fill a directory, unless another process has.

    Its tests only read: one that writes takes a copy.
    """
    done = directory.with_suffix(".done")
    with filelock.FileLock(directory.with_suffix(".lock")):
        if not done.exists():
            shutil.rmtree(directory, ignore_errors=True)
            make(directory)
            done.touch()
    return directory


@pytest.fixture(scope="session")
def source_records(shared_root) -> Path:
    """24 labelled rendered scenes of much sky."""
    return make_once(
        shared_root / "source_records",
        lambda directory: write_records(
            directory, number=24, sky=0.5, bright=True
        ),
    )


@pytest.fixture(scope="session")
def target_records(shared_root) -> Path:
    """20 labelled camera scenes of little sky."""
    return make_once(
        shared_root / "target_records",
        lambda directory: write_records(
            directory, number=20, sky=0.35, bright=False, prefix="city_"
        ),
    )


def _save_backbone(name: str, path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    network = getattr(keras.applications, name)(include_top=False, weights=None)
    path.mkdir()
    network.save_weights(path / "backbone.weights.h5")


@pytest.fixture(scope="session")
def vgg16_file(shared_root) -> str:
    """VGG-16 as it is before any training."""
    made = make_once(
        shared_root / "vgg16", functools.partial(_save_backbone, "VGG16")
    )
    return str(made / "backbone.weights.h5")


@pytest.fixture(scope="session")
def mobilenet_v2_file(shared_root) -> str:
    """MobileNetV2, likewise."""
    made = make_once(
        shared_root / "mobilenet_v2",
        functools.partial(_save_backbone, "MobileNetV2"),
    )
    return str(made / "backbone.weights.h5")


@contextlib.contextmanager
def eagerly() -> Iterator[None]:
    """Runs step by step: tracing would take longer than the arithmetic."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def run_program(module: str, *arguments: object) -> subprocess.CompletedProcess:
    """Runs `python -m module arguments` and returns how it ended."""
    return processes.run(["-m", module, *map(str, arguments)])


def pytest_sessionfinish():
    processes.stop()
    # pytest's own search at the end goes through everything five times.
    gc.freeze()
