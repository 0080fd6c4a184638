import itertools
import subprocess
import sys

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
from kliep_tf.train_segmenter import TrainSegmenterConfig, train_segmenter
from kliep_tf.training.loop import run_steps
from tests.conftest import respelled
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


# One a method: the others differ by a term.
@pytest.fixture(scope="module", params=["adaptsegnet_2", "road", "adda"])
def adapted(request, make, tmp_path_factory):
    """A config, and its run, which nothing disturbed."""
    config = make(tmp_path_factory.mktemp("adapted") / "run", request.param)
    adapt_segmenter(config)
    return request.param, config


def test_killed_run_continues_bit_for_bit(adapted, make, tmp_path, monkeypatch):
    variant, undisturbed = adapted

    class Killed(BaseException):
        """Nothing catches it: like a kill, it leaves no time to save."""

    def run_until_step_4(train_step, *rest, **options):
        calls = itertools.count(1)

        def dying_step(batch):
            if next(calls) == 4:
                raise Killed
            return train_step(batch)

        return run_steps(dying_step, *rest, **options)

    config = make(tmp_path / "run", variant)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(training_run, "run_steps", run_until_step_4)
        adapt_segmenter(config)
    adapt_segmenter(config)
    expected = last_numbers(undisturbed.run_dir)
    found = last_numbers(config.run_dir)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(value, found[name], err_msg=name)


def test_adapted_segmenter_is_one_for_evaluate(
    adapted, street_records, tmp_path, capsys
):
    _, config = adapted
    evaluate(
        EvaluateConfig(
            segmenter=f"{config.run_dir}/{runs.SAVED_MODEL}",
            records=str(street_records),
            output_dir=str(tmp_path),
        )
    )
    assert "over 24 images" in capsys.readouterr().out
    adapt_segmenter(respelled(config, tmp_path))
    assert "already done" in capsys.readouterr().out


def test_two_devices_take_the_same_step_as_one(
    street_records, target_streets, tmp_path
):
    # In a process of its own: logical devices are chosen before TensorFlow
    # starts, and its collectives serve one strategy a process.
    code = """
from kliep_tf import cli  # first: it makes the import of TensorFlow shorter
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from kliep_tf.segmentation.networks import NETWORKS
from kliep_tf.training import distribution
from tests.segmentation.adaptation import steps
NETWORKS["normalized"] = steps.normalized
mirrored = distribution.make_strategy("mirrored", 2)
single = tf.distribute.get_strategy()
batch = steps.make_batch((0.5, 1.5), (1.25, 0.75))
for variant in steps.VARIANTS:
    found = []
    for strategy in (single, mirrored):
        with strategy.scope():
            network, adapter = steps.build(
                variant,
                replicate=lambda step: distribution.replicated_step(
                    strategy, step))
        dataset = tf.data.Dataset.from_tensors(batch).unbatch().batch(2)
        (share,) = distribution.distribute(strategy, dataset)
        scalars = adapter.train_step(share)
        found.append((steps.state(network, adapter), scalars))
    for one, two in zip(*found):
        assert one.keys() == two.keys()
        for name, value in one.items():
            np.testing.assert_allclose(two[name], value, rtol=1e-3, atol=1e-5,
                err_msg=variant + ": " + name)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_it_starts_as_the_segmenter_of_a_run(
    make, street_records, tmp_path, monkeypatch
):
    train_segmenter(
        TrainSegmenterConfig(
            train_records=str(street_records),
            run_dir=str(tmp_path / "segmenter"),
            network="small",
            steps=1,
            batch_size=2,
        )
    )

    def save_and_stop(train_step, make_batches, checkpoints, *rest, **options):
        checkpoints.save()

    config = make(tmp_path / "run", segmenter_run=str(tmp_path / "segmenter"))
    monkeypatch.setattr(training_run, "run_steps", save_and_stop)
    adapt_segmenter(config)
    found = {value.tobytes() for value in last_numbers(config.run_dir).values()}
    model = tf.saved_model.load(str(tmp_path / "segmenter" / runs.SAVED_MODEL))
    trained = model.signatures["serving_default"].variables
    assert len(trained) == 6  # two convolutions and a group normalisation
    assert all(variable.numpy().tobytes() in found for variable in trained)


def test_weights_of_the_directory_reach_the_losses(
    make, street_records, target_streets, tmp_path
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
    runs_of = {}
    for name, changes in {
        "published": {},
        "exponents_0": {
            "weights_dir": str(tmp_path),
            "source_weight_exponent": 0.0,
            "target_weight_exponent": 0.0,
        },
        "weighted": {"weights_dir": str(tmp_path)},
    }.items():
        config = make(tmp_path / name, steps=1, **changes)
        adapt_segmenter(config)
        runs_of[name] = last_numbers(config.run_dir)
    same, other = runs_of["exponents_0"], runs_of["weighted"]
    for name, value in runs_of["published"].items():
        np.testing.assert_array_equal(value, same[name], err_msg=name)
    assert any(
        not np.array_equal(value, other[name])
        for name, value in runs_of["published"].items()
    )


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
