import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf import cli, runs
from kliep_tf.adapt_segmenter import (
    AdaptSegmenterConfig,
    adapt_segmenter,
    make_config,
)
from kliep_tf.data import records, weights
from kliep_tf.data.index import build_index
from kliep_tf.errors import UserError
from kliep_tf.evaluate import EvaluateConfig, evaluate
from kliep_tf.segmentation.adaptation import training_run
from kliep_tf.segmentation.adaptation.methods import METHODS
from kliep_tf.segmentation.networks import NetworkSettings
from kliep_tf.segmentation.optimizers import backbone_of
from kliep_tf.training.checkpoints import checkpoint_steps
from tests.conftest import respelled
from tests.programs.run_directories import copy_run, forget_last_checkpoint
from tests.segmentation.adaptation.steps import (
    VARIANTS,
    needs_backbone,
    settings_of,
)
from tests.segmentation.checkpoints import last_numbers

SIZE = {"image_height": 32, "image_width": 64}


@pytest.fixture(scope="module")
def target_streets(draw_street, write_records, tmp_path_factory):
    """8 streets without labels, of another size."""
    frames = [draw_street(seed, 40, 80) for seed in range(100, 108)]
    directory = tmp_path_factory.mktemp("target")
    return write_records(directory, frames, labelled=False)


@pytest.fixture(scope="module")
def make(street_records, target_streets):
    """The function that makes a config of four steps of a variant."""

    def make(run_dir, variant="adaptsegnet", **changes):
        method, settings = VARIANTS[variant][0], settings_of(variant)
        flags = {
            "source_records": str(street_records),
            "target_records": str(target_streets),
            "run_dir": str(run_dir),
            "network": "normalized" if needs_backbone(variant) else "small",
            "steps": 4,
            "batch_size": 2,
            "checkpoint_every": 2,
            "flip": False,
            **SIZE,
            **settings,
        }
        return make_config(method, **flags | changes)

    return make


# Of one method: test_steps.py holds each to the same, but for the program.
@pytest.fixture(scope="module")
def adapted(make, tmp_path_factory):
    """A config, and its run, which nothing disturbed."""
    config = make(tmp_path_factory.mktemp("adapted") / "run", "adda")
    adapt_segmenter(config)
    return config


def test_run_without_its_last_steps_continues_bit_for_bit(
    adapted, make, tmp_path
):
    copy_run(Path(adapted.run_dir), tmp_path / "run")
    # As a kill between steps 2 and 4 leaves it.
    forget_last_checkpoint(tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / runs.SAVED_MODEL)
    config = make(tmp_path / "run", "adda")
    adapt_segmenter(config)
    expected = last_numbers(adapted.run_dir)
    found = last_numbers(config.run_dir)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(value, found[name], err_msg=name)
    assert (tmp_path / "run" / runs.SAVED_MODEL / "saved_model.pb").exists()


def test_adapted_segmenter_is_one_for_evaluate(
    adapted, street_records, tmp_path, capsys
):
    evaluate(
        EvaluateConfig(
            segmenter=f"{adapted.run_dir}/{runs.SAVED_MODEL}",
            records=str(street_records),
            output_dir=str(tmp_path),
        )
    )
    assert "over 24 images" in capsys.readouterr().out
    adapt_segmenter(respelled(adapted, tmp_path))
    assert "already done" in capsys.readouterr().out


def test_it_starts_as_the_segmenter_of_a_run(
    make, segmenter_run, tmp_path, monkeypatch
):
    def save_and_stop(train_step, make_batches, checkpoints, *rest, **options):
        checkpoints.save()

    config = make(
        tmp_path / "run",
        network="normalized",
        segmenter_run=str(segmenter_run),
    )
    monkeypatch.setattr(training_run, "run_steps", save_and_stop)
    adapt_segmenter(config)
    found = {value.tobytes() for value in last_numbers(config.run_dir).values()}
    model = tf.saved_model.load(str(segmenter_run / runs.SAVED_MODEL))
    trained = model.signatures["serving_default"].variables
    # Three kernels, a bias, and a batch normalisation.
    assert len(trained) == 8
    assert all(variable.numpy().tobytes() in found for variable in trained)


@pytest.mark.parametrize(
    "recorded, other, message",
    [
        ("complete", "incomplete", "expected a finished training, found one"),
        (
            "kliep_tf.train_segmenter",
            "kliep_tf.train",
            "found one of kliep_tf.train$",
        ),
    ],
)
def test_only_a_finished_segmenter_is_started_from(
    recorded, other, message, make, segmenter_run, tmp_path
):
    copy_run(segmenter_run, tmp_path / "segmenter")
    path = tmp_path / "segmenter" / "config.json"
    text = path.read_text()
    assert f'"{recorded}"' in text
    path.write_text(text.replace(f'"{recorded}"', f'"{other}"'))
    config = make(
        tmp_path / "run",
        network="normalized",
        segmenter_run=str(tmp_path / "segmenter"),
    )
    with pytest.raises(UserError, match=message):
        adapt_segmenter(config)
    assert not (tmp_path / "run").exists()


def test_a_backbone_from_a_run_is_frozen_too(segmenter_run):
    steps = checkpoint_steps(segmenter_run / "checkpoints")
    network = NetworkSettings(
        name="normalized",
        seed=0,
        freeze_backbone=True,
        checkpoint=str(segmenter_run / "checkpoints" / f"ckpt-{steps[-1]}"),
    ).build()
    assert not backbone_of(network).trainable_variables
    # The head's kernel and bias.
    assert len(network.trainable_variables) == 2


def test_a_source_whose_labels_are_all_ignored_is_refused(
    make, draw_street, write_records, tmp_path
):
    frames = [draw_street(seed) for seed in range(3)]
    blank = write_records(
        tmp_path / "blank",
        [(image, np.full_like(label, 255)) for image, label in frames],
    )
    with pytest.raises(UserError, match="every pixel is ignored"):
        adapt_segmenter(make(tmp_path / "run", source_records=str(blank)))


def test_weights_of_the_directory_reach_the_batches(
    make, street_records, target_streets, tmp_path, monkeypatch
):
    for domain, directory in (
        ("source", street_records),
        ("target", target_streets),
    ):
        paths = records.resolve_records(directory, "records")
        names = build_index(paths).filenames
        values = np.zeros(len(names), np.float32)
        values[0] = len(names)
        weights.save_weights(
            tmp_path, weights.ImportanceWeights(domain, names, values)
        )
    seen = {}

    class Seen(Exception):
        """Ends a run before its first step."""

    def look(train_step, make_batches, *rest, **options):
        batches = iter(make_batches(0))
        # An epoch of the target.
        seen[name] = [next(batches) for _ in range(4)]
        raise Seen

    monkeypatch.setattr(training_run, "run_steps", look)
    for name, changes in {
        "published": {},
        "exponents_0": {
            "weights_dir": str(tmp_path),
            "source_weight_exponent": 0.0,
            "target_weight_exponent": 0.0,
        },
        "weighted": {"weights_dir": str(tmp_path)},
    }.items():
        with pytest.raises(Seen):
            adapt_segmenter(make(tmp_path / name, **changes))

    def target_weights(name):
        return np.concatenate([batch.target_weight for batch in seen[name]])

    for name in ("published", "exponents_0"):
        for batch in seen[name]:
            assert set(batch.source_weight.numpy()) == {1.0}
            assert set(batch.target_weight.numpy()) == {1.0}
    # The first image alone counts, for all 8 of the target.
    np.testing.assert_array_equal(
        np.sort(target_weights("weighted")), [0] * 7 + [8]
    )
    for weighted, plain in zip(
        seen["weighted"], seen["published"], strict=True
    ):
        assert set(weighted.source_weight.numpy()) <= {0.0, 24.0}
        np.testing.assert_array_equal(weighted.source, plain.source)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target_records": "/nowhere"}, "--target_records=/nowhere"),
        ({"image_height": 0, "image_width": 0}, "rows and columns or more"),
        ({"target_height": 9}, "--target_width=None: expected both above 0"),
        ({"schedule_steps": 3}, "--schedule_steps=3: expected 0, or --steps=4"),
        ({"segmenter_run": "/nowhere"}, "/nowhere: expected a config.json"),
        ({"weights_dir": "/no/weights"}, "/no/weights/source_weights.npz"),
        ({"variant": "road", "flip": True}, "--method=road: expected --noflip"),
        (
            {"variant": "road", "teacher_weights": ""},
            "--method=road: expected --teacher_weights",
        ),
        ({"levels": 3}, "--levels=3: expected 1 to 2"),
        ({"levels": 2}, "--levels=2: expected --network=deeplab_v2"),
    ],
)
def test_bad_arguments_are_named(
    changes, message, make, draw_street, write_records, tmp_path
):
    if changes.get("image_height") == 0:
        frames = [draw_street(0, 16, 32)]
        narrow = str(write_records(tmp_path / "narrow", frames))
        changes = changes | {"source_records": narrow, "batch_size": 1}
    with pytest.raises(UserError, match=message) as raised:
        adapt_segmenter(make(tmp_path / "run", **changes))
    assert "\n" not in str(raised.value)


def test_unlabelled_source_is_refused(make, target_streets, tmp_path):
    config = make(tmp_path / "run", source_records=str(target_streets))
    with pytest.raises(UserError, match=r"source_records.* found none"):
        adapt_segmenter(config)


@pytest.mark.parametrize("method", METHODS)
def test_every_curve_has_a_description(method):
    for tag, text in METHODS[method].descriptions.items():
        assert text.endswith("."), tag


def test_method_that_is_none_is_named():
    with pytest.raises(UserError, match="--method=none: expected one of adapt"):
        cli.parse(AdaptSegmenterConfig, ["", "--method=none"])
