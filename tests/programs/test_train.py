import dataclasses
import os
import resource

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)

from kliep_tf import runs, train_weights
from kliep_tf.data import weights
from kliep_tf.data.index import build_index
from kliep_tf.data.records import resolve_records
from kliep_tf.errors import UserError
from kliep_tf.train import train
from tests import processes
from tests.conftest import respelled, run_program
from tests.programs.run_directories import (
    assert_same_checkpoints,
    board_values,
    checkpoint_values,
    copy_run,
    first_step_logged_last,
    flags,
    forget_last_checkpoint,
    tensorboard_tags,
    wait_for_checkpoint,
)


def test_run_leaves_everything_it_promises(trained_run):
    assert runs.read_config(trained_run)["status"] == "complete"
    assert (trained_run / "saved_model" / "saved_model.pb").exists()
    assert weights.has_weights(trained_run / "weights")
    assert tf.train.latest_checkpoint(
        str(trained_run / "checkpoints")
    ).endswith("ckpt-3")


def test_cohort_is_the_third_that_was_asked_for(
    trained_config, trained_run, source_records, capsys
):
    index = build_index(resolve_records(source_records, "source_records"))
    found = weights.load_weights(trained_run / "weights", "source").weights
    config = dataclasses.replace(trained_config, source_cohort="high")
    cohort = train_weights.select_cohort(config, index)
    third = len(found) // 3
    least, largest = np.sort(found)[[-third, -1]]
    lookup = weights.load_weights(trained_run / "weights", "source").lookup
    np.testing.assert_array_equal(
        np.sort(lookup(cohort.filenames)), np.sort(found)[-third:]
    )
    assert (
        f"--source_cohort=high: {third} of {len(found)} source images, weights "
        f"{least:.3g} to {largest:.3g}"
    ) in capsys.readouterr().out


def test_board_shows_losses_pictures_weights_and_config(trained_run):
    assert tensorboard_tags(trained_run) >= {
        "cycle/source",
        "cycle/target",
        "identity/source",
        "identity/target",
        "generator/source_to_target",
        "generator/target_to_source",
        "discriminator/source",
        "discriminator/target",
        "accuracy/source_discriminator",
        "accuracy/target_discriminator",
        "gradient_norm/generator",
        "gradient_norm/discriminator",
        "speed/images_per_second",
        "learning_rate/generator",
        "learning_rate/discriminator",
        "pictures/source_to_target_and_back",
        "pictures/target_to_source_and_back",
        "weights/source",
        "weights/target",
        "weights/source_effective_share",
        "run/config",
        "run/command",
        "_hparams_/experiment",
        "_hparams_/session_start_info",
        "_hparams_/session_end_info",
    }


def test_board_says_what_every_scalar_is(trained_run):
    board = EventAccumulator(str(trained_run / "tensorboard"))
    board.Reload()
    tags = set(board.PluginTagToContent("scalars"))
    # Beside the losses those of the weights, written before any step.
    assert {"cycle/source", "weights/target_largest"} <= tags
    for tag in tags:
        text = board.SummaryMetadata(tag).summary_description
        assert text.endswith("."), tag
    # Said with the first of three points alone.
    texts = [
        value.metadata.summary_description
        for _, _, value in board_values(trained_run)
        if value.tag == "cycle/source"
    ]
    assert texts[0] and texts[1:] == ["", ""]


def test_pictures_are_described_by_their_headings(trained_run):
    board = EventAccumulator(str(trained_run / "tensorboard"))
    board.Reload()
    metadata = board.SummaryMetadata("pictures/target_to_source_and_back")
    assert metadata.summary_description == (
        "One example a row: target, translated to source, back to target."
    )


def test_finished_run_says_so_by_any_path_and_changes_nothing(
    trained_run, trained_config, tmp_path, capsys
):
    before = os.stat(trained_run / "checkpoints" / "checkpoint").st_mtime_ns
    train(respelled(trained_config, tmp_path))
    assert "already trained to step 3" in capsys.readouterr().out
    after = os.stat(trained_run / "checkpoints" / "checkpoint").st_mtime_ns
    assert before == after


def test_estimated_weights_favour_what_the_other_domain_shows(
    trained_run, source_records
):
    """The source has half sky, the target a third: less sky, more weight."""
    found = weights.load_weights(trained_run / "weights", "source")
    features = np.load(trained_run / "weights" / "source_features.npz")
    sky = features["values"][:, 10]
    assert sky @ found.weights / found.weights.sum() < sky.mean() - 0.05


@pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="needs Linux's prlimit"
)
def test_full_disk_ends_the_run_and_leaves_the_checkpoint_before(
    tmp_path, tiny_config
):
    config = dataclasses.replace(
        tiny_config,
        run_dir=str(tmp_path / "run"),
        steps=10_000,
        log_every=10_000,
        image_every=10_000,
        source_weight_exponent=0.0,
        target_weight_exponent=0.0,
        # Less to trace.
        num_residual_blocks=0,
        identity_weight=0.0,
    )
    process = processes.start(["-m", "kliep_tf.train", *flags(config)])
    wait_for_checkpoint(process, tmp_path / "run", 2)
    # From now on no file can grow beyond 100 kB, less than a checkpoint.
    limits = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, limits[1]))
    _, stderr = process.communicate()
    assert process.returncode == 74
    (message,) = [
        line for line in stderr.splitlines() if line.startswith("error: ")
    ]
    assert str(tmp_path / "run" / "checkpoints") in message
    values = checkpoint_values(tmp_path / "run")
    assert max(value.nbytes for value in values.values()) > 0
    for name, value in values.items():
        assert np.isfinite(value).all(), name
    # What failed leaves nothing that the next run would stumble upon.
    assert not list((tmp_path / "run" / "checkpoints").glob("*_temp"))


def test_weights_that_miss_an_example_stop_the_run_before_the_first_step(
    tmp_path, tiny_config, trained_run
):
    for domain in ("source", "target"):
        found = weights.load_weights(trained_run / "weights", domain)
        fewer = dataclasses.replace(
            found, filenames=found.filenames[1:], weights=found.weights[1:]
        )
        weights.save_weights(tmp_path, fewer)
    config = dataclasses.replace(
        tiny_config, run_dir=str(tmp_path / "run"), weights_dir=str(tmp_path)
    )
    with pytest.raises(UserError, match="found none for '00000'"):
        train(config)
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source_records": "/no/such"}, "--source_records=/no/such"),
        ({"crop_height": 64, "crop_width": 48}, "crop_height=64"),
        ({"crop_height": 24}, "expected both"),
        ({"image_height": 30, "image_width": 48}, "multiple of 4.*30"),
        ({"image_height": 16, "image_width": 16}, "at least 24"),
        ({"steps": 0}, "--steps=0"),
        ({"method": "magic"}, "--method=magic: expected one of cyclegan"),
        ({"pool_size": 1, "batch_size": 2}, "--pool_size=1"),
        ({"learning_rate": -1.0}, "--learning_rate"),
        ({"seed": -1}, "--seed=-1: expected 0 to"),
        ({"source_weight_exponent": 50.0}, "exponent=50.0: expected 0 to 4"),
        ({"target_weight_exponent": -1.0}, "exponent=-1.0: expected 0 to 4"),
        ({"cycle_weight": -10.0}, "--cycle_weight=-10.0: expected 0 or more"),
        ({"learning_rate": float("inf")}, "--learning_rate=inf: expected more"),
        ({"learning_rate": 1e6}, "=1000000.0: expected more than 0, 1 or less"),
        ({"seed": 2**30}, "--seed=1073741824: expected 0 to 1073741823"),
    ],
)
def test_bad_flags_are_refused_before_anything_is_written(
    tmp_path, tiny_config, changes, message
):
    run_dir = tmp_path / "run"
    config = dataclasses.replace(tiny_config, run_dir=str(run_dir), **changes)
    with pytest.raises(UserError, match=message):
        train(config)
    assert not run_dir.exists()


def test_other_arguments_need_another_directory(trained_run, trained_config):
    config = dataclasses.replace(trained_config, cycle_weight=5.0)
    with pytest.raises(UserError, match=r"cycle_weight=10\.0.*=5\.0"):
        train(config)


TWO_DEVICES = """
import sys
import tensorflow as tf
from kliep_tf import cli
from kliep_tf.train import train
from kliep_tf.train_flags import TrainConfig
from kliep_tf.translation.methods.cyclegan import method
from tests.programs.tiny_training import ADDITIONS
for known, name, value in ADDITIONS:
    known[name] = value
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)
train(cli.parse(TrainConfig, sys.argv))
print(*sys.modules)
"""


def test_run_on_two_devices_continues_to_the_very_same_weights(
    tmp_path, method_config
):
    """CycleGAN's own state does in tests/translation/methods/cyclegan."""
    config = dataclasses.replace(
        method_config, run_dir=str(tmp_path / "run"), distribution="mirrored"
    )
    command = ["-c", TWO_DEVICES, *flags(config)]
    ended = processes.run(command)
    assert ended.returncode == 0, ended.stderr
    # Without weights there is nothing to estimate.
    imported = ended.stdout.split()
    assert "kliep_tf.translation.methods.cyclegan.model" in imported
    assert "kliep_tf.density_ratio.kliep" not in imported
    assert "kliep_tf.estimate_weights" not in imported
    copy_run(tmp_path / "run", tmp_path / "whole")
    assert (tmp_path / "run" / "saved_model" / "saved_model.pb").exists()

    forget_last_checkpoint(tmp_path / "run")
    ended = processes.run(command)
    assert ended.returncode == 0, ended.stderr
    assert first_step_logged_last(tmp_path / "run", "tiny/sky") == 3
    assert_same_checkpoints(tmp_path / "run", tmp_path / "whole")


def test_config_of_a_run_can_be_read_back(trained_run, trained_config):
    record = runs.read_config(trained_run)
    found = runs.config_from_record(type(trained_config), record)
    assert found == trained_config


def test_mistake_on_the_command_line_is_one_line_and_status_1(
    tmp_path, source_records, target_records
):
    ended = run_program(
        "kliep_tf.train",
        f"--source_records={source_records}",
        f"--target_records={target_records}",
        f"--run_dir={tmp_path / 'run'}",
        "--crop_height=64",
        "--crop_width=64",
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "error: --crop_height=64 --crop_width=64: expected a crop no larger "
        "than the images of --source_records, found images of 32x48"
    ]


def test_nan_weight_is_refused_by_name(tmp_path, tiny_config, trained_run):
    for domain in ("source", "target"):
        path = weights.weights_path(trained_run / "weights", domain)
        arrays = dict(np.load(path))
        if domain == "source":
            arrays["weights"][5] = np.nan
            name = arrays["filenames"][5]
        np.savez(weights.weights_path(tmp_path, domain), **arrays)
    config = dataclasses.replace(
        tiny_config, run_dir=str(tmp_path / "run"), weights_dir=str(tmp_path)
    )
    with pytest.raises(UserError, match=f"found nan for '{name}'"):
        train(config)
