import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)

from kliep_tf import runs
from kliep_tf.data import records, weights
from kliep_tf.data.index import build_index
from kliep_tf.errors import UserError
from kliep_tf.segmentation.inference import load_segmenter
from kliep_tf.segmentation.optimizers import backbone_of
from kliep_tf.train_segmenter import TrainSegmenterConfig, train_segmenter
from kliep_tf.training.checkpoints import checkpoint_steps
from tests import processes
from tests.conftest import respelled
from tests.programs.run_directories import copy_run, forget_last_checkpoint
from tests.segmentation.checkpoints import last_numbers
from tests.segmentation.small_network import normalized, run_config


@pytest.fixture(scope="module")
def weighted_records(street_records, tmp_path_factory) -> Path:
    """The streets, each with its number as its importance weight."""
    (path,) = records.resolve_records(street_records, "records")
    directory = tmp_path_factory.mktemp("weighted")
    records.write_shard(
        directory / Path(path).name,
        [
            records.append_weight(example, float(number))
            for number, example in enumerate(records.read_shard(path))
        ],
    )
    return directory


def test_run_ends_with_a_segmenter(segmenter_run):
    record = runs.read_config(segmenter_run)
    assert record["status"] == "complete"
    segmenter = load_segmenter(segmenter_run / runs.SAVED_MODEL)
    shares = segmenter(np.zeros((1, 32, 64, 3), np.uint8))
    assert shares.shape == (1, 32, 64, 19)


def test_exported_weights_are_those_of_the_last_checkpoint(segmenter_run):
    model = tf.saved_model.load(str(segmenter_run / runs.SAVED_MODEL))
    exported = model.signatures["serving_default"].variables
    last = {value.tobytes() for value in last_numbers(segmenter_run).values()}
    assert len(exported) > 0
    for variable in exported:
        assert variable.numpy().tobytes() in last, variable.name


def test_second_run_finds_it_done_by_any_path(
    segmenter_run, street_records, tmp_path, capsys
):
    before = (segmenter_run / runs.CONFIG).read_text()
    train_segmenter(
        respelled(run_config(street_records, segmenter_run), tmp_path)
    )
    assert "already done" in capsys.readouterr().out
    assert (segmenter_run / runs.CONFIG).read_text() == before


def test_continued_run_ends_like_an_undisturbed_one(
    street_records, segmenter_run, tmp_path
):
    copy_run(segmenter_run, tmp_path / "run")
    # As a kill between steps 2 and 4 leaves it.
    forget_last_checkpoint(tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / runs.SAVED_MODEL)
    assert checkpoint_steps(tmp_path / "run" / runs.CHECKPOINTS) == [2]
    train_segmenter(run_config(street_records, tmp_path / "run"))
    assert (tmp_path / "run" / runs.SAVED_MODEL / "saved_model.pb").exists()
    expected = last_numbers(segmenter_run)
    found = last_numbers(tmp_path / "run")
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(value, found[name], err_msg=name)


@pytest.fixture(scope="module")
def weighted_run(street_records, tmp_path_factory) -> TrainSegmenterConfig:
    """The config of a run of one step, by weights of a directory."""
    directory = tmp_path_factory.mktemp("weighted_run")
    names = build_index(
        records.resolve_records(street_records, "records")
    ).filenames
    save_weights(directory / "weights", names, np.linspace(0, 2, len(names)))
    config = run_config(
        street_records,
        directory / "run",
        steps=1,
        batch_size=4,
        optimizer="sgd",
        weight_decay=0.1,
        head_learning_rate_factor=10.0,
        example_weights="loss",
        weights_dir=str(directory / "weights"),
    )
    train_segmenter(config)
    return config


def save_weights(directory, names, values):
    directory.mkdir()
    values = np.asarray(values, np.float32)
    weights.save_weights(
        directory, weights.ImportanceWeights("source", names, values)
    )


def test_two_devices_take_the_same_step_as_one(weighted_run, tmp_path):
    # In a process of its own: logical devices are chosen before TensorFlow
    # starts, and its collectives serve one strategy a process.
    config = dataclasses.replace(
        weighted_run, run_dir=str(tmp_path / "run"), distribution="mirrored"
    )
    code = f"""
from kliep_tf import cli  # first: it makes the import of TensorFlow shorter
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from kliep_tf.segmentation.networks import NETWORKS
from kliep_tf.train_segmenter import TrainSegmenterConfig, train_segmenter
from tests.segmentation.small_network import normalized
NETWORKS["normalized"] = normalized
assert len(tf.config.list_logical_devices("CPU")) == 2
train_segmenter({config!r})
"""
    done = processes.run(["-c", code])
    assert done.returncode == 0, done.stderr
    one, two = last_numbers(weighted_run.run_dir), last_numbers(config.run_dir)
    assert one.keys() == two.keys()
    # Plain SGD: a gradient counted twice would double the step, and the
    # momentum is the step itself.
    for name, value in one.items():
        scale = np.abs(value).max() if value.size else 0
        np.testing.assert_allclose(
            two[name], value, rtol=1e-4, atol=1e-5 * scale, err_msg=name
        )


def test_crops_and_bfloat16(street_records, tmp_path):
    config = run_config(
        street_records,
        tmp_path / "run",
        network="small",
        steps=1,
        image_height=40,
        image_width=80,
        crop_height=24,
        crop_width=36,
        mixed_precision=True,
    )
    train_segmenter(config)
    model = tf.saved_model.load(str(tmp_path / "run" / runs.SAVED_MODEL))
    variables = model.signatures["serving_default"].variables
    assert {variable.dtype for variable in variables} == {tf.float32}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"steps": 0}, "--steps=0: expected 1 or more"),
        ({"learning_rate": 0.0}, "--learning_rate"),
        ({"color_jitter": -1.0}, "--color_jitter"),
        ({"epochs": -1}, "--epochs=-1: expected 0 or more"),
        ({"seed": -1}, "--seed=-1: expected 0 to"),
        (
            {"weights_dir": "/no/weights", "example_weights": "loss"},
            "/no/weights/source_weights.npz: expected the weights",
        ),
        ({"weights_dir": "weights"}, "expected --example_weights="),
        ({"min_scale": 0.5}, "expected --crop_height and --crop_width too"),
        ({"head_learning_rate_factor": 10.0}, "1 but for --optimizer=sgd"),
        ({"val_records": "/nowhere"}, "--val_records=/nowhere"),
        ({"crop_height": 16}, "expected both above 0, or neither"),
        ({"crop_height": 64, "crop_width": 64}, "no larger than the images"),
        ({"train_records": "/nowhere"}, "expected TFRecord shards"),
    ],
)
def test_bad_arguments_are_named(changes, message, street_records, tmp_path):
    config = run_config(street_records, tmp_path / "run", **changes)
    with pytest.raises(UserError, match=message) as raised:
        train_segmenter(config)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_whole_recipe_of_a_published_network(weighted_records, tmp_path):
    backbone = backbone_of(normalized(19, seed=7))
    backbone.save_weights(tmp_path / "backbone.weights.h5")
    config = run_config(
        weighted_records,
        tmp_path / "run",
        network="normalized",
        backbone_weights=str(tmp_path / "backbone.weights.h5"),
        freeze_batch_norm=True,
        epochs=1,
        batch_size=8,
        optimizer="sgd",
        learning_rate=0.1,
        head_learning_rate_factor=10.0,
        weight_decay=5e-4,
        crop_height=40,
        crop_width=40,
        min_scale=0.5,
        max_scale=2.0,
        example_weights="sample",
        val_records=str(weighted_records),
    )
    train_segmenter(config)
    # 24 images, 8 a step
    assert runs.read_config(tmp_path / "run")["results"]["steps"] == 3
    tags = _summaries(tmp_path / "run")
    board = EventAccumulator(str(tmp_path / "run" / runs.TENSORBOARD))
    board.Reload()
    for tag in board.PluginTagToContent("scalars"):
        text = board.SummaryMetadata(tag).summary_description
        assert text.endswith("."), tag
    assert {"val/mean_iou", "val/pixel_accuracy", "val_iou/sky"} <= tags.keys()
    # Frozen: its scale is still the one of the file, its kernel is not.
    saved = {value.tobytes() for value in last_numbers(config.run_dir).values()}
    gamma, kernel = backbone.layers[2].gamma, backbone.layers[1].kernel
    assert gamma.numpy().tobytes() in saved
    assert kernel.numpy().tobytes() not in saved


def test_backbone_weights_need_a_backbone(street_records, tmp_path):
    np.savez(tmp_path / "weights.npz", kernel=np.zeros(3))
    config = run_config(
        street_records,
        tmp_path / "run",
        network="small",
        backbone_weights=str(tmp_path / "weights.npz"),
    )
    with pytest.raises(UserError, match="expected a network with a backbone"):
        train_segmenter(config)


def test_unlabelled_records_are_refused(draw_street, write_records, tmp_path):
    unlabelled = write_records(
        tmp_path / "records", [draw_street(0)], labelled=False
    )
    with pytest.raises(UserError, match=r"found none .* in 'frame_000'"):
        train_segmenter(run_config(unlabelled, tmp_path / "run"))


def test_lost_export_is_made_again(segmenter_run, street_records, tmp_path):
    copy_run(segmenter_run, tmp_path / "run")
    graph = tmp_path / "run" / runs.SAVED_MODEL / "saved_model.pb"
    graph.unlink()
    train_segmenter(run_config(street_records, tmp_path / "run"))
    assert graph.exists()


def test_weights_estimated_anew_do_not_slip_into_a_run(weighted_run, tmp_path):
    copy_run(Path(weighted_run.run_dir), tmp_path / "run")
    old = weights.load_weights(weighted_run.weights_dir, "source")
    save_weights(tmp_path / "weights", old.filenames, old.weights[::-1])
    config = dataclasses.replace(
        weighted_run,
        run_dir=str(tmp_path / "run"),
        weights_dir=str(tmp_path / "weights"),
    )
    with pytest.raises(UserError, match="weights have changed since"):
        train_segmenter(config)


@pytest.mark.parametrize("broken", [0, 23])
def test_damaged_example_is_told_in_one_line(street_records, tmp_path, broken):
    """Of those shown as pictures the first is one, the last is none."""
    (path,) = records.resolve_records(street_records, "records")
    examples = list(records.read_shard(path))
    examples[broken] = records.replace_image(examples[broken], b"none", "png")
    damaged = tmp_path / Path(path).name
    records.write_shard(damaged, examples)
    config = run_config(
        damaged, tmp_path / "run", network="small", steps=12, picture_every=1
    )
    with pytest.raises(UserError, match="expected readable") as raised:
        train_segmenter(config)
    assert "\n" not in str(raised.value)
    if broken:
        assert "among " in str(raised.value)
        assert "frame_023" in str(raised.value)


def test_other_arguments_are_refused(segmenter_run, street_records):
    config = run_config(street_records, segmenter_run)
    with pytest.raises(UserError, match="made with --seed=0"):
        train_segmenter(dataclasses.replace(config, seed=1))
    record = json.loads((segmenter_run / runs.CONFIG).read_text())
    assert record["parts"]["output"]["arguments"]["seed"] == 0


def _summaries(run_dir: Path) -> dict:
    """The last value of every tag."""
    tags = {}
    for path in (run_dir / runs.TENSORBOARD).glob("*tfevents*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                tags[value.tag] = value.tensor.string_val
    return tags


def test_tensorboard_shows_figures_and_pictures(segmenter_run):
    tags = _summaries(segmenter_run)
    assert tags.keys() >= {
        "loss",
        "pixel_accuracy",
        "learning_rate",
        "image_label_prediction",
    }
    # Width, height, then four pictures of image | label | prediction.
    _, _, *pictures = tags["image_label_prediction"]
    assert len(pictures) == 4
    assert tf.io.decode_png(pictures[0]).shape == (32, 3 * 64, 3)
