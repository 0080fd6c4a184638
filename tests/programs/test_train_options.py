"""Options of train that change what is trained, all in one run."""

import contextlib
import dataclasses
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf import runs, train_weights
from kliep_tf.data import weights
from kliep_tf.data.index import build_index
from kliep_tf.data.records import resolve_records
from kliep_tf.errors import UserError
from kliep_tf.train import train
from kliep_tf.translation.networks import make_generator
from tests.programs.run_directories import (
    assert_same_checkpoints,
    checkpoint_values,
    copy_run,
    first_step_logged_last,
    forget_last_checkpoint,
    tensorboard_tags,
)


@pytest.fixture(scope="module")
def config(tiny_config, trained_run, tmp_path_factory):
    """A run of two steps with every option."""
    directory = tmp_path_factory.mktemp("options")
    shutil.copytree(trained_run / "weights", directory / "weights")
    return dataclasses.replace(
        tiny_config,
        run_dir=str(directory / "run"),
        weights_dir=str(directory / "weights"),
        steps=2,
        adversarial_loss="hinge",
        spectral_norm=True,
        generator_ema=0.5,
        rematerialize=True,
        convolution="winograd",
        checkpoint_every=1,
        max_weight=1.2,
        # Generators make multiples of 4; frames of GTA5 are 1914 wide.
        image_height=34,
        image_width=50,
        crop_height=24,
        crop_width=28,
        min_scale=0.8,
        max_scale=1.3,
        consistency_segmenter=write_segmenter(directory / "segmenter"),
        consistency_every=1,
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
    return str(directory)


@pytest.fixture(scope="module")
def run(config):
    """The finished run's directory, and what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        train(config)
    return Path(config.run_dir), printed.getvalue()


def read_generator(run_dir, name):
    generator = make_generator(filters=2, num_residual_blocks=1)
    path = tf.train.latest_checkpoint(str(run_dir / "checkpoints"))
    reader = tf.train.Checkpoint(**{name: generator})
    reader.read(path).assert_existing_objects_matched().expect_partial()
    return generator


def test_averaged_generator_is_the_one_exported(run):
    run_dir, _ = run
    saved_model = tf.saved_model.load(str(run_dir / "saved_model"))
    images = tf.random.stateless_uniform([1, 32, 48, 3], [0, 1], -1, 1)
    translate = saved_model.signatures["translate_float"]
    found = translate(images=images)["translated"]
    averaged = read_generator(run_dir, "averaged_source_to_target")(images)
    latest = read_generator(run_dir, "source_to_target")(images)
    np.testing.assert_allclose(found, averaged, atol=1e-5)
    assert np.abs(averaged - latest).max() > 1e-4


def test_clipping_says_what_it_did(run):
    _, printed = run
    for domain in ("source", "target"):
        lines = [
            line
            for line in printed.splitlines()
            if line.startswith(f"{domain} weights: ")
        ]
        assert len(lines) == 1
        assert "are clipped to --max_weight=1.2, the largest from" in lines[0]


def test_consistency_is_checked_on_images_of_any_size(run):
    run_dir, _ = run
    assert "consistency/mean_iou" in tensorboard_tags(run_dir)


def test_run_older_than_methods_is_continued_and_exported(
    run, config, tmp_path
):
    """Its record has the arguments of today but for --method."""
    run_dir = tmp_path / "run"
    copy_run(run[0], run_dir)
    forget_last_checkpoint(run_dir)
    shutil.rmtree(run_dir / "saved_model")
    record = json.loads((run_dir / "config.json").read_text())
    assert record["parts"]["output"]["arguments"].pop("method") == "cyclegan"
    (run_dir / "config.json").write_text(json.dumps(record))
    config = dataclasses.replace(config, run_dir=str(run_dir))
    train(config)
    assert first_step_logged_last(run_dir) == 2
    assert_same_checkpoints(run_dir, run[0])
    assert "method" not in runs.read_config(run_dir)["arguments"]
    assert (run_dir / "saved_model" / "saved_model.pb").exists()


def test_checkpoint_names_a_variable_once(run):
    """Those of the networks stand under the optimizer that moves them.

    But for what spectral normalisation keeps of a discriminator.
    """
    found = checkpoint_values(run[0])
    parts = {name.split("/")[0] for name in found}
    assert parts == {
        "averaged_source_to_target",
        "averaged_target_to_source",
        "target_pool",
        "source_pool",
        "generator_optimizer",
        "discriminator_optimizer",
        "source_discriminator",
        "target_discriminator",
        "step",
    }
    for name, value in found.items():
        if name.split("/")[0].endswith("_discriminator"):
            assert value.ndim < 4, name  # no kernel of a convolution


def test_settings_that_the_estimator_ignores_are_refused(config, tmp_path):
    ignoring = dataclasses.replace(
        config,
        run_dir=str(tmp_path / "run"),
        weights_dir="",
        estimator="relative_kliep",
        min_ess=0.3,
    )
    with pytest.raises(UserError, match=r"--min_ess=0\.3: expected the def"):
        train(ignoring)
    assert not (tmp_path / "run").exists()


def test_overlap_weights_are_derived_and_take_no_exponent(config):
    overlapping = dataclasses.replace(
        config, weighting="overlap", max_weight=0.0
    )
    indices = [
        build_index(resolve_records(pattern, "records"))
        for pattern in (config.source_records, config.target_records)
    ]
    found = train_weights.load(overlapping, *indices)
    for domain, index, values in zip(
        ("source", "target"), indices, found, strict=True
    ):
        plain = weights.load_weights(config.weights_dir, domain)
        ratio = plain.lookup(index.filenames.tolist()).astype(np.float64)
        expected = 2 * ratio / (1 + ratio)
        np.testing.assert_allclose(
            values, expected / expected.mean(), rtol=1e-5
        )
    halves = dataclasses.replace(overlapping, source_weight_exponent=0.5)
    with pytest.raises(UserError, match=r"--weighting=overlap: .* found 0\.5"):
        train_weights.load(halves, *indices)


def test_weights_estimated_anew_do_not_slip_into_a_run(run, config):
    found = weights.load_weights(config.weights_dir, "target")
    others = dataclasses.replace(found, weights=found.weights[::-1])
    weights.save_weights(config.weights_dir, others)
    with pytest.raises(UserError, match="weights have changed since"):
        train(config)
    # Where they are not used they may be what they like.
    plain = dataclasses.replace(
        config, source_weight_exponent=0.0, target_weight_exponent=0.0
    )
    assert set(train_weights.fingerprint(config)) == {"weights"}
    assert train_weights.fingerprint(plain) == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generator_ema": 1.0}, "--generator_ema=1.0"),
        ({"generator_ema": -0.1}, "--generator_ema=-0.1"),
        ({"max_weight": 0.5}, "--max_weight=0.5"),
        ({"max_scale": 1.5}, "--crop_height and --crop_width too"),
    ],
)
def test_unusable_options_are_refused_before_anything_is_written(
    tmp_path, tiny_config, changes, message
):
    run_dir = tmp_path / "run"
    config = dataclasses.replace(tiny_config, run_dir=str(run_dir), **changes)
    with pytest.raises(UserError, match=message):
        train(config)
    assert not run_dir.exists()
