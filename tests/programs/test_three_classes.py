"""Three classes of a dataset's own, from raw folders to a report.

Ground, things and sky: the label files hold other ids than Cityscapes', and
every step has to find the three classes in its input.
"""

import json

import numpy as np
import pytest
from PIL import Image

from kliep_tf.data.features import load_features
from kliep_tf.data.summaries import class_set_of, read_summary
from kliep_tf.data.weights import load_weights
from kliep_tf.errors import UserError
from kliep_tf.estimate_weights import EstimateConfig, estimate
from kliep_tf.evaluate import EvaluateConfig, evaluate
from kliep_tf.segmentation.networks import export_segmenter
from kliep_tf.train import train
from kliep_tf.translate import TranslateConfig, translate
from tests.programs.tiny_training import parse
from tests.segmentation.small_network import small
from tfrecords_tools.convert_folder import ConvertFolderConfig, convert_folder
from tfrecords_tools.inspect_records import (
    InspectRecordsConfig,
    inspect_records,
)

NAMES = ["ground", "things", "sky"]
IDS = {"ground": 40, "things": 50, "sky": 60}
COLORS = {"ground": "90 80 100", "things": "200 60 60", "sky": "90 160 250"}
SIZE = (24, 32)


def draw(rng, sky_share):
    """Returns an image and its ids: sky over ground, a thing between."""
    height, width = SIZE
    label = np.full(SIZE, IDS["ground"], np.uint8)
    label[: round(sky_share * height)] = IDS["sky"]
    left = rng.integers(0, width - 8)
    label[6:12, left : left + 8] = IDS["things"]
    image = np.zeros((*SIZE, 3))
    for name in NAMES:
        image[label == IDS[name]] = [int(c) for c in COLORS[name].split()]
    image += rng.normal(0, 8, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), label


def write_folder(root, *, number, sky, prefix, label_map):
    """Writes raw images and labels and converts them; returns the records."""
    rng = np.random.default_rng(number)
    for kind in ("images", "labels"):
        (root / kind).mkdir(parents=True)
    for row in range(number):
        share = np.clip(rng.normal(sky, 0.1), 0.1, 0.8)
        image, label = draw(rng, share)
        name = f"{prefix}{row:02d}.png"
        Image.fromarray(image).save(root / "images" / name)
        Image.fromarray(label).save(root / "labels" / name)
    convert_folder(
        ConvertFolderConfig(
            images=str(root / "images" / "*.png"),
            labels=str(root / "labels" / "*.png"),
            label_map=str(label_map),
            output_dir=str(root / "records"),
            num_workers=0,
            num_shards=2,
        )
    )
    return root / "records"


@pytest.fixture(scope="module")
def way(tiny_method_registered, tmp_path_factory):
    """Goes the whole way; returns the folder that holds every output."""
    root = tmp_path_factory.mktemp("three")
    (root / "map.csv").write_text(
        "id,class,color\n"
        + "".join(f"{IDS[name]},{name},{COLORS[name]}\n" for name in NAMES)
    )
    source, target = (
        write_folder(root / domain, number=8, sky=sky, prefix=domain[0],
                     label_map=root / "map.csv")
        for domain, sky in (("source", 0.5), ("target", 0.3))
    )  # fmt: skip
    domains = {"source_records": str(source), "target_records": str(target)}
    # How one is trained on other classes: tests/segmentation.
    export_segmenter(
        small(3, seed=0),
        root / "segmenter" / "saved_model",
        class_set_of(sorted(map(str, source.glob("train-*")))),
    )
    for features in ("class_histogram", "segmenter_histogram"):
        estimate(
            EstimateConfig(
                **domains,
                weights_dir=str(root / features),
                features=features,
                # To choose it takes longer than all the rest of the estimate.
                bandwidth="0.5",
                segmenter=str(root / "segmenter" / "saved_model"),
            )
        )
    train(
        parse(
            *(f"--{name}={value}" for name, value in domains.items()),
            f"--weights_dir={root / 'class_histogram'}",
            f"--run_dir={root / 'run'}",
            "--steps=2",
        )
    )
    translate(
        TranslateConfig(
            saved_model=str(root / "run" / "saved_model"),
            source_records=str(source),
            output_dir=str(root / "translated"),
            png_dir=str(root / "png"),
        )
    )
    evaluate(
        EvaluateConfig(
            segmenter=str(root / "segmenter" / "saved_model"),
            records=str(root / "translated"),
            output_dir=str(root / "report"),
        )
    )
    return root


def test_records_have_the_classes_of_the_label_map(way):
    summary = read_summary(way / "source" / "records", "train")
    assert list(summary.classes.names) == NAMES
    assert list(summary.class_pixel_shares) == NAMES


@pytest.mark.parametrize("features", ["class_histogram", "segmenter_histogram"])
def test_weights_compare_three_class_shares(way, features):
    weights = load_weights(way / features, "source")
    assert len(weights.weights) == 8
    for path in (way / features).rglob("*features*.npz"):
        found = load_features(path)
        assert found.names.tolist() == NAMES
        np.testing.assert_allclose(found.values.sum(axis=1), 1, atol=1e-5)


def test_class_shares_are_those_of_the_labels(way):
    """Counted here from the label files themselves."""
    (path,) = (way / "class_histogram").rglob("*source*features*.npz")
    found = load_features(path)
    for name, values in zip(found.filenames, found.values, strict=True):
        with Image.open(way / "source" / "labels" / f"{name}.png") as file:
            label = np.asarray(file)
        shares = [np.mean(label == IDS[name]) for name in NAMES]
        np.testing.assert_allclose(values, shares, atol=1e-6)


def test_translated_records_keep_classes_and_labels(way):
    (path, *_) = map(str, sorted((way / "translated").glob("train-*")))
    assert list(class_set_of([path]).names) == NAMES


def test_translated_png_labels_are_the_raw_ones(way):
    paths = sorted((way / "png" / "labels").iterdir())
    assert len(paths) == 8
    for path in paths:
        with (
            Image.open(path) as written,
            Image.open(way / "source" / "labels" / path.name) as raw,
        ):
            assert written.mode == "P"
            np.testing.assert_array_equal(np.asarray(written), np.asarray(raw))
            shown = np.asarray(written.convert("RGB"))[np.asarray(raw) == 60]
            assert (shown == (90, 160, 250)).all()


def test_report_has_three_classes(way):
    report = json.loads((way / "report" / "report.json").read_text())
    assert list(report["per_class_iou"]) == NAMES
    assert np.shape(report["confusion_matrix"]) == (3, 3)


def test_inspect_records_shows_three_classes(way, capsys):
    inspect_records(
        InspectRecordsConfig(records=str(way / "translated"), num_workers=0)
    )
    printed = capsys.readouterr().out
    assert "classes      3 (map)" in printed
    table = printed[printed.index("class  ") :].splitlines()[1:4]
    assert [line.split()[0] for line in table] == NAMES


def test_datasets_of_other_classes_are_not_compared(way, source_records):
    with pytest.raises(UserError, match="expected the 19 classes") as error:
        estimate(
            EstimateConfig(
                source_records=str(source_records),
                target_records=str(way / "target" / "records"),
                weights_dir=str(way / "never"),
                features="class_histogram",
            )
        )
    message = str(error.value)
    assert "3 (ground, things, sky)" in message
    assert str(source_records) in message and "target/records" in message
    assert "\n" not in message
    assert not (way / "never").exists()


def test_a_segmenter_of_other_classes_does_not_judge(way, source_records):
    with pytest.raises(UserError, match="3"):
        evaluate(
            EvaluateConfig(
                segmenter=str(way / "segmenter" / "saved_model"),
                records=str(source_records),
                output_dir=str(way / "no_report"),
            )
        )
