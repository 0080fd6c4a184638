"""One tiny run, trained once and exported, for all tests of programs."""

import dataclasses
from pathlib import Path

import pytest

from kliep_tf.train import train
from kliep_tf.train_flags import TrainConfig, make_config
from tests.conftest import make_once
from tests.programs import tiny_training
from tests.programs.run_directories import copy_run

TINY = {
    "steps": 3,
    "generator_filters": 2,
    "discriminator_filters": 2,
    "num_residual_blocks": 1,
    "pool_size": 2,
    "features": "class_histogram",
    "log_every": 1,
    "image_every": 3,
    "checkpoint_every": 2,
}


@pytest.fixture(scope="module")
def tiny_method_registered():
    """Lets `--method` take the tiny method of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for known, name, value in tiny_training.ADDITIONS:
            patch.setitem(known, name, value)
        yield


@pytest.fixture(scope="session")
def tiny_config(source_records, target_records) -> TrainConfig:
    """A run of three steps; its run_dir is to be replaced."""
    return make_config(
        source_records=str(source_records),
        target_records=str(target_records),
        run_dir="",
        **TINY,
    )


@pytest.fixture(scope="session")
def trained_run(tiny_config, shared_root, tmp_path_factory):
    """The directory of a finished run with estimated weights."""

    def make(run_dir):
        train(dataclasses.replace(tiny_config, run_dir=str(run_dir)))

    made = make_once(shared_root / "trained_run", make)
    # One a process: some tests lose a file of it and have it made again.
    run_dir = tmp_path_factory.mktemp("runs") / "tiny"
    copy_run(made, run_dir)
    return run_dir


@pytest.fixture(scope="module")
def method_config(source_records, target_records, tmp_path_factory):
    """A training of the tiny method, into a directory of this module's."""
    run_dir = tmp_path_factory.mktemp("runs") / "tiny_method"
    return tiny_training.make_config(source_records, target_records, run_dir)


@pytest.fixture(scope="module")
def method_run(method_config, tiny_method_registered, shared_root):
    """The directory of that run, finished; the module's to change."""

    def make(run_dir):
        train(dataclasses.replace(method_config, run_dir=str(run_dir)))

    run_dir = Path(method_config.run_dir)
    copy_run(make_once(shared_root / "tiny_method_run", make), run_dir)
    return run_dir
