"""Options of train that change what is trained.

`trained_run` has been trained with all of them.
"""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf import runs, train_weights
from kliep_tf.data import weights
from kliep_tf.data.index import build_index
from kliep_tf.data.records import resolve_records
from kliep_tf.errors import UserError
from kliep_tf.train import train
from kliep_tf.train_flags import TrainConfig
from kliep_tf.translation.networks import make_generator
from tests.programs.run_directories import (
    assert_same_checkpoints,
    checkpoint_values,
    copy_run,
    mark_incomplete,
    tensorboard_tags,
)

NO_EXPONENTS = {
    name: getattr(TrainConfig, name)
    for name in ("source_weight_exponent", "target_weight_exponent")
}


@pytest.fixture(scope="module")
def config(trained_config, trained_run):
    """The config of the run, whose weights are now given."""
    return dataclasses.replace(
        trained_config, weights_dir=str(trained_run / "weights")
    )


@pytest.fixture(scope="module")
def indices(config):
    """Both domains' examples."""
    return [
        build_index(resolve_records(pattern, "records"))
        for pattern in (config.source_records, config.target_records)
    ]


def read_generator(run_dir, name):
    generator = make_generator(filters=2, num_residual_blocks=1)
    path = tf.train.latest_checkpoint(str(run_dir / "checkpoints"))
    reader = tf.train.Checkpoint(**{name: generator})
    reader.read(path).assert_existing_objects_matched().expect_partial()
    return generator


def test_averaged_generator_is_the_one_exported(trained_run):
    saved_model = tf.saved_model.load(str(trained_run / "saved_model"))
    images = tf.random.stateless_uniform([1, 32, 48, 3], [0, 1], -1, 1)
    translate = saved_model.signatures["translate_float"]
    found = translate(images=images)["translated"]
    averaged = read_generator(trained_run, "averaged_source_to_target")(images)
    latest = read_generator(trained_run, "source_to_target")(images)
    np.testing.assert_allclose(found, averaged, atol=1e-5)
    assert np.abs(averaged - latest).max() > 1e-4


def test_clipping_says_what_it_did(config, indices, capsys):
    train_weights.load(config, *indices)
    printed = capsys.readouterr().out
    for domain in ("source", "target"):
        lines = [
            line
            for line in printed.splitlines()
            if line.startswith(f"{domain} weights: ")
        ]
        assert len(lines) == 1
        assert "are clipped to --max_weight=1.2, the largest from" in lines[0]


def test_consistency_is_checked_on_images_of_any_size(trained_run):
    assert "consistency/mean_iou" in tensorboard_tags(trained_run)


def test_run_older_than_methods_is_continued_and_exported(
    trained_run, trained_config, tmp_path
):
    """Its record has the arguments of today but for --method.

    Killed after its last checkpoint, it has no step left to be traced.
    """
    run_dir = tmp_path / "run"
    copy_run(trained_run, run_dir)
    mark_incomplete(run_dir)
    shutil.rmtree(run_dir / "saved_model")
    record = json.loads((run_dir / "config.json").read_text())
    assert record["parts"]["output"]["arguments"].pop("method") == "cyclegan"
    (run_dir / "config.json").write_text(json.dumps(record))
    train(dataclasses.replace(trained_config, run_dir=str(run_dir)))
    record = runs.read_config(run_dir)
    assert "method" not in record["arguments"]
    assert record["status"] == "complete"
    assert_same_checkpoints(run_dir, trained_run)
    assert (run_dir / "saved_model" / "saved_model.pb").exists()


def test_checkpoint_names_a_variable_once(trained_run):
    """Those of the networks stand under the optimizer that moves them.

    But for what spectral normalisation keeps of a discriminator.
    """
    found = checkpoint_values(trained_run)
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


def test_who_names_no_exponent_trains_by_square_roots(config, indices):
    unnamed = dataclasses.replace(config, max_weight=0.0, **NO_EXPONENTS)
    found = train_weights.load(unnamed, *indices)
    for domain, index, values in zip(
        ("source", "target"), indices, found, strict=True
    ):
        plain = weights.load_weights(config.weights_dir, domain)
        roots = np.sqrt(plain.lookup(index.filenames.tolist()))
        np.testing.assert_allclose(values, roots / roots.mean(), rtol=1e-5)


def test_overlap_weights_are_derived_and_take_no_exponent(config, indices):
    overlapping = dataclasses.replace(
        config, weighting="overlap", max_weight=0.0
    )
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
    unnamed = dataclasses.replace(overlapping, **NO_EXPONENTS)
    np.testing.assert_array_equal(
        train_weights.load(unnamed, *indices)[0], found[0]
    )
    halves = dataclasses.replace(overlapping, source_weight_exponent=0.5)
    with pytest.raises(UserError, match=r"--weighting=overlap: .* found 0\.5"):
        train_weights.load(halves, *indices)


def test_weights_estimated_anew_do_not_slip_into_a_run(
    config, method_config, tmp_path
):
    """Of any method, and so of one that is trained at once."""
    shutil.copytree(config.weights_dir, tmp_path / "weights")
    weighted = dataclasses.replace(
        method_config,
        run_dir=str(tmp_path / "run"),
        weights_dir=str(tmp_path / "weights"),
        source_weight_exponent=1.0,
        target_weight_exponent=1.0,
    )
    train(weighted)
    found = weights.load_weights(tmp_path / "weights", "target")
    others = dataclasses.replace(found, weights=found.weights[::-1])
    weights.save_weights(tmp_path / "weights", others)
    with pytest.raises(UserError, match="weights have changed since"):
        train(weighted)
    # Where they are not used they may be what they like.
    plain = dataclasses.replace(
        weighted, source_weight_exponent=0.0, target_weight_exponent=0.0
    )
    assert set(train_weights.fingerprint(weighted)) == {"weights"}
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
