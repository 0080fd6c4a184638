"""Options of train that change what is trained, all in one run."""

import contextlib
import dataclasses
import io

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.errors import UserError
from kliep_tf.train import train
from kliep_tf.translation.networks import make_generator
from tests.programs.test_train import tensorboard_tags


@pytest.fixture(scope="module")
def run(tiny_config, trained_run, tmp_path_factory):
    """A finished run of two steps with every option, and what it printed."""
    run_dir = tmp_path_factory.mktemp("runs") / "options"
    config = dataclasses.replace(
        tiny_config,
        run_dir=str(run_dir),
        weights_dir=str(trained_run / "weights"),
        steps=2,
        adversarial_loss="hinge",
        spectral_norm=True,
        generator_ema=0.5,
        rematerialize=True,
        max_weight=1.2,
        crop_height=24,
        crop_width=28,
        min_scale=0.8,
        max_scale=1.3,
    )
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        train(config)
    return run_dir, printed.getvalue()


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


def test_consistency_is_checked_on_images_of_any_size(tiny_config, tmp_path):
    """Generators make multiples of 4; frames of GTA5 are 1914 wide."""
    module = tf.Module()
    module.serve = tf.function(
        lambda images: {"classes": tf.one_hot(images[..., 0] // 128, 19)},
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
    )
    segmenter = str(tmp_path / "segmenter")
    tf.saved_model.save(module, segmenter, {"serving_default": module.serve})
    config = dataclasses.replace(
        tiny_config,
        run_dir=str(tmp_path / "run"),
        steps=1,
        source_weight_exponent=0.0,
        target_weight_exponent=0.0,
        image_height=34,
        image_width=50,
        crop_height=24,
        crop_width=28,
        consistency_segmenter=segmenter,
        consistency_every=1,
    )
    train(config)
    assert "consistency/mean_iou" in tensorboard_tags(tmp_path / "run")


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
