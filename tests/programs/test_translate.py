import dataclasses
import json
import shutil
import signal
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kliep_tf import runs
from kliep_tf.data import records, weights
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.errors import UserError
from kliep_tf.translate import (
    TranslateConfig,
    translate,
    usual_batch_size,
)
from tests import processes
from tests.conftest import SIZE, respelled
from tests.data.test_records import DEEPLAB_KEYS
from tests.programs.run_directories import copy_run
from tfrecords_tools.convert_gta5 import ConvertGta5Config


@pytest.fixture
def config(method_run, source_records, tmp_path):
    """By a generator of the tiny method, for what holds of any."""
    return TranslateConfig(
        saved_model=str(method_run / "saved_model"),
        source_records=str(source_records),
        output_dir=str(tmp_path / "translated"),
    )


@pytest.fixture
def cyclegan_config(config, trained_run):
    return dataclasses.replace(
        config, saved_model=str(trained_run / "saved_model")
    )


def translated_by(run, source_records, tmp_path_factory):
    directory = tmp_path_factory.mktemp("programs") / "translated"
    translate(
        TranslateConfig(
            saved_model=str(run / "saved_model"),
            source_records=str(source_records),
            output_dir=str(directory),
        )
    )
    return directory


@pytest.fixture(scope="module")
def translated(method_run, source_records, tmp_path_factory):
    """The source's translation, for tests that only look at it."""
    return translated_by(method_run, source_records, tmp_path_factory)


@pytest.fixture(scope="module")
def translated_by_cyclegan(trained_run, source_records, tmp_path_factory):
    """Likewise."""
    return translated_by(trained_run, source_records, tmp_path_factory)


def read(directory):
    """Returns every example's features by filename, DeepLab's keys parsed."""
    found = {}
    for path in sorted(directory.glob("train-*")):
        for data in records.read_shard(path):
            parsed = tf.io.parse_single_example(data, DEEPLAB_KEYS)
            found[parsed["image/filename"].numpy().decode()] = parsed
    return found


def test_only_the_image_changes(translated, source_records):
    before, after = read(source_records), read(translated)
    assert before.keys() == after.keys()
    assert len(after) == 24
    for name, original in before.items():
        for key in DEEPLAB_KEYS:
            if key != "image/encoded":
                assert after[name][key] == original[key]
        image = tf.io.decode_png(after[name]["image/encoded"])
        assert image.shape == (*SIZE, 3)
        assert (
            image.numpy() != tf.io.decode_png(original["image/encoded"]).numpy()
        ).any()


def test_translation_is_what_the_saved_model_computes(
    cyclegan_config, tmp_path, source_records
):
    translate(dataclasses.replace(cyclegan_config, batch_size=5))
    model = tf.saved_model.load(cyclegan_config.saved_model)
    name, original = next(iter(read(source_records).items()))
    image = tf.io.decode_png(original["image/encoded"])[None]
    expected = model.signatures["translate_uint8"](images=image)["translated"]
    found = tf.io.decode_png(
        read(tmp_path / "translated")[name]["image/encoded"]
    )
    # A batch is normalised by another kernel than a single image.
    difference = np.abs(found.numpy().astype(int) - expected[0].numpy())
    assert difference.max() <= 1


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(64, 64)], 8),
        ([(128, 128)], 8),
        ([(128, 256)], 4),
        ([(256, 256)], 2),
        ([(256, 512)], 1),
        ([(1024, 2048)], 1),
        ([(64, 64), (64, 128)], 1),
        ([], 1),
    ],
)
def test_so_many_images_are_translated_at_once(sizes, expected):
    assert usual_batch_size(set(sizes)) == expected


def test_tiles_make_the_same_images(
    cyclegan_config, translated_by_cyclegan, tmp_path
):
    in_tiles = dataclasses.replace(
        cyclegan_config,
        output_dir=str(tmp_path / "tiled"),
        tile_height=10,
        batch_size=5,
    )
    translate(in_tiles)
    whole, tiled = read(translated_by_cyclegan), read(tmp_path / "tiled")
    for name, expected in whole.items():
        images = [
            tf.io.decode_png(example["image/encoded"]).numpy().astype(int)
            for example in (expected, tiled[name])
        ]
        assert np.abs(images[0] - images[1]).max() <= 1


def test_saved_model_that_does_not_tile_is_named(config, tmp_path):
    module = tf.Module()
    module.translate = tf.function(
        lambda images: {"translated": images},
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
    )
    path = str(tmp_path / "old")
    tf.saved_model.save(
        module, path, signatures={"translate_uint8": module.translate}
    )
    with pytest.raises(UserError) as raised:
        translate(dataclasses.replace(config, saved_model=path, tile_height=8))
    assert str(raised.value) == (
        "--tile_height=8: expected the signature translate_uint8_tiled in "
        f"--saved_model={path}, found translate_uint8; this generator does not "
        "translate in tiles: leave --tile_height out"
    )


def test_bfloat16_is_refused_for_networks_that_are_not_known(config, tmp_path):
    module = tf.Module()
    signature = [tf.TensorSpec([None, None, None, 3], tf.uint8)]
    module.translate = tf.function(
        lambda images: {"translated": images}, signature
    )
    path = str(tmp_path / "other")
    tf.saved_model.save(
        module, path, signatures={"translate_uint8": module.translate}
    )
    config = dataclasses.replace(config, saved_model=path, precision="bfloat16")
    with pytest.raises(UserError, match="expected a generator of CycleGAN's"):
        translate(config)


def test_labels_are_not_decoded_for_records_alone(
    config, tmp_path, source_records
):
    """They are carried over byte for byte, even where they are no PNG."""
    odd = tmp_path / "odd"
    odd.mkdir()
    (path, *_) = sorted(source_records.glob("train-*"))
    examples = []
    for data in records.read_shard(path):
        example = tf.train.Example.FromString(data)
        label = example.features.feature[records.LABEL_ENCODED]
        label.bytes_list.value[0] = b"no PNG"
        examples.append(example.SerializeToString())
    records.write_shard(odd / "train-00000-of-00001.tfrecord", examples)
    summary = (source_records / "dataset.json").read_text()
    summary = json.loads(summary)
    split = summary["splits"]["train"]
    names = split["shards"].pop(path.name)
    split["shards"] = {"train-00000-of-00001.tfrecord": names}
    (odd / "dataset.json").write_text(json.dumps(summary))
    translate(dataclasses.replace(config, source_records=str(odd)))
    for example in read(tmp_path / "translated").values():
        assert example[records.LABEL_ENCODED] == b"no PNG"


def test_label_that_is_no_png_is_named_where_it_has_to_be_one(config, tmp_path):
    odd = tmp_path / "odd"
    odd.mkdir()
    image = tf.io.encode_png(np.zeros((8, 8, 3), np.uint8)).numpy()
    example = records.encode_example(
        image, filename="odd_one", height=8, width=8, label=b"no PNG"
    )
    records.write_shard(odd / "train-00000-of-00001.tfrecord", [example])
    config = dataclasses.replace(
        config, source_records=str(odd), png_dir=str(tmp_path / "png")
    )
    with pytest.raises(
        UserError, match=r"'odd_one': expected a label in PNG .*6 bytes"
    ):
        translate(config)


def test_shards_of_one_name_are_not_written_over_each_other(config, tmp_path):
    image = tf.io.encode_png(np.zeros((8, 8, 3), np.uint8)).numpy()
    for folder in ("a", "b"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        example = records.encode_example(
            image, filename=folder, height=8, width=8
        )
        records.write_shard(
            tmp_path / "in" / folder / "train-00000-of-00001.tfrecord",
            [example],
        )
    both = dataclasses.replace(
        config, source_records=str(tmp_path / "in" / "*" / "train-*")
    )
    with pytest.raises(UserError, match=r"different names, found .*a/train-"):
        translate(both)
    assert not (tmp_path / "translated").exists()


def test_png_files_stay_in_their_folder(config, tmp_path):
    """DeepLab's own converter keeps an image's whole path as its filename."""
    (tmp_path / "in").mkdir()
    example = records.encode_example(
        b"image", filename=str(tmp_path / "raw" / "one"), height=8, width=8
    )
    records.write_shard(tmp_path / "in" / "train.tfrecord", [example])
    config = dataclasses.replace(
        config,
        source_records=str(tmp_path / "in"),
        png_dir=str(tmp_path / "png"),
    )
    with pytest.raises(UserError, match=r"--png_dir=.*without folders, found"):
        translate(config)
    assert not (tmp_path / "translated").exists()


def test_a_file_is_no_folder_for_png_files(config, tmp_path):
    (tmp_path / "png").touch()
    config = dataclasses.replace(config, png_dir=str(tmp_path / "png"))
    with pytest.raises(UserError, match=r"--png_dir=.*directory, found a file"):
        translate(config)
    assert not (tmp_path / "translated").exists()


def test_a_folder_of_others_is_none_for_png_files(config, tmp_path):
    (tmp_path / "png").mkdir()
    (tmp_path / "png" / "notes.txt").touch()
    config = dataclasses.replace(config, png_dir=str(tmp_path / "png"))
    with pytest.raises(UserError, match=r"--png_dir=.* found 'notes\.txt'"):
        translate(config)
    assert not (tmp_path / "translated").exists()


def test_sources_own_directory_is_no_place_for_translations(
    config, tmp_path, source_records
):
    own = tmp_path / "own"
    convert = ConvertGta5Config(input_dir=str(tmp_path), output_dir=str(own))
    with runs.claim(own, "convert_gta5", convert, part="train") as claim:
        shutil.copytree(source_records, own, dirs_exist_ok=True)
        claim.finish()
    config = dataclasses.replace(
        config, source_records=str(own), output_dir=str(own)
    )
    with pytest.raises(UserError, match="found one of convert_gta5"):
        translate(config)


def test_a_process_of_its_own_makes_the_same_bytes(
    config, translated, tmp_path
):
    translate(dataclasses.replace(config, num_workers=1))
    for path in translated.glob("train-*"):
        found = tmp_path / "translated" / path.name
        assert found.read_bytes() == path.read_bytes()
    assert not list((tmp_path / "translated").glob(".*partial"))


def test_lost_shard_is_translated_again(config, translated, tmp_path, capsys):
    copy_run(translated, tmp_path / "translated")
    lost, _ = sorted((tmp_path / "translated").glob("train-*"))
    content = lost.read_bytes()
    lost.unlink()
    translate(config)
    assert lost.read_bytes() == content
    capsys.readouterr()
    translate(respelled(config, tmp_path))
    assert "already translated" in capsys.readouterr().out


def test_damaged_saved_model_is_told_in_one_line(config, tmp_path):
    shutil.copytree(config.saved_model, tmp_path / "model")
    for path in (tmp_path / "model" / "variables").glob("*.data*"):
        path.write_bytes(path.read_bytes()[:100])
    config = dataclasses.replace(config, saved_model=str(tmp_path / "model"))
    with pytest.raises(UserError, match="does not load") as raised:
        translate(config)
    assert "\n" not in str(raised.value)


def test_order_and_shards_are_the_sources(translated, source_records):
    for path in source_records.glob("train-*"):
        names = [
            [
                records.parse_example(data)[records.FILENAME].numpy()
                for data in records.read_shard(shard)
            ]
            for shard in (path, translated / path.name)
        ]
        assert names[0] == names[1]
    split = json.loads((translated / "dataset.json").read_text())
    assert split["splits"]["train"]["num_examples"] == 24
    assert split["splits"]["train"]["labelled"] == 24


def test_weights_are_attached_by_filename(config, tmp_path, trained_run):
    weights_dir = trained_run / "weights"
    translate(dataclasses.replace(config, weights_dir=str(weights_dir)))
    expected = weights.load_weights(weights_dir, "source")
    for path in (tmp_path / "translated").glob("train-*"):
        for data in records.read_shard(path):
            example = records.parse_example(data)
            name = example[records.FILENAME].numpy().decode()
            found = float(example[records.IMPORTANCE_WEIGHT])
            assert found == expected.lookup([name])[0]


def test_weights_in_the_records_are_carried_over(
    config, tmp_path, source_records
):
    weighted = tmp_path / "weighted"
    weighted.mkdir()
    for path in source_records.glob("train-*"):
        examples = [
            records.append_weight(data, 0.25)
            for data in records.read_shard(path)
        ]
        records.write_shard(weighted / path.name, examples)
    translate(dataclasses.replace(config, source_records=str(weighted)))
    for path in (tmp_path / "translated").glob("train-*"):
        for data in records.read_shard(path):
            found = records.parse_example(data)[records.IMPORTANCE_WEIGHT]
            assert found == 0.25


def test_png_folder_has_gta5s_layout(config, tmp_path, source_records):
    png_dir = tmp_path / "png"
    translate(dataclasses.replace(config, png_dir=str(png_dir)))
    before, after = read(source_records), read(tmp_path / "translated")
    ids = np.array(
        [one.raw_ids[0] for one in CITYSCAPES_CLASSES.classes], np.uint8
    )
    for name in before:
        image = np.asarray(Image.open(png_dir / "images" / f"{name}.png"))
        np.testing.assert_array_equal(
            image, tf.io.decode_png(after[name]["image/encoded"])
        )
        label_file = Image.open(png_dir / "labels" / f"{name}.png")
        assert label_file.mode == "P"
        train_ids = tf.io.decode_png(
            before[name]["image/segmentation/class/encoded"]
        )
        np.testing.assert_array_equal(
            np.asarray(label_file), ids[train_ids[..., 0]]
        )


def test_jpeg_says_that_it_is_jpeg(config, tmp_path):
    translate(dataclasses.replace(config, image_format="jpeg"))
    example = next(iter(read(tmp_path / "translated").values()))
    assert example["image/format"] == b"jpeg"
    assert example["image/encoded"].numpy()[:2] == b"\xff\xd8"


def test_killed_translation_continues_to_a_whole_dataset(
    cyclegan_config, translated_by_cyclegan, tmp_path
):
    """By a network that takes its time, so that a kill comes in the middle."""
    config = cyclegan_config
    command = [
        "-m",
        "kliep_tf.translate",
        f"--saved_model={config.saved_model}",
        f"--source_records={config.source_records}",
        f"--output_dir={tmp_path / 'killed'}",
    ]
    killed = tmp_path / "killed"

    def stop(number, pattern):
        """Stops a translation when a file of this name is there."""
        process = processes.start(command)
        while not (killed.exists() and list(killed.glob(pattern))):
            assert process.poll() is None, "ended before it could be stopped"
            time.sleep(0.001)
        process.send_signal(number)
        return process.communicate()[1], process.returncode

    assert stop(signal.SIGTERM, "config.json") == (
        "error: terminated; the same command again continues\n",
        143,
    )
    # The first shard is being written, or has just been finished.
    stop(signal.SIGKILL, "*train-00000*")
    assert runs.read_config(killed)["status"] == "incomplete"
    assert not (killed / "train-00001-of-00002.tfrecord").exists()

    assert processes.run(command).returncode == 0
    assert runs.read_config(killed)["status"] == "complete"
    for path in translated_by_cyclegan.glob("train-*"):
        assert (killed / path.name).read_bytes() == path.read_bytes()
    assert not list(killed.glob(".*partial"))


def test_records_without_dataset_json_are_described(
    config, tmp_path, source_records
):
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in source_records.glob("train-*"):
        (bare / path.name).write_bytes(path.read_bytes())
    translate(dataclasses.replace(config, source_records=str(bare)))
    text = (tmp_path / "translated" / "dataset.json").read_text()
    split = json.loads(text)["splits"]["train"]
    assert split["image_sizes"] == {"32x48": 24}
    shares = split["class_pixel_shares"]
    assert shares["sky"] + shares["road"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"saved_model": "/no/such/model"}, "/no/such/model"),
        ({"source_records": "/no/such"}, "--source_records=/no/such"),
        ({"weights_dir": "/no/weights"}, r"source_weights\.npz"),
        ({"batch_size": 0}, "--batch_size=0"),
        ({"num_workers": -1}, "--num_workers=-1"),
        ({"tile_height": -1}, "--tile_height=-1"),
        ({"tile_height": 8, "precision": "bfloat16"}, "--tile_height=8"),
    ],
)
def test_bad_flags_are_refused_before_anything_is_written(
    config, tmp_path, changes, message
):
    with pytest.raises(UserError, match=message):
        translate(dataclasses.replace(config, **changes))
    assert not (tmp_path / "translated").exists()
