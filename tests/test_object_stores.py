"""Every flag of every program: a bucket is no folder.

What is mirrored in a folder is tested in tests/stores.
"""

import dataclasses
import json
import os
import re

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf import cli, fingerprints
from kliep_tf.data import files, records
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.data.index import build_index
from kliep_tf.data.pipeline import make_image_dataset
from kliep_tf.errors import UserError
from kliep_tf.evaluate import EvaluateConfig, evaluate
from kliep_tf.segmentation import signatures
from kliep_tf.segmentation.networks import export_segmenter
from tests.conftest import ROOT
from tests.segmentation.small_network import small
from tests.test_docs import config_class_of

PROGRAMS = sorted(
    str(path.relative_to(ROOT).with_suffix("")).replace("/", ".")
    for folder in ("kliep_tf", "tfrecords_tools")
    for path in (ROOT / folder).rglob("*.py")
    if "\n    cli.run(" in path.read_text("utf-8") and path.name != "cli.py"
)


def required_words(config_class):
    """Returns a value that parses for each flag that must be given."""
    for field in dataclasses.fields(config_class):
        if field.default is dataclasses.MISSING:
            first, *_ = field.metadata["choices"] or ("1",)
            yield f"--{field.name}={first}"


def takes_text(field):
    return (
        cli.value_type(field) in (str, tuple)
        and not field.metadata["choices"]
        and not field.metadata["adds"]
    )


def test_all_programs_are_here():
    assert len(PROGRAMS) > 15
    assert "kliep_tf.translate" in PROGRAMS
    assert "tfrecords_tools.convert_folder" in PROGRAMS


@pytest.mark.parametrize("program", PROGRAMS)
def test_flags_refuse_a_bucket_in_one_line(program):
    config_class = config_class_of(program)
    required = list(required_words(config_class))
    fields = [*filter(takes_text, dataclasses.fields(config_class))]
    for field in fields:
        mirrored = field.metadata["mirrored"]
        stored = "s3" if field.metadata["from_store"] else "gs"
        url = ("https" if mirrored else stored) + "://bucket/a"
        words = ["program", *required, f"--{field.name}={url}"]
        with pytest.raises(UserError) as error:
            cli.parse(config_class, words)
        start = f"--{field.name}={url}: expected a path of this machine"
        assert str(error.value).startswith(start)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_programs_write_may_lie_in_a_store(program):
    config_class = config_class_of(program)
    words = list(required_words(config_class))
    for field in dataclasses.fields(config_class):
        if field.metadata["mirrored"]:
            words.append(f"--{field.name}=s3://bucket/{field.name}")
    config = cli.parse(config_class, ["program", *words])
    outputs = {"run_dir", "output_dir"} & vars(config).keys()
    experiments = program.startswith("kliep_tf.experiments.")
    if not experiments and program != "tfrecords_tools.render_demo":
        for name in outputs:
            assert getattr(config, name) == f"s3://bucket/{name}"


@dataclasses.dataclass(frozen=True)
class Reader:
    out: tuple[str, ...] = cli.flag("where to", default=())
    records: str = cli.flag("what to read", default="", from_store=True)


@pytest.mark.parametrize(
    ("url", "way"),
    [
        ("gs://bucket", "gcsfuse"),
        ("S3://bucket", "Mountpoint for Amazon S3"),
        ("https://host/a", "download it"),
        ("file:///a", "leave file:// out"),
    ],
)
def test_the_way_out_is_named(url, way):
    with pytest.raises(UserError, match=re.escape(way)):
        cli.check(Reader(out=("records/a", url)))


def test_records_may_lie_in_a_store_that_tensorflow_reads():
    cli.check(Reader(records="gs://bucket/records"))
    with pytest.raises(UserError, match=r"this machine or gs://, found s3://"):
        cli.check(Reader(records="s3://bucket/records"))


def test_paths_and_options_are_no_urls():
    for value in ("a:1", "train:0.9,val:0.1", "C:/a", "--t=gs://a", "a/b://"):
        cli.check(Reader(out=(value,)))


def upload(folder, address):
    """Copies a folder to a store."""
    for path in folder.rglob("*"):
        if path.is_file():
            copy = f"{address}/{path.relative_to(folder)}"
            tf.io.gfile.makedirs(os.path.dirname(copy))
            tf.io.gfile.copy(str(path), copy)


@pytest.fixture
def stored(source_records):
    """The same records on disk and in a store: TensorFlow's memory."""
    address = "ram://bucket/records"
    upload(source_records, address)
    yield source_records, address
    tf.io.gfile.rmtree("ram://bucket")


def test_records_of_a_store_are_those_of_a_disk(stored):
    on_disk, address = stored
    paths = records.resolve_records(address, "records")
    assert paths == records.resolve_records(f"{address}/train-*", "records")
    assert paths[0].startswith("ram://bucket/records/train-00000-of")
    first, second = (
        build_index(records.resolve_records(where, "records"))
        for where in (on_disk, address)
    )
    np.testing.assert_array_equal(second.filenames, first.filenames)
    assert second.classes == first.classes
    for row in range(len(first)):
        assert second.read(row) == first.read(row)
    contents = [fingerprints.of(one.paths).content() for one in (first, second)]
    assert contents[0] == contents[1]
    read = [
        [
            example.numpy()
            for example, _ in records.shard_dataset(list(one.paths))
        ]
        for one in (first, second)
    ]
    assert read[0] == read[1]


def test_images_and_labels_of_a_store_are_those_of_a_disk(stored):
    both = [
        list(make_image_dataset(records.resolve_records(str(where), "records")))
        for where in stored
    ]
    assert len(both[0]) == 24
    for first, second in zip(*both, strict=True):
        assert first.filename == second.filename
        np.testing.assert_array_equal(first.image, second.image)
        np.testing.assert_array_equal(first.label, second.label)


def test_a_saved_model_of_a_store_is_that_of_a_disk(stored, tmp_path, capsys):
    on_disk, address = stored
    export_segmenter(small(19, seed=0), tmp_path / "segmenter")
    upload(tmp_path / "segmenter", "ram://bucket/segmenter")
    config = EvaluateConfig(
        segmenter=str(tmp_path / "segmenter"),
        records=str(on_disk),
        output_dir=str(tmp_path / "report"),
    )
    evaluate(config)
    in_store = dataclasses.replace(
        config, segmenter="ram://bucket/segmenter", records=address
    )
    # Times differ; by their contents the inputs are known to be the same.
    evaluate(in_store)
    assert "already done" in capsys.readouterr().out
    evaluate(dataclasses.replace(in_store, output_dir=str(tmp_path / "other")))
    expected, found = (
        json.loads((tmp_path / name / "report.json").read_text())
        for name in ("report", "other")
    )
    assert found == {
        **expected,
        "segmenter": in_store.segmenter,
        "records": in_store.records,
    }
    classes = signatures.segmenter_classes(in_store.segmenter)
    assert classes == CITYSCAPES_CLASSES
    with pytest.raises(
        UserError, match=r"ram://bucket/no: expected a SavedMod"
    ):
        evaluate(dataclasses.replace(in_store, segmenter="ram://bucket/no"))


def test_what_is_wrong_in_a_store_is_one_line(stored):
    _, address = stored
    with pytest.raises(UserError, match="expected TFRecord shards, found none"):
        records.resolve_records(f"{address}/val-*", "records")
    (path, *_) = records.resolve_records(address, "records")
    with tf.io.gfile.GFile(path, "rb") as file:
        whole = file.read()
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(whole[:-1])
    with pytest.raises(UserError, match=re.escape(f"{path}: expected a whole")):
        build_index([path])
    tf.io.gfile.remove(path)
    with pytest.raises(FileNotFoundError):
        build_index([path])


def test_a_store_that_does_not_answer_is_not_taken_for_empty(monkeypatch):
    def fail(path):
        raise tf.errors.UnavailableError(None, None, "503")

    monkeypatch.setattr(tf.io.gfile, "stat", fail)
    for ask in (files.is_folder, files.is_file, files.files_under):
        with pytest.raises(OSError, match="503"):
            ask("gs://bucket/records")
