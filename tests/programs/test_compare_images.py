"""Distances between sets of images, from records to the report."""

import json

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.compare_images import CompareImagesConfig, compare_images
from kliep_tf.data import records
from kliep_tf.data.pipeline import make_image_dataset
from kliep_tf.errors import UserError
from kliep_tf.realism.distances import frechet_distance, squared_mmd
from tests.conftest import respelled, write_records
from tests.realism.frozen_graph import write_frozen_graph

SIZE = {"image_height": 48, "image_width": 64}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Records of 36 scenes each: two sets of one look, one of another."""
    directory = tmp_path_factory.mktemp("scenes")
    for name, sky, bright in (
        ("rendered", 0.5, True),
        ("translated", 0.5, False),
        ("real", 0.45, False),
    ):
        write_records(directory / name, number=36, sky=sky, bright=bright)
    return directory


@pytest.fixture(scope="module")
def frozen_graph(tmp_path_factory):
    """A frozen graph with Inception's names whose features are mean colours."""
    path = tmp_path_factory.mktemp("inception") / "graph.pb"
    write_frozen_graph(path)
    return str(path)


def report_of(scenes, first, output, **flags):
    config = CompareImagesConfig(
        records=str(scenes / first),
        target_records=str(scenes / "real"),
        output_dir=str(output),
        **flags,
    )
    compare_images(config)
    return json.loads((output / "report.json").read_text()), config


def test_images_of_the_targets_look_are_nearer(
    scenes, vgg16_file, tmp_path, capsys
):
    found = {}
    for name in ("rendered", "translated"):
        report, config = report_of(
            scenes,
            name,
            tmp_path / name,
            perceptual_weights=vgg16_file,
            **SIZE,
        )
        found[name] = report["headlines"]
    for measure in (
        "KVD (vgg16-caffe)",
        "sKVD (vgg16-caffe)",
        "cKVD (vgg16-caffe)",
    ):
        assert found["rendered"][measure] > abs(found["translated"][measure])
    groups = report["networks"]["vgg16-caffe"]["by_group"]
    assert {"sky", "road"} == set(groups)
    assert (tmp_path / "translated" / "pairs.png").stat().st_size > 1000
    assert not list((tmp_path / "translated").glob(".*.npz"))
    capsys.readouterr()
    compare_images(respelled(config, tmp_path))
    assert "already done" in capsys.readouterr().out


def test_fid_and_kid_are_those_of_the_users_network(
    scenes, frozen_graph, tmp_path
):
    report, _ = report_of(
        scenes, "rendered", tmp_path / "fid", inception=frozen_graph, **SIZE
    )
    first, second = (
        np.stack(
            [
                tf.image.resize(image, (48, 64), "bilinear", antialias=True)
                .numpy()
                .round()
                .mean((0, 1))
                for image, *_ in make_image_dataset(
                    records.resolve_records(str(scenes / name), "records")
                )
            ]
        )
        for name in ("rendered", "real")
    )
    headlines = report["headlines"]
    assert headlines["FID"] == pytest.approx(
        frechet_distance(first, second), rel=1e-4
    )
    # The mean over 100 subsets of half of the images each.
    whole = report["networks"]["inception"]["whole"]
    assert whole["subset_size"] == 18
    error = whole["deviation"] / np.sqrt(100)
    expected = 1000 * squared_mmd(first, second)
    assert abs(headlines["KID"] - expected) < 4 * error


def test_a_network_has_its_figures_beside_another_too(
    scenes, frozen_graph, vgg16_file, tmp_path
):
    found = {}
    for name, files in (
        ("alone", {}),
        ("both", {"perceptual_weights": vgg16_file}),
    ):
        report, _ = report_of(
            scenes,
            "rendered",
            tmp_path / name,
            inception=frozen_graph,
            **files,
            **SIZE,
        )
        found[name] = report["headlines"]
    assert found["alone"]["KID"] > 1
    for measure, value in found["alone"].items():
        assert found["both"][measure] == pytest.approx(value, rel=1e-6)


def test_other_files_and_sizes_are_refused_in_one_line(scenes, tmp_path):
    def refused(match, **flags):
        with pytest.raises(UserError, match=match):
            report_of(scenes, "rendered", tmp_path / "out", **flags)

    refused("expected a local file of a network", **SIZE)
    refused("found none; nothing is", inception=str(tmp_path / "no"), **SIZE)
    (tmp_path / "other.pb").write_bytes(b"no graph")
    refused("expected a frozen", inception=str(tmp_path / "other.pb"), **SIZE)
    refused("an eighth is at least 16x16 pixels, found 32x48", inception="x")
    refused(
        "--image_height=8 --image_width=0: expected both",
        inception="x",
        image_height=8,
    )
