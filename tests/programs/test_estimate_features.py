"""What estimate_weights compares by itself, and when it warns or stops."""

import contextlib
import dataclasses
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data import weights
from kliep_tf.errors import UserError
from kliep_tf.estimate_weights import EstimateConfig, estimate
from tests.conftest import eagerly, run_program, write_records


@pytest.fixture(scope="session")
def unsteady_segmenter(tmp_path_factory):
    """Calls everything sky where the first pixel is blue, else road.

    The scenes are noise around sky and road: mirrored, another pixel decides.
    """
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None] * 3 + [3], tf.uint8)])
    def serve(images):
        first = tf.cast(images[:, :1, :1, 2], tf.int32)
        train_id = tf.where(first % 2 == 0, 0, 10)
        shape = tf.shape(images)[:3]
        return {"labels": tf.broadcast_to(train_id, shape)}

    module.serve = serve
    path = tmp_path_factory.mktemp("unsteady") / "saved_model"
    tf.saved_model.save(
        module, str(path), signatures={"serving_default": serve}
    )
    return path


@pytest.fixture
def config(source_records, target_records, tmp_path):
    return EstimateConfig(
        source_records=str(source_records),
        target_records=str(target_records),
        weights_dir=str(tmp_path / "weights"),
        segmenter_steps=1,
        bandwidth="0.5",
    )


def _features(tmp_path, domain):
    return np.load(tmp_path / "weights" / f"{domain}_features.npz")["values"]


def test_labels_of_both_domains_are_taken(config, tmp_path):
    estimate(config)
    directory = tmp_path / "weights"
    assert not (directory / "segmenter").exists()
    assert (directory / "weights.png").exists()
    for domain in ("source", "target"):
        shares = _features(tmp_path, domain)
        # The scenes show sky (train id 10) and road (0), and nothing else.
        np.testing.assert_allclose(shares[:, 0] + shares[:, 10], 1, rtol=1e-6)
    lines = (directory / "report.md").read_text().splitlines()
    assert lines[2].startswith("By the labels of both domains")
    assert "the source weighted: nearer (" in lines[2]
    assert "the target weighted: nearer (" in lines[2]
    assert "The target is described by its labels." in lines


def test_some_labelled_target_images_teach_its_segmenter(config, tmp_path):
    target = write_records(
        tmp_path / "half", number=8, sky=0.35, bright=False, num_labelled=5
    )
    with eagerly():
        estimate(dataclasses.replace(config, target_records=str(target)))
    directory = tmp_path / "weights"
    assert (directory / "target_segmenter" / "saved_model").exists()
    assert not (directory / "segmenter").exists()
    shares = _features(tmp_path, "source")
    np.testing.assert_allclose(shares[:, 0] + shares[:, 10], 1, rtol=1e-6)
    text = (directory / "report.md").read_text()
    assert "The source is described by its labels." in text
    assert (
        "The target has 5 labelled images among 8: it is described by a "
        "segmenter that learned from these." in text
    )


def test_without_target_labels_the_source_teaches_the_segmenter(
    taught_by_the_source,
):
    saved_model = taught_by_the_source / "segmenter" / "saved_model"
    assert (saved_model / "saved_model.pb").exists()
    text = (taught_by_the_source / "report.md").read_text()
    assert "a segmenter that learned from the source's labels" in text
    assert "change of class shares under mirroring" in text


def test_features_in_doubt_give_weights_of_one(
    config, unlabelled_target, unsteady_segmenter, tmp_path, capsys
):
    estimate(
        dataclasses.replace(
            config,
            target_records=str(unlabelled_target),
            segmenter=str(unsteady_segmenter),
        )
    )
    for domain in ("source", "target"):
        found = weights.load_weights(tmp_path / "weights", domain)
        assert set(found.weights) == {1.0}
    warning = capsys.readouterr().err
    assert "warning: the features cannot be trusted" in warning
    assert "label some twenty images of the target" in warning
    report = (tmp_path / "weights" / "report.md").read_text()
    assert "So all weights are 1" in report


@pytest.fixture(scope="module")
def in_spite_of_doubt(
    source_records, unlabelled_target, unsteady_segmenter, tmp_path_factory
):
    """The config of a finished estimate, and what it warned of."""
    directory = tmp_path_factory.mktemp("in_spite")
    shutil.copytree(unsteady_segmenter, directory / "segmenter")
    config = EstimateConfig(
        source_records=str(source_records),
        target_records=str(unlabelled_target),
        weights_dir=str(directory / "weights"),
        features="segmenter_histogram",
        segmenter=str(directory / "segmenter"),
        bandwidth="0.5",
    )
    warnings = io.StringIO()
    with contextlib.redirect_stderr(warnings):
        estimate(config)
    return config, warnings.getvalue()


def test_features_asked_for_are_used_in_spite_of_doubt(in_spite_of_doubt):
    config, warnings = in_spite_of_doubt
    assert "warning: the features cannot be trusted" in warnings
    found = weights.load_weights(config.weights_dir, "source")
    assert found.summary["bandwidth"] == 0.5


def test_replaced_segmenter_asks_for_another_directory(
    in_spite_of_doubt, capsys
):
    """Features of the old one would be found and taken for the new one's."""
    config, _ = in_spite_of_doubt
    estimate(config)
    assert "already estimated" in capsys.readouterr().out
    graph = Path(config.segmenter, "saved_model.pb")
    graph.write_bytes(graph.read_bytes() + b"more")
    with pytest.raises(UserError, match="the segmenter has changed"):
        estimate(config)


def test_strict_stops_in_one_line(
    source_records, unlabelled_target, unsteady_segmenter, tmp_path
):
    done = run_program(
        "kliep_tf.estimate_weights",
        "--strict",
        f"--source_records={source_records}",
        f"--target_records={unlabelled_target}",
        f"--segmenter={unsteady_segmenter}",
        f"--weights_dir={tmp_path / 'weights'}",
    )
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "--strict" in line]
    assert "the features cannot be trusted" in line
    assert "Traceback" not in done.stderr
    assert not weights.has_weights(tmp_path / "weights")


def test_weights_that_bring_the_domains_no_nearer_are_warned_of(
    config, unsteady_segmenter, capsys
):
    """The segmenter's shares are chance, so that nothing is matched."""
    with pytest.raises(UserError, match=r"--strict: .*NO nearer|cannot be"):
        estimate(
            dataclasses.replace(
                config,
                strict=True,
                features="segmenter_histogram",
                segmenter=str(unsteady_segmenter),
            )
        )


def test_domains_without_any_label_are_refused_before_anything_is_written(
    config, unlabelled_target, tmp_path
):
    bare = str(unlabelled_target)
    with pytest.raises(UserError, match=r"--features=auto: expected labels"):
        estimate(
            dataclasses.replace(
                config, source_records=bare, target_records=bare
            )
        )
    assert not (tmp_path / "weights").exists()


def test_too_few_labelled_images_are_counted(config, tmp_path):
    few = write_records(
        tmp_path / "few", number=6, sky=0.5, bright=True, num_labelled=4
    )
    with pytest.raises(
        UserError, match=r"found 4 of the source and 4 of the target"
    ):
        estimate(
            dataclasses.replace(
                config, source_records=str(few), target_records=str(few)
            )
        )
