import contextlib
import dataclasses
import io
import json

import numpy as np
import pytest

from kliep_tf.data import weightings, weights
from kliep_tf.data.class_sets import ClassSet, LabelClass
from kliep_tf.density_ratio.kliep import density_ratio, from_arrays
from kliep_tf.density_ratio.scaling import FeatureScaling
from kliep_tf.errors import UserError
from kliep_tf.estimate_weights import EstimateConfig, estimate
from tests.conftest import respelled, write_records
from tests.programs.run_directories import copy_run


@pytest.fixture
def config(source_records, target_records, tmp_path):
    return EstimateConfig(
        source_records=str(source_records),
        target_records=str(target_records),
        weights_dir=str(tmp_path / "weights"),
        features="class_histogram",
    )


@pytest.fixture(scope="module")
def finished(source_records, target_records, tmp_path_factory):
    """What `config` asks for, estimated once; and what that printed."""
    weights_dir = tmp_path_factory.mktemp("finished") / "weights"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        estimate(
            EstimateConfig(
                source_records=str(source_records),
                target_records=str(target_records),
                weights_dir=str(weights_dir),
                features="class_histogram",
            )
        )
    return weights_dir, printed.getvalue()


def test_both_directions_match_the_other_domains_sky(finished):
    weights_dir, text = finished
    sky = {}
    for domain in ("source", "target"):
        features = np.load(weights_dir / f"{domain}_features.npz")
        found = weights.load_weights(weights_dir, domain)
        assert found.filenames.tolist() == features["filenames"].tolist()
        np.testing.assert_allclose(found.weights.mean(), 1.0, rtol=1e-5)
        shares = features["values"][:, 10]  # the train id of sky
        sky[domain] = shares.mean()
        sky[f"weighted {domain}"] = shares @ found.weights / len(shares)
    # Sky fills a half of the source's pictures, a third of the target's.
    assert sky["source"] - sky["target"] > 0.1
    for domain, other in (("source", "target"), ("target", "source")):
        before = abs(sky[domain] - sky[other])
        after = abs(sky[f"weighted {domain}"] - sky[other])
        assert after < before / 2
    assert "effective sample size" in text
    assert "| sky" in text


def test_solution_carries_its_certificate(finished):
    for domain in ("source", "target"):
        found = weights.load_weights(finished[0], domain)
        assert 0 <= found.summary["duality_gap"] <= 1e-6
        assert found.summary["effective_sample_size"] == pytest.approx(
            weightings.effective_sample_size(found.weights), rel=1e-4
        )


def test_ratio_can_be_evaluated_on_new_images_from_the_file_alone(finished):
    weights_dir, _ = finished
    found = weights.load_weights(weights_dir, "source")
    features = np.load(weights_dir / "source_features.npz")["values"]
    scaling = FeatureScaling.from_arrays(found.model)
    again = density_ratio(scaling.apply(features), from_arrays(found.model))
    np.testing.assert_allclose(again, found.weights, rtol=1e-4)


def test_weights_of_unlabelled_domains_by_thumbnails(tmp_path, config):
    for name, sky in (("a", 0.6), ("b", 0.3)):
        write_records(
            tmp_path / name, number=12, sky=sky, bright=True, labelled=False
        )
    estimate(
        dataclasses.replace(
            config,
            source_records=str(tmp_path / "a"),
            target_records=str(tmp_path / "b"),
            features="thumbnail",
        )
    )
    assert weights.has_weights(tmp_path / "weights")


def test_weights_of_unlabelled_domains_by_a_local_backbone(
    tmp_path, config, mobilenet_v2_file
):
    for name, sky in (("a", 0.6), ("b", 0.3)):
        write_records(
            tmp_path / name, number=6, sky=sky, bright=True, labelled=False
        )
    estimate(
        dataclasses.replace(
            config,
            source_records=str(tmp_path / "a"),
            target_records=str(tmp_path / "b"),
            features="embedding",
            embedding_weights=mobilenet_v2_file,
            bandwidth="1",
        )
    )
    found = weights.load_weights(tmp_path / "weights", "source")
    assert len(found.summary["feature_names"]) == 1280
    assert found.summary["scaling"] == "pca"
    assert found.model["scaling_components"].shape[0] == 1280


@pytest.mark.parametrize("path", ["", "absent.h5"])
def test_embedding_without_its_file_is_refused_before_anything_is_written(
    path, config, tmp_path
):
    with pytest.raises(UserError, match=r"found none; nothing is downloaded"):
        estimate(
            dataclasses.replace(
                config, features="embedding", embedding_weights=path
            )
        )
    assert not (tmp_path / "weights").exists()


@pytest.mark.parametrize("features", ["class_histogram", "layout"])
def test_features_that_need_labels_say_so_before_anything_is_written(
    features, config, tmp_path
):
    bare = tmp_path / "bare"
    write_records(bare, number=4, sky=0.5, bright=True, labelled=False)
    with pytest.raises(UserError) as raised:
        estimate(
            dataclasses.replace(
                config, target_records=str(bare), features=features
            )
        )
    message = str(raised.value)
    assert "\n" not in message
    for words in (
        "--target_records: expected labelled examples, found 4 of 4 without",
        f"--features={features} needs labels of both domains",
        "segmenter_histogram, thumbnail, embedding need none of the target",
    ):
        assert words in message
    assert not (tmp_path / "weights").exists()


def test_finished_estimate_says_so(finished, config, tmp_path, capsys):
    copy_run(finished[0], tmp_path / "weights")
    estimate(respelled(config, tmp_path))
    assert capsys.readouterr().out.endswith("weights already estimated\n")


def test_given_bandwidth_is_used(config, tmp_path):
    estimate(dataclasses.replace(config, bandwidth="0.5"))
    found = weights.load_weights(tmp_path / "weights", "source")
    assert found.summary["bandwidth"] == 0.5
    assert found.summary["bandwidth_decided_by"] == "given"


@pytest.mark.parametrize("bandwidth", ["0", "-1", "nan", "inf", "wide"])
def test_unusable_bandwidth_is_named(config, bandwidth):
    with pytest.raises(UserError, match=f"--bandwidth={bandwidth}"):
        estimate(dataclasses.replace(config, bandwidth=bandwidth))


def test_labels_that_are_missing_are_asked_for(config, tmp_path):
    write_records(
        tmp_path / "bare", number=4, sky=0.5, bright=True, labelled=False
    )
    bare = str(tmp_path / "bare")
    with pytest.raises(UserError, match=r"target_records.*label"):
        estimate(dataclasses.replace(config, target_records=bare))
    other = dataclasses.replace(
        config,
        source_records=bare,
        features="segmenter_histogram",
        weights_dir=str(tmp_path / "other"),
    )
    with pytest.raises(UserError, match=r"--segmenter, or labels.*thumbnail"):
        estimate(other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_height": 64}, "--image_height=64 --image_width=0: .*both"),
        ({"num_centers": -1}, "--num_centers=-1"),
        ({"num_centers": 99}, "--num_centers=99: expected 20 or fewer"),
        (
            {"num_centers": 501, "estimator": "ulsif"},
            "--num_centers=501: expected 500 or fewer for --estimator=ulsif",
        ),
        ({"min_ess": 1.0}, "--min_ess=1.0"),
        ({"segmenter_steps": 0}, "--segmenter_steps=0"),
        ({"seed": -1}, "--seed=-1"),
        (
            {"estimator": "relative_kliep", "min_ess": 0.3},
            "--min_ess=0.3: expected the default, 0.2, as --estimator=rel",
        ),
        ({"estimator": "ulsif", "solver": "gradient_ascent"}, "--solver=grad"),
        ({"estimator": "rulsif", "selection": "lcv"}, "--selection=lcv"),
        ({"estimator": "classifier", "kernel": "matern"}, "--kernel=matern"),
        ({"estimator": "class_shares", "bandwidth": "1"}, "--bandwidth=1"),
    ],
)
def test_flags_that_make_no_sense_are_refused_before_anything_is_written(
    config, tmp_path, changes, message
):
    with pytest.raises(UserError, match=message):
        estimate(dataclasses.replace(config, **changes))
    assert not (tmp_path / "weights").exists()


def test_lost_weights_are_estimated_again(finished, config, tmp_path):
    copy_run(finished[0], tmp_path / "weights")
    path = weights.weights_path(tmp_path / "weights", "target")
    before = weights.load_weights(tmp_path / "weights", "target")
    path.unlink()
    estimate(config)
    after = weights.load_weights(tmp_path / "weights", "target")
    np.testing.assert_array_equal(before.weights, after.weights)


def test_without_a_segmenter_none_is_found_in_the_working_directory(
    config, tmp_path, monkeypatch
):
    """A saved_model.pb that happens to lie there is nobody's segmenter."""
    (tmp_path / "saved_model.pb").write_bytes(b"anything")
    monkeypatch.chdir(tmp_path)
    estimate(dataclasses.replace(config, bandwidth="0.5"))
    (tmp_path / "saved_model.pb").write_bytes(b"something else")
    estimate(dataclasses.replace(config, bandwidth="0.5"))
    manifest = json.loads((tmp_path / "weights" / "config.json").read_text())
    assert "the segmenter" not in json.dumps(manifest)


def test_domains_of_different_classes_are_not_compared(config, tmp_path):
    source = tmp_path / "three"
    write_records(source, number=2, sky=0.5, bright=True, labelled=True)
    path = source / "dataset.json"
    summary = json.loads(path.read_text())
    for split in summary["splits"].values():
        split["classes"] = ClassSet(
            "three",
            tuple(LabelClass(name, (0, 0, 0)) for name in "abc"),
        ).to_json()
    path.write_text(json.dumps(summary))
    with pytest.raises(UserError, match=r"expected the 3 classes .*found 19"):
        estimate(dataclasses.replace(config, source_records=str(source)))
    assert not (tmp_path / "weights").exists()
