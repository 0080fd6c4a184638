"""One tiny run, trained once and exported, for all tests of programs."""

import dataclasses
from pathlib import Path

import pytest
import tensorflow as tf

from kliep_tf import cli
from kliep_tf.estimate_weights import EstimateConfig, estimate
from kliep_tf.train import train
from kliep_tf.train_flags import TrainConfig, make_config
from tests.conftest import ROOT, eagerly, make_once, write_records
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


# The published recipe at sizes of a test, and every option that changes what
# is trained.
RECIPE = (
    f"--flagfile={ROOT}/configs/gta2cs.flags",
    *(f"--{name}={value}" for name, value in TINY.items()),
    "--distribution=none",
    "--batch_size=1",
    "--adversarial_loss=hinge",
    "--spectral_norm",
    "--generator_ema=0.5",
    "--rematerialize",
    "--convolution=winograd",
    "--max_weight=1.2",
    # Generators make multiples of 4; frames of GTA5 are 1914 wide.
    "--image_height=34",
    "--image_width=50",
    "--crop_height=24",
    "--crop_width=28",
    "--min_scale=0.8",
    "--max_scale=1.3",
    "--consistency_every=3",
)


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


def write_segmenter(directory):
    """Writes a SavedModel that sees classes 0 and 1, by the red."""
    module = tf.Module()
    module.serve = tf.function(
        lambda images: {"classes": tf.one_hot(images[..., 0] // 128, 19)},
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
    )
    signatures = {"serving_default": module.serve}
    tf.saved_model.save(module, str(directory), signatures)


@pytest.fixture(scope="session")
def trained_config(
    source_records, target_records, shared_root, tmp_path_factory
) -> TrainConfig:
    """The config of `trained_run`."""
    segmenter = make_once(shared_root / "red_segmenter", write_segmenter)
    run_dir = tmp_path_factory.mktemp("runs") / "trained"
    return cli.parse(
        TrainConfig,
        [
            "train",
            *RECIPE,
            f"--source_records={source_records}",
            f"--target_records={target_records}",
            f"--consistency_segmenter={segmenter}",
            f"--run_dir={run_dir}",
        ],
    )


@pytest.fixture(scope="session")
def trained_run(trained_config, shared_root):
    """The directory of a finished run with estimated weights.

    One a process: some tests lose a file of it and have it made again.
    """
    return _run_once(trained_config, shared_root / "trained_run")


@pytest.fixture(scope="module")
def method_config(
    tiny_method_registered, source_records, target_records, tmp_path_factory
):
    """A training of the tiny method, into a directory of this module's."""
    run_dir = tmp_path_factory.mktemp("runs") / "tiny_method"
    return tiny_training.make_config(source_records, target_records, run_dir)


@pytest.fixture(scope="module")
def method_run(method_config, shared_root):
    """The directory of that run, finished; the module's to change."""
    return _run_once(method_config, shared_root / "tiny_method_run")


def _run_once(config: TrainConfig, shared: Path) -> Path:
    """Returns the config's run_dir, with a copy of a run trained once."""

    def make(run_dir):
        train(dataclasses.replace(config, run_dir=str(run_dir)))

    run_dir = Path(config.run_dir)
    copy_run(make_once(shared, make), run_dir)
    return run_dir


@pytest.fixture(scope="session")
def unlabelled_target(shared_root) -> Path:
    """12 camera scenes without labels."""
    return make_once(
        shared_root / "unlabelled_target",
        lambda directory: write_records(
            directory, number=12, sky=0.35, bright=False, labelled=False
        ),
    )


@pytest.fixture(scope="session")
def taught_by_the_source(
    source_records, unlabelled_target, shared_root
) -> Path:
    """Weights of an unlabelled target, nothing said of how to get them."""

    def make(weights_dir):
        config = EstimateConfig(
            source_records=str(source_records),
            target_records=str(unlabelled_target),
            weights_dir=str(weights_dir),
            segmenter_steps=1,
            bandwidth="0.5",
        )
        with eagerly():
            estimate(config)

    return make_once(shared_root / "taught_by_the_source", make)
